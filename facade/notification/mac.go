package notification

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"sync"

	"github.com/apivideo-community/webhooks-go/facade"
)

// Sign returns the signature of a body, the 64 lower-case hexadecimal digits of
// its HMAC-SHA256. Tests of a receiver use Sign for their notifications. A Verifier
// rejects signatures by the zero Secret.
func Sign(body []byte, secret facade.Secret) string {
	h := hmac.New(sha256.New, []byte(secret.Reveal()))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// maxHMACs is the maximum number of secrets in a cache. A full cache is emptied.
// An account has about ten secrets, and revoked secrets must not stay.
const maxHMACs = 1024

// hmacCache caches HMACs by secret, because a new HMAC costs as much as the HMAC of a
// usual notification.
type hmacCache struct {
	mu    sync.RWMutex
	pools map[facade.Secret]*sync.Pool
}

func newHMACCache() *hmacCache { return &hmacCache{pools: make(map[facade.Secret]*sync.Pool)} }

// hmacWithSum is an HMAC with memory for its sum.
type hmacWithSum struct {
	hash.Hash
	sum []byte
}

// compare returns 1 if signature is the signature of body by secret, and else 0.
func (c *hmacCache) compare(secret facade.Secret, body []byte, signature *[sha256.Size]byte) int {
	c.mu.RLock()
	pool := c.pools[secret]
	c.mu.RUnlock()
	if pool == nil {
		pool = c.add(secret)
	}
	h := pool.Get().(*hmacWithSum)
	defer pool.Put(h)
	h.Reset()
	h.Write(body)
	h.sum = h.Sum(h.sum[:0])
	return subtle.ConstantTimeCompare(h.sum, signature[:])
}

func (c *hmacCache) add(secret facade.Secret) *sync.Pool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pools) >= maxHMACs {
		clear(c.pools)
	}
	pool := &sync.Pool{New: func() any { return &hmacWithSum{Hash: hmac.New(sha256.New, []byte(secret.Reveal()))} }}
	c.pools[secret] = pool
	return pool
}
