package notification

import (
	"context"
	"net/http"
	"strconv"

	"github.com/apivideo-community/webhooks-go/facade"
)

// Authenticate is Verify without decoding, for benchmarks.
func (v *Verifier) Authenticate(ctx context.Context, header http.Header, body []byte) (string, error) {
	return v.authenticate(ctx, header, body)
}

// CachedHMACs returns the number of HMACs in a cache after the use of n secrets.
func CachedHMACs(n int) int {
	h := newHMACs().New().(*hmacs)
	for i := range n {
		_, _ = h.get(facade.NewSecret(strconv.Itoa(i)))
	}
	return len(h.bySecret)
}

// Entries returns the number of notifications in a memory deduplicator.
func Entries(d Deduplicator) int {
	m := d.(*memoryDeduplicator)
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}
