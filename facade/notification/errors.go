package notification

import (
	"errors"
	"strings"
	"unicode"
)

// Why Verify refuses a notification, for errors.Is. An error that is none of
// these is what the SecretSource returned, or holds it. No error's text has a
// secret in it, or a signature, be it the one received or the one expected.
var (
	// ErrNoSecret means that there is no secret to verify with: the SecretSource
	// knows none for this webhook, or only empty ones.
	ErrNoSecret = errors.New("no signature secret")
	// ErrUnsigned means that there is no signature.
	ErrUnsigned = errors.New("unsigned")
	// ErrBadSignature means that none of the secrets has signed these bytes, that
	// the signature isn't 64 hex digits, or that a header comes more than once.
	ErrBadSignature = errors.New("bad signature")
	// ErrMalformed means that the bytes aren't a notification, whoever signed them.
	ErrMalformed = errors.New("malformed notification")
	// ErrStale means that emittedAt is further from now than WithMaxAge allows, or
	// that an unknown type has none to judge by.
	ErrStale = errors.New("stale notification")
	// ErrTooLarge means that the body is longer than WithMaxBody allows.
	ErrTooLarge = errors.New("notification too large")
)

// ErrUnavailable is for the function of NewHandler to return, or to wrap, when
// what it needs is out of reach for the moment: a queue, a database. The sender
// is told 503 in place of 500; it tries again after either.
var ErrUnavailable = errors.New("unavailable")

// clip makes one line of bounded length of what comes from outside.
func clip(s string, most int) string {
	n := 0
	for i := range s { // of a megabyte no more than the beginning is looked at
		if n == most {
			s = s[:i] + "…"
			break
		}
		n++
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}
