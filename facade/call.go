package facade

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

// boundedDoer is the end of the chain: it sends, bounds the answer's body and
// notes the rate limit.
type boundedDoer struct {
	client    *http.Client
	rateLimit *latestRateLimit
}

func (d *boundedDoer) Do(req *http.Request) (*http.Response, error) {
	resp, err := d.client.Do(req)
	if err != nil {
		return resp, err // with the redirect that the caller's policy failed on, if it did
	}
	if sent := resp.Request; sent != nil && sent.Method != req.Method {
		return resp, fmt.Errorf("%w: a redirect made %s of %s", ErrUnexpectedResponse, sent.Method, req.Method)
	}
	limit := int64(maxErrorBody)
	if isSuccess(resp.StatusCode) {
		limit = maxSuccessBody
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, limit)
	if rl, ok := parseRateLimit(resp.Header, time.Now()); ok {
		d.rateLimit.store(rl)
	}
	return resp, nil
}

func isSuccess(status int) bool { return status >= 200 && status <= 299 }

// buffers are kept because the bodies of lists are large and short-lived.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// call turns what the generated client returned into the model that want says
// there should be, or into an *Error. A nil model means that no body is due.
func call(ctx context.Context, op string, want int, model any, resp *http.Response, err error) error {
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		e := &Error{Op: op, Attempts: 1}
		if resp != nil {
			e = newError(op, resp, nil)
		}
		e.cause = ended(ctx, err)
		return e
	}
	body := buffers.Get().(*bytes.Buffer)
	defer func() {
		if body.Cap() <= maxPooledBody {
			body.Reset()
			buffers.Put(body)
		}
	}()
	if _, err := body.ReadFrom(resp.Body); err != nil {
		e := newError(op, resp, body.Bytes())
		e.cause = unreadable(ended(ctx, err))
		return e
	}
	if resp.StatusCode != want {
		e := newError(op, resp, body.Bytes())
		switch {
		case resp.StatusCode < 300:
			e.cause = fmt.Errorf("%w: not the status %d of a success", ErrUnexpectedResponse, want)
		case resp.StatusCode < 400:
			e.cause = fmt.Errorf("%w: a redirect", ErrUnexpectedResponse)
		}
		return e
	}
	if model == nil {
		return nil
	}
	if err := json.Unmarshal(body.Bytes(), model); err != nil {
		return unusable(op, resp, fmt.Sprintf("%d bytes of %q: %v", body.Len(), clip(resp.Header.Get("Content-Type"), 200), err))
	}
	return nil
}

// ended shows errors.Is that ctx is the reason, where net/http gives its cause.
func ended(ctx context.Context, err error) error {
	if reason := ctx.Err(); reason != nil && !errors.Is(err, reason) {
		return fmt.Errorf("%w: %w", reason, err)
	}
	return err
}

// unreadable says why a body couldn't be read. That the caller or the timeout
// gave up on it says nothing about the answer.
func unreadable(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return fmt.Errorf("%w: its body is larger than %d bytes", ErrUnexpectedResponse, tooLarge.Limit)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	default:
		return fmt.Errorf("%w: its body can't be read: %w", ErrUnexpectedResponse, err)
	}
}

// unusable reports an answer whose status is right and whose body is not.
func unusable(op string, resp *http.Response, why string) *Error {
	e := newError(op, resp, nil)
	e.cause = fmt.Errorf("%w: %s", ErrUnexpectedResponse, why)
	return e
}

// newError describes an answer. Whatever stands in front of the service may
// have written the body, so that only what is there is taken from it.
func newError(op string, resp *http.Response, body []byte) *Error {
	now := time.Now()
	e := &Error{Op: op, StatusCode: resp.StatusCode, Attempts: 1, Header: resp.Header}
	e.RateLimit, _ = parseRateLimit(resp.Header, now)
	if resp.StatusCode == http.StatusTooManyRequests {
		e.RetryAfter, _ = parseRetryAfter(resp.Header, now)
	}
	if isSuccess(resp.StatusCode) {
		return e
	}
	e.Body = blankCredentials(resp.Request, body)
	var model gen.Error
	if err := json.Unmarshal(e.Body, &model); err != nil {
		var wrongType *json.UnmarshalTypeError // the other members are decoded all the same
		if !errors.As(err, &wrongType) {
			return e
		}
	}
	e.Type, e.Title, e.Name, e.Detail = model.Type, model.Title, model.Name, model.Detail
	for _, p := range model.Problems {
		title := p.Title
		if title == "" {
			title = p.Events // where some answers have the text
		}
		e.Problems = append(e.Problems, Problem{Name: p.Name, Title: title, Type: p.Type})
	}
	return e
}

// blankCredentials returns a copy of what came in answer to req without what
// authenticated it, which a proxy's error page may show. What is shorter than
// any real key or token may stand there for another reason.
func blankCredentials(req *http.Request, body []byte) []byte {
	body = bytes.Clone(body)
	if req == nil {
		return body
	}
	_, encoded, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	key, _, _ := req.BasicAuth()
	for _, credential := range []string{encoded, key} {
		if len(credential) >= 16 {
			body = bytes.ReplaceAll(body, []byte(credential), []byte(redacted))
		}
	}
	return body
}
