package notification

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"maps"
	"sync"
	"sync/atomic"

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

// maxHMACs is the maximum number of secrets in a cache. A full cache is emptied, to
// limit the memory. An account has about ten secrets.
const maxHMACs = 1024

// hmacCache caches HMACs by secret, because a new HMAC costs as much as the HMAC of a
// usual notification.
type hmacCache struct {
	pools atomic.Pointer[map[facade.Secret]hmacPool] // never changed, so that reading needs no lock
	mu    sync.Mutex                                 // held to replace pools
}

// hmacPool has instances of hmacWithSum for one secret.
type hmacPool struct{ *sync.Pool }

// hmacWithSum is an HMAC with memory for its sum.
type hmacWithSum struct {
	hash.Hash
	sum []byte
}

func newHMACCache() *hmacCache {
	c := new(hmacCache)
	c.pools.Store(new(map[facade.Secret]hmacPool))
	return c
}

// pool returns the HMACs of a secret, or an error if the secret is invalid.
func (c *hmacCache) pool(secret facade.Secret) (hmacPool, error) {
	if pool, ok := (*c.pools.Load())[secret]; ok {
		return pool, nil
	}
	return c.add(secret)
}

func (c *hmacCache) add(secret facade.Secret) (hmacPool, error) {
	if err := checkSecret(secret.Reveal()); err != nil {
		return hmacPool{}, err
	}
	pool := hmacPool{&sync.Pool{New: func() any { return &hmacWithSum{Hash: hmac.New(sha256.New, []byte(secret.Reveal()))} }}}
	c.mu.Lock()
	defer c.mu.Unlock()
	pools := maps.Clone(*c.pools.Load())
	if len(pools) >= maxHMACs || pools == nil {
		pools = make(map[facade.Secret]hmacPool)
	}
	pools[secret] = pool
	c.pools.Store(&pools)
	return pool, nil
}

// compare returns 1 if signature is the signature of body, and else 0.
func (p hmacPool) compare(body []byte, signature *[sha256.Size]byte) int {
	h := p.Get().(*hmacWithSum)
	defer p.Put(h)
	h.Reset()
	h.Write(body)
	h.sum = h.Sum(h.sum[:0])
	return subtle.ConstantTimeCompare(h.sum, signature[:])
}
