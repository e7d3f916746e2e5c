package facade

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

// How large a body may be. A page of 100 webhooks has about 30 KiB.
const (
	maxSuccessBody = 10 << 20
	maxErrorBody   = 64 << 10
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
func call(op string, want int, model any, resp *http.Response, err error) error {
	if err != nil {
		e := &Error{Op: op, Attempts: 1}
		if resp != nil {
			e = newError(op, resp, nil)
		}
		e.cause = err
		return e
	}
	defer resp.Body.Close()
	body := buffers.Get().(*bytes.Buffer)
	body.Reset()
	defer buffers.Put(body)
	if _, err := body.ReadFrom(resp.Body); err != nil {
		e := newError(op, resp, body.Bytes())
		e.cause = unreadable(err)
		return e
	}
	if resp.StatusCode != want {
		e := newError(op, resp, body.Bytes())
		switch {
		case resp.StatusCode >= 300 && resp.StatusCode <= 399:
			e.cause = fmt.Errorf("%w: a redirect", ErrUnexpectedResponse)
		case resp.StatusCode < 400:
			e.cause = fmt.Errorf("%w: not the status %d of a success", ErrUnexpectedResponse, want)
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
	e.Body = bytes.Clone(body)
	var model gen.Error
	if err := json.Unmarshal(body, &model); err != nil {
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
