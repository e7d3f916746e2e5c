// Package transport sends HTTP requests with authentication, retries and limits. The
// operations of the service and the models are unknown here.
package transport

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
)

// A Client sends requests with an http.RoundTripper, so redirects are never followed
// and there are no cookies. A Client and its copies are safe for concurrent use.
type Client struct {
	*Sender

	Auth   Authenticator // nil means no credentials
	Retry  Policy
	Logger *slog.Logger
}

// A Result is the outcome of a call.
type Result struct {
	Attempt          // the last attempt
	Host      string // of the last request
	Attempts  int    // number of attempts, including those without a credential
	Ambiguous bool   // an attempt may have been processed without a response
}

// Do sends a request until an attempt succeeds or the retry policy ends. The
// function build returns a new request for each attempt. After a 401 the request
// is sent once more if the Authenticator has another credential.
func (c *Client) Do(ctx context.Context, build func() (*http.Request, error)) *Result {
	start := time.Now()
	r := new(Result)
	reauthenticated := false
	for n := 1; ; n++ {
		req, err := build()
		if err != nil {
			r.Attempt = Attempt{Err: err}
			return r
		}
		r.Host = req.URL.Host
		if err := contextError(ctx, nil); err != nil {
			r.Attempt = Attempt{Err: c.Redactor.Error(err)}
			c.logCall(ctx, req, r, start)
			return r
		}

		r.Attempt = c.send(ctx, req, c.Auth)
		r.Attempts++
		r.Ambiguous = r.Ambiguous || r.ambiguous()

		var delay time.Duration
		var retry bool
		if r.rejected() && c.Auth.Reject(r.credential, reauthenticated) {
			reauthenticated, retry = true, true
			n-- // the policy does not count this attempt
		} else if n < c.Retry.MaxAttempts && r.retryable(req.Method) {
			delay, retry = c.Retry.delay(&r.Attempt, n, remaining(ctx))
		}
		if !retry || remaining(ctx) <= delay {
			c.logCall(ctx, req, r, start)
			return r
		}
		c.logRetry(ctx, req, r, delay)
		if err := sleep(ctx, delay); err != nil {
			if r.Err != nil {
				err = fmt.Errorf("%w: %v", err, r.Err) //nolint:errorlint // the context ended the call
			}
			r.Err = c.Redactor.Error(err)
			c.logCall(ctx, req, r, start)
			return r
		}
		r.Release()
	}
}

// remaining returns the time until the deadline of ctx, 0 after the end of ctx.
func remaining(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return math.MaxInt64
}

// sleep waits for the delay. It returns an error if ctx ends first.
func sleep(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return contextError(ctx, nil)
	}
}

// logCall logs the end of a call. Headers and bodies are never logged.
func (c *Client) logCall(ctx context.Context, req *http.Request, r *Result, start time.Time) {
	if !c.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := append(c.requestAttrs(req, r),
		slog.String("query", c.Redactor.String(req.URL.RawQuery)),
		slog.Int("attempts", r.Attempts),
		slog.String("duration", time.Since(start).String()))
	c.Logger.LogAttrs(ctx, slog.LevelDebug, "apivideo: request", attrs...)
}

// logRetry logs an attempt that will be retried after the delay.
func (c *Client) logRetry(ctx context.Context, req *http.Request, r *Result, delay time.Duration) {
	if !c.Logger.Enabled(ctx, slog.LevelWarn) {
		return
	}
	attrs := append(c.requestAttrs(req, r),
		slog.Int("attempt", r.Attempts),
		slog.String("wait", delay.String()))
	c.Logger.LogAttrs(ctx, slog.LevelWarn, "apivideo: retry", attrs...)
}

// requestAttrs describes a request and its last outcome.
func (c *Client) requestAttrs(req *http.Request, r *Result) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("method", req.Method),
		slog.String("path", c.Redactor.String(req.URL.EscapedPath())),
	}
	if a := r.decisive(); a.Status != 0 {
		attrs = append(attrs, slog.Int("status", a.Status))
	}
	if r.Err != nil {
		attrs = append(attrs, slog.String("error", redact.OneLine(redact.Clip(r.Err.Error(), 1000))))
	}
	return attrs
}
