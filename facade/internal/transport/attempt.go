package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
)

// ErrUnexpectedResponse means that a response was received but is unusable.
var ErrUnexpectedResponse = errors.New("unexpected response")

var errTimeout = errors.New("the timeout of the attempt is over")

// A Sender sends single attempts. It must not be copied.
type Sender struct {
	RoundTripper http.RoundTripper // nil means http.DefaultTransport
	Timeout      time.Duration     // of an attempt, including its response body
	MaxBody      int64             // limit of the body of a 2xx response
	MaxErrorBody int64             // limit of every other body
	Header       http.Header       // added to requests, with one value each
	Redactor     *redact.Redactor
	OnResponse   func(http.Header) // called for each response, if not nil

	// http1 is set while the last response came over HTTP/1. Pooled connections
	// then use HTTP/1, too.
	http1 atomic.Bool
}

// forOtherServer returns a Sender with the settings of s that observes no responses.
func (s *Sender) forOtherServer() *Sender {
	return &Sender{
		RoundTripper: s.RoundTripper,
		Timeout:      s.Timeout,
		MaxBody:      s.MaxBody,
		MaxErrorBody: s.MaxErrorBody,
		Header:       s.Header,
		Redactor:     s.Redactor,
	}
}

// An Attempt is the outcome of sending a request once.
type Attempt struct {
	Status     int            // 0 without a response
	Response   *http.Response // nil without a response
	Body       []byte         // of Response; with Err incomplete, or up to maxExcess above the limit
	Err        error          // reason for a missing response or an incomplete body
	RetryAfter time.Duration  // delay in the response of a 429 or 503, or 0

	asksToWait bool     // RetryAfter is set
	notSent    bool     // the server did not receive the request
	resent     bool     // net/http may have sent the request twice
	permanent  bool     // a retry would have the same outcome
	token      *Attempt // the failed token request, without which nothing was sent
	credential string
	buffer     *bytes.Buffer // holds Body
}

// A TokenError means that there is no credential. The request was not sent.
type TokenError struct {
	Attempt *Attempt // the last token request
	Err     error
}

func (e *TokenError) Error() string { return e.Err.Error() }
func (e *TokenError) Unwrap() error { return e.Err }

// send sends req once and reads the response.
func (s *Sender) send(call context.Context, req *http.Request, auth Authenticator) (a Attempt) {
	if a.credential, a.Err = s.setHeaders(call, req, auth); a.Err != nil {
		a.notSent = true
		var e *TokenError
		if errors.As(a.Err, &e) {
			a.token = e.Attempt
		}
		a.Err = s.Redactor.Error(a.Err)
		return a
	}
	ctx, cancel := context.WithTimeoutCause(call, s.Timeout, errTimeout)
	defer cancel()
	rt := s.RoundTripper
	if rt == nil {
		rt = http.DefaultTransport
	}
	t := newTrace(cancel)
	req = t.watch(ctx, req, rt, s.http1.Load())
	resp, err := rt.RoundTrip(req)
	if err == nil && resp == nil {
		err = errors.New("the http.RoundTripper returned no response and no error")
	}
	a.resent = t.resent()
	if err != nil {
		a.notSent = t.notSent(err)
		a.Err = requestError(req, contextError(ctx, err))
	} else {
		a.Response, a.Status = resp, resp.StatusCode
		s.http1.Store(resp.ProtoMajor == 1)
		s.read(ctx, req.Method, &a)
	}
	if a.Err != nil && t.canceled() && call.Err() == nil {
		a.Err = requestError(req, errTooManyConns) // instead of context.Canceled
	}
	if a.Err != nil {
		a.Err = s.Redactor.Error(a.Err)
	}
	return a
}

// setHeaders sets the headers of req and returns the credential. The values belong to
// req alone, because a transport may change values in place.
func (s *Sender) setHeaders(ctx context.Context, req *http.Request, auth Authenticator) (credential string, err error) {
	values := make([]string, 0, len(s.Header)+1)
	set := func(name, value string) {
		values = append(values, value)
		req.Header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	for name, v := range s.Header {
		if _, ok := req.Header[name]; !ok {
			set(name, v[0])
		}
	}
	if auth == nil {
		return "", nil
	}
	credential, err = auth.Credential(ctx)
	if err == nil {
		set("Authorization", credential)
	}
	return credential, err
}

// read reads the body of the response, up to the limit.
func (s *Sender) read(ctx context.Context, method string, a *Attempt) {
	if a.Response.Body == nil {
		a.Response.Body = http.NoBody
	}
	defer a.Response.Body.Close()
	if a.Status < http.StatusOK { // the connection of a 101 has no timeout
		a.Err, a.permanent = fmt.Errorf("%w: status %d is not final", ErrUnexpectedResponse, a.Status), true
		return
	}
	if a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable {
		a.RetryAfter, a.asksToWait = parseRetryAfter(a.Response.Header, a.Status, time.Now())
	}
	if s.OnResponse != nil {
		s.OnResponse(a.Response.Header)
	}
	if method == http.MethodDelete && IsSuccess(a.Status) {
		return // the status is sufficient
	}
	limit := s.MaxErrorBody
	if IsSuccess(a.Status) {
		limit = s.MaxBody
	}
	a.buffer = buffers.Get().(*bytes.Buffer)
	_, err := a.buffer.ReadFrom(io.LimitReader(a.Response.Body, limit+maxExcess))
	a.Body = a.buffer.Bytes()
	switch {
	case int64(len(a.Body)) > limit:
		a.Err = fmt.Errorf("%w: body larger than %d bytes", ErrUnexpectedResponse, limit)
		a.permanent = IsSuccess(a.Status)
	case err != nil && ctx.Err() != nil:
		a.Err = contextError(ctx, err)
	case err != nil:
		a.Err = fmt.Errorf("%w: cannot read the body: %w", ErrUnexpectedResponse, err)
	}
}

// IsSuccess reports whether status is from 200 to 299.
func IsSuccess(status int) bool { return status >= 200 && status <= 299 }

// maxExcess is the number of bytes that are read above the limit of a body. A caller
// can then redact a credential at the limit before the body is truncated.
const maxExcess = 4 << 10

// maxPooledBuffer limits the memory that is kept for later responses.
const maxPooledBuffer = 1 << 20

// buffers are reused because the bodies of lists are large.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Release allows the memory of Body to be reused.
func (a *Attempt) Release() {
	if a.buffer != nil && a.buffer.Cap() <= maxPooledBuffer {
		a.buffer.Reset()
		buffers.Put(a.buffer)
	}
	a.buffer, a.Body = nil, nil
}

// requestError describes a missing response in the form of http.Client.
func requestError(req *http.Request, err error) error {
	var e tls.RecordHeaderError
	if errors.As(err, &e) && string(e.RecordHeader[:]) == "HTTP/" {
		err = http.ErrSchemeMismatch
	}
	return &url.Error{Op: req.Method[:1] + strings.ToLower(req.Method[1:]), URL: req.URL.String(), Err: err}
}

// contextError returns err, or after the end of ctx an error that wraps err, the error
// of ctx and the cause.
func contextError(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	for _, reason := range []error{context.Cause(ctx), ctx.Err()} {
		switch {
		case err == nil:
			err = reason
		case !errors.Is(err, reason):
			err = fmt.Errorf("%w: %w", reason, err)
		}
	}
	return err
}
