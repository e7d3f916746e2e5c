package notification

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
)

// The headers that a notification comes with.
const (
	// HeaderWebhookID holds the id of the webhook that it is sent for.
	HeaderWebhookID = "X-Api-Video-WebhookID"
	// HeaderSignature holds what Sign returns for the body.
	HeaderSignature = "X-Api-Video-Signature"
)

// Sign returns the signature of a body as the service makes it: the HMAC-SHA256
// of exactly these bytes in 64 lower-case hex digits. Tests of a receiver need it
// for the notifications they send. With the zero Secret the result is one that no
// Verifier takes.
func Sign(body []byte, secret facade.Secret) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

const defaultMaxBody = 1 << 20

// Option changes how NewVerifier sets a verifier up. Of two that say the same
// thing the later one holds.
type Option func(*config) error

type config struct {
	maxBody int
	maxAge  time.Duration // 0: any
}

// WithMaxBody sets how many bytes a body may have, 1 MiB by default. One byte
// more is ErrTooLarge. NewVerifier fails if it isn't positive.
func WithMaxBody(n int) Option {
	return func(c *config) error {
		if n <= 0 {
			return errors.New("the bound of the body must be positive")
		}
		c.maxBody = n
		return nil
	}
}

// WithMaxAge refuses notifications whose emittedAt, which is signed, is more than
// d ago or more than d ahead, with ErrStale. It bounds how long a notification
// that somebody recorded can be sent again. By default any age is taken.
// NewVerifier fails if d isn't positive.
//
// The age is that of the event, not of the delivery. The service repeats a
// failed delivery three times in about ten seconds and doesn't promise to begin at
// once, and clocks differ: less than ten seconds refuses what it sends in good
// faith, and what is refused to the end is lost. Five minutes are a good
// beginning. To drop what comes twice within that time see [WithDeduplicator].
//
// A type that isn't known here is judged by its emittedAt too, and without one
// that can be read it is ErrStale.
func WithMaxAge(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return errors.New("the maximal age must be positive")
		}
		c.maxAge = d
		return nil
	}
}

// Verifier tells what the service has sent from everything else. It is safe for
// concurrent use and meant to be kept: it holds on to what the secrets need to be
// computed with, for up to 1,024 of them. Nothing that prints it prints a secret.
type Verifier struct {
	source SecretSource
	config config
	macs   *macs
}

// NewVerifier returns a verifier that asks source for secrets. It asks nothing
// yet. A nil source, StaticSecrets without a secret and a faulty option are
// facade.ErrInvalidArgument.
func NewVerifier(source SecretSource, opts ...Option) (*Verifier, error) {
	if source == nil {
		return nil, invalid("the secret source is nil")
	}
	if static, ok := source.(staticSecrets); ok && len(static) == 0 {
		return nil, invalid("StaticSecrets has no secret, or only empty ones")
	}
	v := &Verifier{source: source, config: config{maxBody: defaultMaxBody}, macs: &macs{pools: &map[string]*sync.Pool{}}}
	for _, opt := range opts {
		if opt == nil {
			return nil, invalid("an option is nil")
		}
		if err := opt(&v.config); err != nil {
			return nil, invalid(err.Error())
		}
	}
	return v, nil
}

func invalid(why string) error {
	return fmt.Errorf("apivideo: NewVerifier: %w: %s", facade.ErrInvalidArgument, why)
}

// Verify returns the notification in body if one of the secrets that the
// SecretSource gives has signed exactly these bytes. Nothing of the body is looked
// at before. The header is one of net/http, or made with its Set; body is
// neither changed nor kept.
//
// In this order: a body over the bound is ErrTooLarge; no signature is
// ErrUnsigned; one that can't be right, or a header that comes twice, is
// ErrBadSignature, and the SecretSource isn't asked. What it fails with is
// returned, wrapped; if it has no secret, that is ErrNoSecret. Then the
// signature is compared in constant time with that of every secret, and a
// difference to all of them is ErrBadSignature. Upper-case hex digits count as
// lower-case ones. What isn't a notification is ErrMalformed, as in Decode, and
// one of the wrong age ErrStale, see [WithMaxAge].
//
// The webhook's id is what the SecretSource is asked for. If the header lacks it,
// the id is "", which StaticSecrets doesn't mind and ClientSecrets doesn't know.
func (v *Verifier) Verify(ctx context.Context, header http.Header, body []byte) (*Notification, error) {
	id, err := v.authenticate(ctx, header, body)
	if err != nil {
		return nil, err
	}
	n, err := Decode(id, body)
	if err != nil {
		return nil, err
	}
	if limit := v.config.maxAge; limit > 0 {
		if n.EmittedAt.IsZero() {
			return nil, fmt.Errorf("apivideo: %w: it has no emittedAt to judge its age by", ErrStale)
		}
		if age := time.Since(n.EmittedAt); age > limit || age < -limit {
			return nil, fmt.Errorf("apivideo: %w: emittedAt is %v from now", ErrStale, age.Abs().Round(time.Millisecond))
		}
	}
	return n, nil
}

// What the keys of an http.Header are.
var (
	webhookIDKey = http.CanonicalHeaderKey(HeaderWebhookID)
	signatureKey = http.CanonicalHeaderKey(HeaderSignature)
)

// Refusals that an attacker can provoke by the thousand, made once.
var (
	errUnsigned     = fmt.Errorf("apivideo: %w: there is no %s header", ErrUnsigned, HeaderSignature)
	errManyHeaders  = fmt.Errorf("apivideo: %w: a header comes more than once", ErrBadSignature)
	errNotHex       = fmt.Errorf("apivideo: %w: it isn't 64 hex digits", ErrBadSignature)
	errNoSecret     = fmt.Errorf("apivideo: %w for this webhook", ErrNoSecret)
	errBadSignature = fmt.Errorf("apivideo: %w: no secret has signed this body", ErrBadSignature)
)

// authenticate returns the webhook's id if the body is signed.
func (v *Verifier) authenticate(ctx context.Context, header http.Header, body []byte) (id string, err error) {
	if len(body) > v.config.maxBody {
		return "", fmt.Errorf("apivideo: %w: more than %d bytes", ErrTooLarge, v.config.maxBody)
	}
	ids, signatures := header[webhookIDKey], header[signatureKey]
	if len(signatures) == 0 || len(signatures) == 1 && signatures[0] == "" {
		return "", errUnsigned
	}
	if len(signatures) > 1 || len(ids) > 1 {
		return "", errManyHeaders
	}
	var text [2 * sha256.Size]byte
	var signature [sha256.Size]byte
	if len(signatures[0]) != len(text) {
		return "", errNotHex
	}
	copy(text[:], signatures[0]) // a conversion would allocate
	if _, err := hex.Decode(signature[:], text[:]); err != nil {
		return "", errNotHex
	}
	if len(ids) == 1 {
		id = ids[0]
	}
	secrets, err := v.source.Secrets(ctx, id)
	if err != nil {
		return "", &sourceError{err}
	}
	var usable, equal int
	for _, secret := range secrets {
		if !secret.IsZero() { // anyone can sign with an empty one
			usable++
			equal |= v.macs.compare(secret.Reveal(), body, &signature)
		}
	}
	switch {
	case usable == 0:
		return "", errNoSecret
	case equal == 0:
		return "", errBadSignature
	}
	return id, nil
}

// sourceError is what a SecretSource failed with. Its text names this module once,
// although the cause may do so too.
type sourceError struct{ cause error }

func (e *sourceError) Error() string {
	return "apivideo: the secret can't be had: " + strings.TrimPrefix(fmt.Sprint(e.cause), "apivideo: ")
}

func (e *sourceError) Unwrap() error { return e.cause }

// macs keeps HMACs to be used again, by secret, because to make one costs as much
// as the HMAC of an ordinary notification.
type macs struct {
	mu sync.RWMutex
	// Behind a pointer of its own, since these are secrets as text, and to say that
	// a verb doesn't fit a pointer package fmt follows it once.
	pools *map[string]*sync.Pool
}

// maxMacs bounds the secrets. One more drops them all, since an account has about
// ten of them, and what a source has given up mustn't stay for ever.
const maxMacs = 1024

// mac is an HMAC with room for its sum.
type mac struct {
	hash.Hash
	sum []byte
}

// compare returns 1 if secret signs body with this signature, and 0 if not.
func (m *macs) compare(secret string, body []byte, signature *[sha256.Size]byte) int {
	m.mu.RLock()
	pool := (*m.pools)[secret]
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

func (m *macs) add(secret string) *sync.Pool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(*m.pools) >= maxMacs {
		clear(*m.pools)
	}
	pool := &sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, []byte(secret))} }}
	(*m.pools)[secret] = pool
	return pool
}
