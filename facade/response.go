package facade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
	"github.com/apivideo-community/webhooks-go/facade/internal/transport"
	"github.com/apivideo-community/webhooks-go/gen"
)

// Limits of response bodies. A page of 100 webhooks has about 30 KiB.
const (
	maxBody      = 10 << 20
	maxErrorBody = 64 << 10
)

// do sends a request and decodes the body of a 2xx response into model. Without a
// model the status alone is a success. Every error is an *Error.
func do(ctx context.Context, t *transport.Client, op string, model any, build func() (*http.Request, error)) (*transport.Result, error) {
	r := t.Do(ctx, build)
	defer r.Release()
	switch {
	case r.Err != nil:
		return r, callError(t, op, r)
	case transport.IsSuccess(r.Status):
		if model == nil {
			return r, nil
		}
		if err := decode(r.Body, model); err != nil {
			contentType := clip(t, r.Response.Header.Get("Content-Type"))
			return r, invalidResponse(t, op, r, "%d bytes of %q: %v", len(r.Body), contentType, err)
		}
		return r, nil
	case r.Status < 400:
		return r, invalidResponse(t, op, r, "a redirect%s, which is not followed", location(t, r.Response.Header))
	}
	return r, newError(t, op, r, nil)
}

// decode decodes a JSON object. A field of another JSON type than in model is zero.
func decode(body []byte, model any) error {
	err := json.Unmarshal(body, model)
	if err == nil {
		return nil // before the allocation of wrongType
	}
	var wrongType *json.UnmarshalTypeError // all other fields are decoded
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return nil
	}
	return err
}

// location describes the Location of a redirect, without user info and query.
func location(t *transport.Client, h http.Header) string {
	u, err := url.Parse(h.Get("Location"))
	if err != nil || h.Get("Location") == "" {
		return ""
	}
	u.User, u.Opaque, u.RawQuery, u.Fragment = nil, "", "", ""
	return " to " + clip(t, redactPassword(u.String()))
}

// clip returns the first characters of s without credentials.
func clip(t *transport.Client, s string) string {
	const limit = 200
	return redact.Clip(t.Redactor.Prefix(s, limit*utf8.UTFMax), limit)
}

// callError returns the error of a call without a complete response. The error of a
// token request is the error of the call.
func callError(t *transport.Client, op string, r *transport.Result) *Error {
	var (
		tokenError *transport.TokenError
		e          *Error
	)
	if !errors.As(r.Err, &tokenError) || !errors.As(tokenError.Err, &e) {
		return newError(t, op, r, r.Err)
	}
	e.Attempts = r.Attempts
	return e
}

// cloneError returns a copy if err is an *Error.
func cloneError(err error) error {
	e, ok := err.(*Error) //nolint:errorlint // the error of do
	if !ok {
		return err
	}
	clone := *e
	clone.Header, clone.Body, clone.Problems = e.Header.Clone(), slices.Clone(e.Body), slices.Clone(e.Problems)
	return &clone
}

// invalidResponse reports an unusable response with the status of a success or a
// redirect.
func invalidResponse(t *transport.Client, op string, r *transport.Result, format string, args ...any) *Error {
	return newError(t, op, r, fmt.Errorf("%w: %s", ErrUnexpectedResponse, fmt.Sprintf(format, args...)))
}

// newError returns an Error for the outcome of a call. A proxy may have written the
// body, so every field is optional. All text is redacted.
func newError(t *transport.Client, op string, r *transport.Result, cause error) *Error {
	e := &Error{Op: op, StatusCode: r.Status, Attempts: r.Attempts, RetryAfter: r.RetryAfter, host: r.Host}
	if cause != nil {
		e.cause = t.Redactor.Error(cause)
	}
	if r.Response == nil {
		return e
	}
	e.Header = t.Redactor.Header(r.Response.Header)
	e.RateLimit, _ = parseRateLimit(r.Response.Header, time.Now())
	if r.Status < 400 {
		return e // the body may be a webhook with its secret
	}
	redacted := func(s string) string { return redact.SignatureSecrets(t.Redactor.String(s)) }
	e.Body = []byte(redact.SignatureSecrets(t.Redactor.Prefix(string(r.Body), maxErrorBody)))
	e.Body = e.Body[:min(len(e.Body), maxErrorBody)]
	var model gen.Error
	if decode(r.Body, &model) != nil {
		return e
	}
	e.Type, e.Title = redacted(model.Type), redacted(model.Title)
	e.Name, e.Detail = redacted(model.Name), redacted(model.Detail)
	for _, p := range model.Problems {
		title := p.Title
		if title == "" {
			title = p.Events // some responses have the text there
		}
		e.Problems = append(e.Problems, Problem{Name: redacted(p.Name), Title: redacted(title), Type: redacted(p.Type)})
	}
	return e
}
