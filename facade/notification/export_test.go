package notification

import (
	"context"
	"net/http"
)

// Authenticate is the part of Verify that doesn't decode, for benchmarks.
func (v *Verifier) Authenticate(ctx context.Context, header http.Header, body []byte) (string, error) {
	return v.authenticate(ctx, header, body)
}

// Kept is how many secrets the verifier keeps HMACs for.
func (v *Verifier) Kept() int {
	v.macs.mu.RLock()
	defer v.macs.mu.RUnlock()
	return len(*v.macs.pools)
}

// Entries is how many notifications a deduplicator in memory remembers.
func Entries(d Deduplicator) int {
	m := d.(*memoryDeduplicator)
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}
