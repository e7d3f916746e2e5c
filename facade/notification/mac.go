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

// Sign returns the signature of a body, as the service makes it: 64 lower-case
// hexadecimal digits of the HMAC-SHA256 of the body. Tests of a receiver sign their
// notifications with it. A Verifier rejects signatures by the zero Secret.
func Sign(body []byte, secret facade.Secret) string {
	h := hmac.New(sha256.New, []byte(secret.Reveal()))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// maxMacs limits the secrets in a cache. One more empties the cache. An account has
// about ten secrets, and revoked secrets must not stay.
const maxMacs = 1024

// macs caches HMACs by secret, because a new HMAC costs as much as the HMAC of a
// usual notification.
type macs struct {
	mu    sync.RWMutex
	pools map[facade.Secret]*sync.Pool
}

func newMacs() *macs { return &macs{pools: make(map[facade.Secret]*sync.Pool)} }

// mac is an HMAC with memory for its sum.
type mac struct {
	hash.Hash
	sum []byte
}

// compare returns 1 if signature is the one of body by secret, and else 0.
func (m *macs) compare(secret facade.Secret, body []byte, signature *[sha256.Size]byte) int {
	m.mu.RLock()
	pool := m.pools[secret]
	m.mu.RUnlock()
	if pool == nil {
		pool = m.add(secret)
	}
	h := pool.Get().(*mac)
	defer pool.Put(h)
	h.Reset()
	h.Write(body)
	h.sum = h.Sum(h.sum[:0])
	return subtle.ConstantTimeCompare(h.sum, signature[:])
}

func (m *macs) add(secret facade.Secret) *sync.Pool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pools) >= maxMacs {
		clear(m.pools)
	}
	pool := &sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, []byte(secret.Reveal()))} }}
	m.pools[secret] = pool
	return pool
}
