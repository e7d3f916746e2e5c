package redact_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
)

const errorKey = "0123456789abcdef"

// texts returns the texts of err and of all errors that it wraps.
func texts(err error) []string {
	if err == nil {
		return nil
	}
	all := []string{err.Error()}
	switch e := err.(type) { //nolint:errorlint // visits all errors
	case interface{ Unwrap() error }:
		all = append(all, texts(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, wrapped := range e.Unwrap() {
			all = append(all, texts(wrapped)...)
		}
	}
	return all
}

// A keyError has a credential in its text, or hides an error that has one.
type keyError struct {
	text    string
	wrapped error
}

func (e *keyError) Error() string   { return e.text }
func (e *keyError) Unwrap() error   { return e.wrapped }
func (e *keyError) Timeout() bool   { return true }
func (e *keyError) Temporary() bool { return false }

// failedTest is a TestingT that records the message of a failure.
type failedTest struct{ message string }

func (f *failedTest) Errorf(format string, args ...any) { f.message += fmt.Sprintf(format, args...) }

func TestRedactor_Error(t *testing.T) {
	t.Parallel()
	r := redact.New(errorKey)
	sentinel := errors.New("sentinel")
	secret := errors.New("lost " + errorKey)
	timeout := &keyError{"timeout " + errorKey, nil}
	operation := &net.OpError{Op: "dial", Err: io.ErrClosedPipe}
	tests := []struct {
		name string
		err  error
		want string
		is   []error
	}{
		{"text", secret, "lost [REDACTED]", []error{secret}},
		{"wrapped once", fmt.Errorf("a: %w", secret), "a: lost [REDACTED]", []error{secret}},
		{"next to a sentinel", fmt.Errorf("%w: %w", sentinel, secret), "sentinel: lost [REDACTED]", []error{sentinel, secret}},
		{"joined", errors.Join(sentinel, secret, context.Canceled), "sentinel\nlost [REDACTED]\ncontext canceled", []error{sentinel, secret, context.Canceled}},
		{"around a sentinel", fmt.Errorf("%s: %w", errorKey, context.DeadlineExceeded), "[REDACTED]: context deadline exceeded", []error{context.DeadlineExceeded}},
		{"around an operation", fmt.Errorf("%s: %w", errorKey, operation), "[REDACTED]: dial: io: read/write on closed pipe", []error{io.ErrClosedPipe, operation}},
		{"hidden", &keyError{"hidden", fmt.Errorf("a: %w", secret)}, "hidden", []error{secret}},
		{"URL", &url.Error{Op: "Get", URL: "/" + errorKey, Err: timeout}, `Get "/[REDACTED]": timeout [REDACTED]`, []error{timeout}},
		{"URL of a wrapped error", fmt.Errorf("a: %w", &url.Error{Op: "Get", URL: "/" + errorKey, Err: sentinel}), `a: Get "/[REDACTED]": sentinel`, []error{sentinel}},
		{"operation of a URL", &url.Error{Op: errorKey, URL: "/", Err: sentinel}, `[REDACTED] "/": sentinel`, []error{sentinel}},
	}
	for _, test := range tests {
		got := r.Error(test.err)
		require.EqualError(t, got, test.want, test.name)
		for _, target := range test.is {
			require.ErrorIs(t, got, target, test.name)
		}
		assert.NotErrorIs(t, got, io.EOF, test.name)
		for _, text := range texts(got) {
			assert.NotContains(t, text, errorKey, test.name)
		}
		var failed failedTest
		assert.Equal(&failed, io.EOF, got)
		for _, text := range []string{failed.message, fmt.Sprintf("%v %+v %#v %q", got, got, got, got)} {
			assert.NotEmpty(t, text)
			assert.NotContains(t, text, errorKey, test.name)
		}
		assert.Equal(t, got, r.Error(got), "redacted twice")

		var keyed *keyError
		if errors.As(got, &keyed) {
			assert.NotContains(t, strings.Join(texts(keyed), " "), errorKey, test.name)
		}
		var location *url.Error
		if isURL := errors.As(test.err, &location) && location.Op != errorKey; isURL {
			require.ErrorAs(t, got, &location, test.name)
			assert.Equal(t, "/[REDACTED]", location.URL)
			assert.NotContains(t, location.Err.Error(), errorKey)
		}
	}
}

func TestRedactor_Error_timeout(t *testing.T) {
	t.Parallel()
	r := redact.New(errorKey)
	for name, want := range map[string]error{
		"clean":             fmt.Errorf("%s: %w", errorKey, &keyError{"timeout", nil}),
		"with a credential": fmt.Errorf("a: %w", &keyError{errorKey, nil}),
		"of a URL":          &url.Error{Op: "Get", URL: "/" + errorKey, Err: &keyError{errorKey, nil}},
		"of the context":    &url.Error{Op: "Get", URL: "/" + errorKey, Err: context.DeadlineExceeded},
		"temporary":         fmt.Errorf("%s: %w", errorKey, context.DeadlineExceeded),
		"none":              fmt.Errorf("a: %w", errors.New(errorKey)),
	} {
		var e net.Error
		require.ErrorAs(t, r.Error(want), &e, name)
		assert.Equal(t, name != "none", e.Timeout(), name)
		assert.Equal(t, name == "of the context" || name == "temporary", e.Temporary(), name) //nolint:staticcheck // a method of net.Error
		assert.NotContains(t, e.Error(), errorKey)
	}
}

func TestRedactor_Error_clean(t *testing.T) {
	t.Parallel()
	r := redact.New(errorKey)
	for _, clean := range []error{errors.New("lost"), io.EOF, &keyError{"lost", io.EOF}, errors.Join(io.EOF, context.Canceled)} {
		assert.Equal(t, clean, r.Error(clean))
	}
}

// A long text is redacted before it is truncated.
func TestRedactor_Error_long(t *testing.T) {
	t.Parallel()
	const limit = 1000
	r := redact.New(errorKey)
	long := fmt.Errorf("begin %s: %w", strings.Repeat("x", 10_000), &keyError{"end", io.EOF})
	got := r.Error(long)
	assert.Equal(t, "begin "+strings.Repeat("x", limit/2-6)+"…"+strings.Repeat("x", limit/2-1-5)+": end", got.Error())
	require.ErrorIs(t, got, long)
	var e *keyError
	require.ErrorAs(t, got, &e)
	assert.Equal(t, "end", e.Error())
	assert.Equal(t, got, r.Error(got))
	for n := range 2 * limit {
		text := r.Error(errors.New(strings.Repeat("x", n) + errorKey + strings.Repeat("y", 2*limit-n))).Error()
		assert.NotContains(t, text, errorKey[:4])
		assert.NotContains(t, text, errorKey[12:])
		assert.LessOrEqual(t, len(text), limit+len("…"))
	}
}
