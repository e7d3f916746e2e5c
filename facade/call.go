package facade

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

// How large a body may be. A page of 100 webhooks has about 30 KiB.
const (
	maxSuccessBody = 10 << 20
	maxErrorBody   = 64 << 10
	maxPooledBody  = 1 << 20 // of the memory kept for the next one
)

// boundedDoer is the end of the chain: it sends, reads the answer within its
// bound, so that those before it have all of it or none, and notes the rate limit.
type boundedDoer struct {
	client    *http.Client
	rateLimit *latestRateLimit
}

func (d *boundedDoer) Do(req *http.Request) (*http.Response, error) {
	if d.client.Jar != nil {
		req = req.Clone(req.Context()) // cookies are added to its header, anew with each attempt
	}
	resp, err := d.client.Do(req)
	if resp != nil && resp.Request == nil {
		resp.Request = req // of a transport that doesn't say
	}
	if err != nil {
		return resp, quiet(req, ended(req.Context(), err)) // with the redirect that the caller's policy failed on, if it did
	}
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK { // a 101 leaves the connection to us, and no timeout would end reading it
		return resp, finalError{fmt.Errorf("%w: it isn't a final one", ErrUnexpectedResponse)}
	}
	limit := int64(maxErrorBody)
	if isSuccess(resp.StatusCode) {
		limit = maxSuccessBody
	}
	if rl, ok := parseRateLimit(resp.Header, time.Now()); ok {
		d.rateLimit.store(rl)
	}
	held := buffers.Get().(*bytes.Buffer)
	_, err = held.ReadFrom(http.MaxBytesReader(nil, resp.Body, limit))
	resp.Body = &heldBody{held}
	return resp, unreadable(ended(req.Context(), err), resp.StatusCode)
}

func isSuccess(status int) bool { return status >= 200 && status <= 299 }

// buffers are kept because the bodies of lists are large and short-lived.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// heldBody is a body in memory, which closing it gives back.
type heldBody struct{ buf *bytes.Buffer }

func (b *heldBody) Read(p []byte) (int, error) {
	if b.buf == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.buf.Read(p)
}

func (b *heldBody) Close() error {
	if b.buf != nil && b.buf.Cap() <= maxPooledBody {
		b.buf.Reset()
		buffers.Put(b.buf)
	}
	b.buf = nil
	return nil
}

// bodyOf returns what is held of an answer's body until it is closed.
func bodyOf(resp *http.Response) []byte {
	if held, ok := resp.Body.(*heldBody); ok && held.buf != nil {
		return held.buf.Bytes()
	}
	return nil
}

// call turns what the generated client returned into the model that want says
// there should be, or into an *Error. A nil model means that no body is due.
func call(op string, want int, model any, t *tries, resp *http.Response, err error) error {
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		var e *Error
		switch {
		case resp != nil:
			e = newError(op, t, resp, bodyOf(resp))
			e.cause = err
		case holds[unsentError](err) && errors.As(err, &e): // of the token exchange
			exchange := *e
			exchange.Attempts = t.n
			e = &exchange
		default:
			e = &Error{Op: op, Attempts: t.n, cause: err}
		}
		return e
	}
	if resp.StatusCode != want {
		e := newError(op, t, resp, bodyOf(resp))
		switch {
		case resp.StatusCode < 300:
			e.cause = finalError{fmt.Errorf("%w: not the status %d of a success", ErrUnexpectedResponse, want)}
		case resp.StatusCode < 400:
			e.cause = fmt.Errorf("%w: a redirect", ErrUnexpectedResponse)
		}
		return e
	}
	if model == nil {
		return nil
	}
	body := bodyOf(resp)
	if err := json.Unmarshal(body, model); err != nil {
		contentType := blanker(resp.Request).Replace(resp.Header.Get("Content-Type")) // before half of it is clipped
		return unusable(op, t, resp, fmt.Sprintf("%d bytes of %q: %v", len(body), clip(contentType, 200), err))
	}
	return nil
}

// ended shows errors.Is that ctx is the reason, where net/http gives its cause.
func ended(ctx context.Context, err error) error {
	if reason := ctx.Err(); err != nil && reason != nil && !errors.Is(err, reason) {
		return fmt.Errorf("%w: %w", reason, err)
	}
	return err
}

// unreadable says why a body couldn't be read. That the caller or the timeout
// gave up on it says nothing about the answer.
func unreadable(err error, status int) error {
	if err == nil {
		return nil
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &tooLarge):
		err = fmt.Errorf("%w: its body is larger than %d bytes", ErrUnexpectedResponse, tooLarge.Limit)
		if isSuccess(status) {
			return finalError{err}
		}
		return err
	default:
		return fmt.Errorf("%w: its body can't be read: %w", ErrUnexpectedResponse, err)
	}
}

// finalError is one that another attempt would meet as well.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// holds tells whether err is a T or wraps one.
func holds[T error](err error) bool {
	if err == nil { // as it mostly is, and the search for a T would allocate one
		return false
	}
	var target T
	return errors.As(err, &target)
}

// unusable reports an answer whose status is right and whose body is not.
func unusable(op string, t *tries, resp *http.Response, why string) *Error {
	e := newError(op, t, resp, nil)
	e.cause = finalError{fmt.Errorf("%w: %s", ErrUnexpectedResponse, blanker(resp.Request).Replace(why))}
	return e
}

// newError describes an answer. Whatever stands in front of the service may
// have written the body, so that only what is there is taken from it.
func newError(op string, t *tries, resp *http.Response, body []byte) *Error {
	now := time.Now()
	blank := blanker(resp.Request)
	e := &Error{Op: op, StatusCode: resp.StatusCode, Attempts: t.n, Header: make(http.Header, len(resp.Header))}
	for name, values := range resp.Header {
		for _, value := range values {
			e.Header[name] = append(e.Header[name], blank.Replace(value))
		}
	}
	e.RateLimit, _ = parseRateLimit(resp.Header, now)
	if resp.StatusCode == http.StatusTooManyRequests {
		e.RetryAfter, _ = parseRetryAfter(resp.Header, now)
	}
	if isSuccess(resp.StatusCode) {
		return e
	}
	e.Body = []byte(blank.Replace(string(body)))
	var model gen.Error
	if err := json.Unmarshal(e.Body, &model); err != nil {
		var wrongType *json.UnmarshalTypeError // the other members are decoded all the same
		if !errors.As(err, &wrongType) {
			return e
		}
	}
	// Again, for JSON has many ways to write the same.
	e.Type, e.Title = blank.Replace(model.Type), blank.Replace(model.Title)
	e.Name, e.Detail = blank.Replace(model.Name), blank.Replace(model.Detail)
	for _, p := range model.Problems {
		title := p.Title
		if title == "" {
			title = p.Events // where some answers have the text
		}
		e.Problems = append(e.Problems, Problem{Name: blank.Replace(p.Name), Title: blank.Replace(title), Type: blank.Replace(p.Type)})
	}
	return e
}

// blanker takes out of a text what has authenticated req, which a proxy's error
// page may show. What is shorter than any real key or token may stand there for
// another reason.
func blanker(req *http.Request) *strings.Replacer {
	_, encoded, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	key, _, _ := req.BasicAuth()
	exchanged, _ := req.Context().Value(exchangeKey{}).(string)
	var pairs []string
	for _, credential := range []string{encoded, key, exchanged} {
		if len(credential) < 16 {
			continue
		}
		quoted := strconv.Quote(credential)
		for _, form := range []string{
			credential, url.QueryEscape(credential), url.PathEscape(credential),
			strings.ReplaceAll(credential, "/", `\/`), quoted[1 : len(quoted)-1],
		} {
			pairs = append(pairs, form, redacted)
		}
	}
	return strings.NewReplacer(pairs...)
}

// quiet returns err without what has authenticated req, should net/http quote an
// answer that shows it.
func quiet(req *http.Request, err error) error {
	text := err.Error()
	if blanked := blanker(req).Replace(text); blanked != text {
		return quietError{err, blanked}
	}
	return err
}

type quietError struct {
	error
	text string
}

func (e quietError) Error() string { return e.text }
func (e quietError) Unwrap() error { return e.error }
