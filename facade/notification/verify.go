package notification

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
)

const defaultMaxBody = 1 << 20

// Option configures a Verifier. Later options override earlier ones.
type Option func(*config) error

type config struct {
	maxBody int
	maxAge  time.Duration // 0: no limit
}

// WithMaxBody sets the maximum length of a body in bytes. The default is 1 MiB. A
// longer body is ErrTooLarge. NewVerifier returns an error unless n is positive.
func WithMaxBody(n int) Option {
	return func(c *config) error {
		if n <= 0 {
			return fmt.Errorf("WithMaxBody: %d is not positive", n)
		}
		c.maxBody = n
		return nil
	}
}

// WithMaxAge sets the maximum difference between the current time and emittedAt,
// in the past and in the future. By default an event of any age is accepted. A
// greater difference is ErrStale, and so is an event without a readable emittedAt.
// NewVerifier returns an error unless d is positive.
//
// The limit ends the replay of a recorded notification, because the signature
// covers emittedAt. Five minutes are a good value. Redeliveries and clock
// differences need at least ten seconds. [WithDeduplicator] rejects replays within
// the limit.
func WithMaxAge(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("WithMaxAge: %v is not positive", d)
		}
		c.maxAge = d
		return nil
	}
}

// Verifier verifies that the service has signed a notification. It is safe for
// concurrent use and meant to be reused, because it caches HMACs. Printing it shows
// no secret.
type Verifier struct {
	source SecretSource
	config config
	hmacs  *sync.Pool // of *hmacs
}

// NewVerifier returns a Verifier with the secrets of source. It requests no secret
// yet. The error is facade.ErrInvalidArgument if source is nil, if an option is
// invalid, or if StaticSecrets has no secret or an invalid one.
func NewVerifier(source SecretSource, opts ...Option) (*Verifier, error) {
	if source == nil {
		return nil, invalid(errors.New("the secret source is nil"))
	}
	if static, ok := source.(staticSecrets); ok {
		if err := static.check(); err != nil {
			return nil, invalid(err)
		}
	}
	v := &Verifier{source: source, config: config{maxBody: defaultMaxBody}, hmacs: newHMACs()}
	for _, opt := range opts {
		if opt == nil {
			return nil, invalid(errors.New("an option is nil"))
		}
		if err := opt(&v.config); err != nil {
			return nil, invalid(err)
		}
	}
	return v, nil
}

func invalid(err error) error {
	return fmt.Errorf("apivideo: NewVerifier: %w: %w", facade.ErrInvalidArgument, err)
}

// Verify returns the notification in body if the service has signed body. It
// neither changes nor keeps body, which must have the exact bytes of the request.
// Header names match in any spelling.
//
// The checks run in this order: the length of the body, the headers, the secrets
// from the SecretSource, the signature in constant time, and the content. The
// package comment lists the errors. An error of the SecretSource is wrapped.
// Without a webhook ID in the header, the SecretSource is asked for "".
func (v *Verifier) Verify(ctx context.Context, header http.Header, body []byte) (*Notification, error) {
	id, err := v.authenticate(ctx, header, body)
	if err != nil {
		return nil, err
	}
	n, err := Decode(id, body)
	if err != nil {
		return nil, err
	}
	if err := v.checkAge(n.EmittedAt); err != nil {
		return nil, err
	}
	return n, nil
}

func (v *Verifier) checkAge(emittedAt time.Time) error {
	limit := v.config.maxAge
	if limit == 0 {
		return nil
	}
	if emittedAt.IsZero() {
		return fmt.Errorf("apivideo: %w: emittedAt is missing or unreadable", ErrStale)
	}
	if age := time.Since(emittedAt); age > limit || age < -limit {
		return fmt.Errorf("apivideo: %w: emittedAt is %v from now, the limit is %v", ErrStale, age.Abs().Round(time.Millisecond), limit)
	}
	return nil
}

// Errors of headers. They are variables because any client can cause many of them.
var (
	errNoSignature        = fmt.Errorf("apivideo: %w: the %s header is missing or empty", ErrUnsigned, HeaderSignature)
	errNotHex             = fmt.Errorf("apivideo: %w: the %s header is not hexadecimal", ErrBadSignature, HeaderSignature)
	errDuplicateID        = fmt.Errorf("apivideo: %w: the %s header occurs more than once", ErrBadSignature, HeaderWebhookID)
	errDuplicateSignature = fmt.Errorf("apivideo: %w: the %s header occurs more than once", ErrBadSignature, HeaderSignature)
)

// authenticate returns the webhook ID if the body is signed.
func (v *Verifier) authenticate(ctx context.Context, header http.Header, body []byte) (id string, err error) {
	if len(body) > v.config.maxBody {
		return "", tooLarge(int64(len(body)), int64(v.config.maxBody))
	}
	var signature [sha256.Size]byte
	if id, err = parseHeader(header, &signature); err != nil {
		return "", err
	}
	secrets, err := v.source.Secrets(ctx, id)
	if err != nil {
		return "", &sourceError{err}
	}
	macs := v.hmacs.Get().(*hmacs)
	defer v.hmacs.Put(macs)
	var usable, equal int
	var invalidSecret error
	for i, secret := range secrets {
		if secret.IsZero() { // everyone can sign with the zero Secret
			continue
		}
		usable++
		mac, err := macs.get(secret)
		if err != nil {
			invalidSecret = fmt.Errorf("secret %d of %d %w", i+1, len(secrets), err)
			continue
		}
		equal |= macs.compare(mac, body, &signature)
	}
	switch {
	case equal == 1:
		return id, nil
	case invalidSecret != nil:
		return "", &sourceError{invalidSecret}
	case usable == 0 && id == "":
		return "", fmt.Errorf("apivideo: %w: the %s header is missing or empty", ErrNoSecret, HeaderWebhookID)
	case usable == 0:
		return "", fmt.Errorf("apivideo: %w for this webhook", ErrNoSecret)
	case len(body) == 0:
		return "", fmt.Errorf("apivideo: %w: the body is empty; a middleware may have read it before", ErrBadSignature)
	}
	return "", fmt.Errorf("apivideo: %w: it matches no secret (secrets: %d, bytes: %d)", ErrBadSignature, usable, len(body))
}

// parseHeader returns the webhook ID in a header, and stores the signature.
func parseHeader(header http.Header, signature *[sha256.Size]byte) (id string, err error) {
	ids, signatures := deliveryHeaders(header)
	switch {
	case len(signatures) == 0 || len(signatures) == 1 && signatures[0] == "":
		return "", errNoSignature
	case len(signatures) > 1:
		return "", errDuplicateSignature
	case len(ids) > 1:
		return "", errDuplicateID
	}
	var digits [2 * sha256.Size]byte
	if n := len(signatures[0]); n != len(digits) {
		return "", fmt.Errorf("apivideo: %w: the %s header has %d characters instead of %d", ErrBadSignature, HeaderSignature, n, len(digits))
	}
	copy(digits[:], signatures[0]) // a conversion would allocate
	if _, err := hex.Decode(signature[:], digits[:]); err != nil {
		return "", errNotHex
	}
	if len(ids) == 1 {
		id = ids[0]
	}
	return id, nil
}

func tooLarge(size, limit int64) error {
	return fmt.Errorf("apivideo: %w: %d bytes, the limit is %d", ErrTooLarge, size, limit)
}
