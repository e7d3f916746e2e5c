package notification

import (
	"context"
	"net/http"
)

// Authenticate is Verify without decoding, for benchmarks.
func (v *Verifier) Authenticate(ctx context.Context, header http.Header, body []byte) (string, error) {
	return v.authenticate(ctx, header, body)
}

// CachedHMACs returns the number of secrets with a cached HMAC.
func (v *Verifier) CachedHMACs() int {
	return len(*v.hmacs.pools.Load())
}

// Entries returns the number of notifications in a memory deduplicator.
func Entries(d Deduplicator) int {
	m := d.(*memoryDeduplicator)
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}
