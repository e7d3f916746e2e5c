package redact

import (
	"errors"
	"net"
	"net/url"
)

// maxErrorText is the number of characters of an error that Error has changed.
const maxErrorText = 1000

// Error returns an error like err without credentials. A long text is truncated. All
// wrapped errors are redacted, too. errors.Is finds the targets of err. errors.As finds
// errors without credentials, and a redacted copy of a *url.Error.
func (r *Redactor) Error(err error) error {
	if r.isClean(err) {
		text := err.Error()
		if clipped := ClipMiddle(text, maxErrorText); clipped != text {
			return newRedactedError(err, clipped, []error{err})
		}
		return err
	}
	if e, ok := err.(*url.Error); ok && e.Err != nil { //nolint:errorlint // the wrapped errors follow
		clean := &url.Error{Op: e.Op, URL: r.String(e.URL), Err: r.Error(e.Err)}
		if r.isClean(clean) {
			return clean
		}
	}
	var wrapped []error
	for _, e := range unwrap(err) {
		wrapped = append(wrapped, r.Error(e))
	}
	return newRedactedError(err, ClipMiddle(r.String(err.Error()), maxErrorText), wrapped)
}

// isClean reports whether the texts of err and of all wrapped errors are free of
// credentials.
func (r *Redactor) isClean(err error) bool {
	if text := err.Error(); r.String(text) != text {
		return false
	}
	for _, e := range unwrap(err) {
		if !r.isClean(e) {
			return false
		}
	}
	return true
}

// unwrap returns the errors that err wraps directly.
func unwrap(err error) []error {
	var all []error
	switch e := err.(type) { //nolint:errorlint // the caller visits the wrapped errors
	case interface{ Unwrap() error }:
		all = []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		all = e.Unwrap()
	}
	var wrapped []error
	for _, e := range all {
		if e != nil {
			wrapped = append(wrapped, e)
		}
	}
	return wrapped
}

// A redactedError replaces an error and matches the same targets. The function is hides
// the original error from printers that use reflection.
type redactedError struct {
	text               string
	wrapped            []error
	is                 func(target error) bool
	timeout, temporary bool
}

func newRedactedError(err error, text string, wrapped []error) *redactedError {
	e := &redactedError{text: text, wrapped: wrapped, is: func(target error) bool { return errors.Is(err, target) }}
	var n net.Error
	if errors.As(err, &n) {
		e.timeout, e.temporary = n.Timeout(), n.Temporary() //nolint:staticcheck // a method of net.Error
	}
	return e
}

func (e *redactedError) Error() string        { return e.text }
func (e *redactedError) Unwrap() []error      { return e.wrapped }
func (e *redactedError) Is(target error) bool { return e.is(target) }

// Timeout and Temporary are the methods of net.Error.
func (e *redactedError) Timeout() bool   { return e.timeout }
func (e *redactedError) Temporary() bool { return e.temporary }
