package notification

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// Errors of Verify, for errors.Is. Every other error comes from the SecretSource.
// The texts are free of secrets and signatures.
var (
	// ErrNoSecret means that the secret of the webhook is unknown.
	ErrNoSecret = errors.New("no signature secret")
	// ErrUnsigned means that the signature is missing.
	ErrUnsigned = errors.New("unsigned")
	// ErrBadSignature means that the signature is malformed, that every secret has
	// another signature, or that a header occurs more than once.
	ErrBadSignature = errors.New("bad signature")
	// ErrMalformed means that the body is not a JSON object with a type.
	ErrMalformed = errors.New("malformed notification")
	// ErrStale means that emittedAt is unreadable or beyond the limit of WithMaxAge.
	ErrStale = errors.New("stale notification")
	// ErrTooLarge means that the body is longer than WithMaxBody allows.
	ErrTooLarge = errors.New("notification too large")
)

// ErrUnavailable means that a queue, a database or another dependency is
// temporarily unavailable. The function of NewHandler may return or wrap
// ErrUnavailable, to respond with 503 instead of 500. The service retries after
// both.
var ErrUnavailable = errors.New("unavailable")

var (
	// errIncomplete means that reading the body failed.
	errIncomplete = errors.New("the body is incomplete")
	errMethod     = errors.New("the method is not POST")
	// errBodyClosed is a fault of this server.
	errBodyClosed = errors.New("apivideo: a middleware has read and closed the body")
)

// sourceError is the error of a SecretSource. Its text has the prefix of this
// module once.
type sourceError struct{ cause error }

func (e *sourceError) Error() string {
	return "apivideo: the signature secret is unavailable: " + strings.TrimPrefix(fmt.Sprint(e.cause), "apivideo: ")
}

func (e *sourceError) Unwrap() error { return e.cause }

// StatusCode returns the status that NewHandler responds with after an error of Verify
// or VerifyRequest:
//
//   - 202 for nil
//   - 400 for ErrMalformed, and for a failure to read the body
//   - 401 for ErrNoSecret, ErrUnsigned, ErrBadSignature and ErrStale
//   - 413 for ErrTooLarge
//   - 503 for an error of the SecretSource
//   - 500 for every other error
//
// An error of the SecretSource that wraps one of the errors above has its status. After
// an error of the function NewHandler responds with 503 for ErrUnavailable, and with
// 500 for every other error.
func StatusCode(err error) int {
	var source *sourceError
	switch {
	case err == nil:
		return http.StatusAccepted
	case errors.Is(err, ErrMalformed), errors.Is(err, errIncomplete):
		return http.StatusBadRequest
	case errors.Is(err, ErrNoSecret), errors.Is(err, ErrUnsigned), errors.Is(err, ErrBadSignature), errors.Is(err, ErrStale):
		return http.StatusUnauthorized
	case errors.Is(err, errMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrUnavailable), errors.As(err, &source):
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// clip returns the first limit characters of s in one printable line.
func clip(s string, limit int) string {
	n := 0
	for i := range s { // stops at the limit of a long text
		if n == limit {
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
