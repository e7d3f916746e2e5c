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

// maxHMACs is the maximum number of cached secrets, to limit the memory. A full cache
// is emptied. An account has about ten secrets.
const maxHMACs = 256

// hmacs caches HMACs by secret, because a new HMAC costs as much as the HMAC of a
// usual notification. One goroutine uses it at a time.
type hmacs struct {
	bySecret map[facade.Secret]hash.Hash
	latest   facade.Secret // a comparison costs less than a search
	mac      hash.Hash     // of latest
	sum      []byte
}

// newHMACs returns a pool of empty caches.
func newHMACs() *sync.Pool {
	return &sync.Pool{New: func() any { return &hmacs{bySecret: make(map[facade.Secret]hash.Hash)} }}
}

// get returns the HMAC of a secret, or an error if the secret is invalid.
func (h *hmacs) get(secret facade.Secret) (hash.Hash, error) {
	if secret == h.latest {
		return h.mac, nil
	}
	mac := h.bySecret[secret]
	if mac == nil {
		text := secret.Reveal()
		if err := checkSecret(text); err != nil {
			return nil, err
		}
		if len(h.bySecret) == maxHMACs {
			clear(h.bySecret)
		}
		mac = hmac.New(sha256.New, []byte(text))
		h.bySecret[secret] = mac
	}
	h.latest, h.mac = secret, mac
	return mac, nil
}

// compare returns 1 if signature is the signature of body, and else 0.
func (h *hmacs) compare(mac hash.Hash, body []byte, signature *[sha256.Size]byte) int {
	mac.Reset()
	mac.Write(body)
	h.sum = mac.Sum(h.sum[:0])
	return subtle.ConstantTimeCompare(h.sum, signature[:])
}
