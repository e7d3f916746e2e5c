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

// A keyError is a net.Error that may have a credential in its text, or hide an error
// that has one.
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
	r := redact.New(key)
	secret := errors.New("lost " + key)
	timeout := &keyError{"timeout " + key, nil}
	deadline, operation := context.DeadlineExceeded, &net.OpError{Op: "dial", Err: io.EOF}
	inURL := func(err error) error { return &url.Error{Op: "Get", URL: "/" + key, Err: err} }
	for _, test := range []struct {
		name string
		err  error
		want string
		is   []error
	}{
		{"text", secret, "lost [REDACTED]", []error{secret}},
		{"wrapped once", fmt.Errorf("a: %w", secret), "a: lost [REDACTED]", []error{secret}},
		{"wrapped timeout", fmt.Errorf("a: %w", timeout), "a: timeout [REDACTED]", []error{timeout}},
		{"next to a sentinel", fmt.Errorf("%w: %w", io.EOF, secret), "EOF: lost [REDACTED]", []error{io.EOF, secret}},
		{"joined", errors.Join(io.EOF, secret), "EOF\nlost [REDACTED]", []error{io.EOF, secret}},
		{"around a sentinel", fmt.Errorf(key+": %w", deadline), "[REDACTED]: context deadline exceeded", []error{deadline}},
		{"around an operation", fmt.Errorf(key+": %w", operation), "[REDACTED]: dial: EOF", []error{io.EOF, operation}},
		{"around a clean timeout", fmt.Errorf(key+": %w", &keyError{"t", nil}), "[REDACTED]: t", nil},
		{"hidden", &keyError{"hidden", fmt.Errorf("a: %w", secret)}, "hidden", []error{secret}},
		{"URL", inURL(timeout), `Get "/[REDACTED]": timeout [REDACTED]`, []error{timeout}},
		{"URL of a wrapped error", fmt.Errorf("a: %w", inURL(io.EOF)), `a: Get "/[REDACTED]": EOF`, []error{io.EOF}},
		{"URL of a context", inURL(deadline), `Get "/[REDACTED]": context deadline exceeded`, nil},
		{"operation of a URL", &url.Error{Op: key, URL: "/", Err: io.EOF}, `[REDACTED] "/": EOF`, []error{io.EOF}},
	} {
		got := r.Error(test.err)
		require.EqualError(t, got, test.want, test.name)
		assert.Equal(t, got, r.Error(got), "%s, redacted twice", test.name)
		for _, target := range test.is {
			require.ErrorIs(t, got, target, test.name)
		}
		assert.NotErrorIs(t, got, io.ErrNoProgress, test.name)
		var failed failedTest
		assert.Equal(&failed, io.EOF, got) // prints by reflection
		all := append(texts(got), failed.message, fmt.Sprintf("%v %+v %#v %q", got, got, got, got))

		var keyed *keyError
		if errors.As(got, &keyed) {
			all = append(all, texts(keyed)...)
		}
		var request *url.Error
		if errors.As(test.err, &request) && request.Op == "Get" {
			require.ErrorAs(t, got, &request, test.name)
			assert.Equal(t, "/[REDACTED]", request.URL)
		}
		for _, text := range all {
			assert.NotEmpty(t, text)
			assert.NotContains(t, text, key, test.name)
		}
		var e net.Error
		require.ErrorAs(t, got, &e)
		isTemporary := strings.Contains(test.want, "deadline")
		assert.Equal(t, isTemporary, e.Temporary(), test.name) //nolint:staticcheck // a method of net.Error
		var original net.Error
		assert.Equal(t, errors.As(test.err, &original) && original.Timeout(), e.Timeout(), test.name)
	}
	for _, clean := range []error{io.EOF, &keyError{"lost", io.EOF}, errors.Join(io.EOF, context.Canceled)} {
		assert.Equal(t, clean, r.Error(clean))
	}
}

// A long text is redacted before it is truncated.
func TestRedactor_Error_long(t *testing.T) {
	t.Parallel()
	const limit = 1000
	r := redact.New(key)
	long := fmt.Errorf("begin %s: %w", strings.Repeat("x", 10_000), &keyError{"end", io.EOF})
	got := r.Error(long)
	require.EqualError(t, got, "begin "+strings.Repeat("x", limit/2-6)+"…"+strings.Repeat("x", limit/2-1-5)+": end")
	require.ErrorIs(t, got, long)
	var e *keyError
	require.ErrorAs(t, got, &e)
	assert.Equal(t, got, r.Error(got))
	for n := range 2 * limit {
		text := r.Error(errors.New(strings.Repeat("x", n) + key + strings.Repeat("y", 2*limit-n))).Error()
		assert.NotContains(t, text, key[:4])
		assert.NotContains(t, text, key[12:])
		assert.LessOrEqual(t, len(text), limit+len("…"))
	}
}
