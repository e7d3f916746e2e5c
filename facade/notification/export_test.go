package notification

import (
	"context"
	"net/http"

	"github.com/apivideo-community/webhooks-go/facade"
)

// Authenticate is Verify without decoding, for benchmarks.
func (v *Verifier) Authenticate(ctx context.Context, header http.Header, body []byte) (string, error) {
	return v.authenticate(ctx, header, body)
}

// CachedHMACs returns the number of HMACs in a cache after a use of each secret.
func CachedHMACs(secrets []facade.Secret) int {
	h := newHMACs().New().(*hmacs)
	for _, secret := range secrets {
		_, _ = h.get(secret)
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
