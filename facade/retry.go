package facade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

// RetryPolicy says how often a request is tried and how long to wait between.
// Which failures are repeated at all it doesn't say: those after which nothing
// can have happened twice, see the package comment.
type RetryPolicy struct {
	// MaxAttempts is how often a request is tried at most, the first time
	// included. 1 turns repetition off. That another token mends a 401, which it
	// may once, is no attempt of its own.
	MaxAttempts int
	// MinDelay is the bound of the first wait that the service doesn't
	// prescribe. The bound doubles with each attempt, and the wait is a random
	// part of it.
	MinDelay time.Duration
	// MaxDelay bounds each wait. If the service asks for a longer one, the
	// request isn't repeated, and Error.RetryAfter says for how long. What it asks
	// for is waited and a little more, up to a tenth and 100 ms.
	MaxDelay time.Duration
}

var defaultRetry = RetryPolicy{MaxAttempts: 4, MinDelay: 500 * time.Millisecond, MaxDelay: time.Minute}

// outcome is what became of one attempt.
type outcome struct {
	method string
	n      int   // which attempt, counted from 1
	status int   // 0 if there is none
	err    error // why there is no answer, or none that can be read
	unsent bool  // certainly not a byte of the request was written

	asked   time.Duration // how long a 429 asks to wait
	isAsked bool
}

// uncertain tells whether the service may have carried the request out although
// no answer says so.
func (o outcome) uncertain() bool {
	switch {
	case o.unsent:
		return false
	case o.status == 0:
		return true
	case o.status < 300:
		return o.err != nil
	default:
		return o.status >= 500 || o.status == http.StatusRequestTimeout
	}
}

// repeats tells whether the request is sent again. What creates something is
// so only if this attempt provably did nothing.
func (p RetryPolicy) repeats(o outcome) bool {
	switch {
	case o.n >= p.MaxAttempts || holds[finalError](o.err):
		return false
	case o.method == http.MethodPost && o.uncertain():
		return false
	case o.status == 0 || o.status < 300:
		return o.err != nil
	default:
		return o.status >= 500 || o.status == http.StatusRequestTimeout || o.status == http.StatusTooManyRequests
	}
}

// delay returns how long to wait before the next attempt: as long as a 429 asks
// for and a little more, lest all who were told the same come at once, or else
// a random part of a bound that doubles with each attempt.
func (p RetryPolicy) delay(o outcome) time.Duration {
	if o.isAsked {
		return o.asked + rand.N(o.asked/10+100*time.Millisecond) //nolint:gosec // jitter is no secret
	}
	bound := p.MinDelay << (o.n - 1)
	if bound > p.MaxDelay || bound>>(o.n-1) != p.MinDelay {
		bound = p.MaxDelay
	}
	return rand.N(max(bound, 1)) //nolint:gosec // jitter is no secret
}

// tries is what became of all attempts of one call. The facade's methods put it
// into the context, for the generated client stands between them and the doer
// that counts.
type tries struct {
	n         int  // how often it was sent
	mended    bool // a 401 by another token, once
	uncertain bool // one of them may have been carried out

	// Whether the latest was in want of a connection and whether it got one, ever:
	// redirects and transports may try again.
	asked, got atomic.Bool
}

type triesKey struct{}

// withTries returns a context that takes down what becomes of the request.
func withTries(ctx context.Context) (context.Context, *tries) {
	t := new(tries)
	return context.WithValue(ctx, triesKey{}, t), t
}

func triesOf(ctx context.Context) *tries {
	t, _ := ctx.Value(triesKey{}).(*tries)
	return t
}

// retryDoer sends a request again as the policy says.
type retryDoer struct {
	next   gen.HttpRequestDoer
	policy RetryPolicy
	logger *slog.Logger
}

func (d *retryDoer) Do(req *http.Request) (*http.Response, error) {
	t := triesOf(req.Context())
	if t == nil { // of the raw client, which doesn't ask
		var ctx context.Context
		ctx, t = withTries(req.Context())
		req = req.WithContext(ctx)
	}
	ctx := req.Context()
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			closeBody(req)
			return nil, err
		}
		t.n++
		resp, o := d.try(req, n, t)
		t.uncertain = t.uncertain || o.uncertain()
		wait, again := d.wait(req, o)
		if !again {
			return resp, o.err
		}
		logRetry(d.logger, req, o, wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if o.err != nil {
				return resp, fmt.Errorf("%w: %v", ctx.Err(), o.err) //nolint:errorlint // what ended the call isn't what it waited for
			}
			return resp, ctx.Err()
		}
		if resp != nil {
			_ = resp.Body.Close()
		}
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			req.Body = body
		}
	}
}

// try sends the request once and watches whether a byte of it was written. A
// transport that tells nothing leaves that uncertain.
func (d *retryDoer) try(req *http.Request, n int, t *tries) (*http.Response, outcome) {
	o := outcome{method: req.Method, n: n}
	if req.Method == http.MethodGet { // may come twice, whatever was written
		resp, err := d.next.Do(req)
		return resp, o.of(resp, err)
	}
	t.anew()
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { t.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
	})
	req = req.WithContext(ctx)
	resp, err := d.next.Do(req)
	o.unsent = resp == nil && t.asked.Load() && !t.got.Load()
	if holds[unsentError](err) {
		closeBody(req)
	}
	return resp, o.of(resp, err)
}

// anew forgets the connections of what was answered, since nothing came of it.
func (t *tries) anew() {
	t.asked.Store(false)
	t.got.Store(false)
}

// closeBody does what sending the request would have done.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// of completes o with what came back.
func (o outcome) of(resp *http.Response, err error) outcome {
	o.err = err
	if resp != nil {
		o.status = resp.StatusCode
		if o.status == http.StatusTooManyRequests {
			o.asked, o.isAsked = parseRetryAfter(resp.Header, time.Now())
		}
		return o
	}
	if !holds[unsentError](err) {
		return o
	}
	o.unsent = true
	var exchange *Error
	if errors.As(err, &exchange) {
		o.status = exchange.StatusCode
		if o.status == http.StatusTooManyRequests {
			o.asked, o.isAsked = parseRetryAfter(exchange.Header, time.Now())
		}
	}
	return o
}

// wait returns how long to wait before the request is sent again, if it is at all.
func (d *retryDoer) wait(req *http.Request, o outcome) (time.Duration, bool) {
	ctx := req.Context()
	if !d.policy.repeats(o) || ctx.Err() != nil || req.Body != nil && req.GetBody == nil {
		return 0, false
	}
	if o.asked > d.policy.MaxDelay {
		return 0, false
	}
	wait := d.policy.delay(o)
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
		return 0, false
	}
	return wait, true
}

// WithRetry changes how often and how quickly requests are repeated. A zero
// field means its default: 4 attempts, 500 ms and 60 s.
func WithRetry(p RetryPolicy) Option {
	return func(c *config) error {
		longest := cmp.Or(p.MaxDelay, defaultRetry.MaxDelay)
		c.retry = RetryPolicy{
			MaxAttempts: cmp.Or(p.MaxAttempts, defaultRetry.MaxAttempts),
			MinDelay:    cmp.Or(p.MinDelay, min(defaultRetry.MinDelay, longest)),
			MaxDelay:    longest,
		}
		if c.retry.MaxAttempts < 0 || c.retry.MinDelay < 0 || c.retry.MaxDelay < c.retry.MinDelay {
			return errors.New("the retry policy must not be negative, nor its shortest delay beyond the longest")
		}
		return nil
	}
}
