package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// wrappedErrors returns err and all errors that it wraps.
func wrappedErrors(err error) []error {
	all := []error{err}
	switch e := err.(type) { //nolint:errorlint // visits all errors
	case interface{ Unwrap() error }:
		if wrapped := e.Unwrap(); wrapped != nil {
			all = append(all, wrappedErrors(wrapped)...)
		}
	case interface{ Unwrap() []error }:
		for _, wrapped := range e.Unwrap() {
			all = append(all, wrappedErrors(wrapped)...)
		}
	}
	return all
}

// A failedTest records the message of a failed assertion.
type failedTest struct{ message string }

func (f *failedTest) Errorf(format string, args ...any) { f.message += fmt.Sprintf(format, args...) }

// A timeoutError is a net.Error.
type timeoutError struct{ text string }

func (e *timeoutError) Error() string { return e.text }
func (*timeoutError) Timeout() bool   { return true }
func (*timeoutError) Temporary() bool { return true }

// No error that an Error wraps has the credential, and none is lost for errors.Is.
func TestError_credentialInWrappedError(t *testing.T) {
	t.Parallel()
	echo := &timeoutError{"malformed header " + basicKey}
	cause := errors.New("cause " + testKey)
	for name, lost := range map[string]error{
		"text":         echo,
		"wrapped":      fmt.Errorf("lost: %w", echo),
		"joined":       errors.Join(io.ErrUnexpectedEOF, echo),
		"URL":          &url.Error{Op: "Get", URL: "https://h/" + testKey, Err: echo},
		"of a context": nil,
	} {
		for _, op := range operations {
			ctx, cancel := context.WithCancelCause(t.Context())
			err := op.call(ctx, newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.Body != nil {
					_, _ = io.Copy(io.Discard, r.Body) // the request may have been sent
				}
				if lost == nil {
					cancel(cause)
					return nil, r.Context().Err()
				}
				return nil, lost
			})))
			cancel(nil)
			e := asError(t, err)
			if lost == nil {
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, cause)
			} else {
				require.ErrorIs(t, err, echo)
				var timeout net.Error
				require.ErrorAs(t, errors.Unwrap(err), &timeout)
				assert.True(t, timeout.Timeout(), name)
				assert.NotContains(t, timeout.Error(), testKey)
			}
			assert.Equal(t, name == "joined", errors.Is(err, io.ErrUnexpectedEOF))
			assert.Equal(t, op.name == "create", errors.Is(err, facade.ErrUnconfirmed))
			var request *url.Error
			require.ErrorAs(t, err, &request, "%s, %s", name, op.name)
			var failed failedTest
			assert.Equal(&failed, &facade.Error{}, e)
			texts := []string{failed.message, fmt.Sprintf("%v %+v %#v %+v %#v", err, err, err, *e, *e)}
			for _, wrapped := range wrappedErrors(err) {
				texts = append(texts, wrapped.Error(), fmt.Sprintf("%+v", wrapped))
			}
			require.Greater(t, len(texts), 4)
			for _, text := range texts {
				assert.NotContains(t, text, testKey, "%s, %s", name, op.name)
				assert.NotContains(t, text, strings.TrimPrefix(basicKey, "Basic "), "%s, %s", name, op.name)
			}
		}
	}
}
