package transport

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// A Policy limits the attempts of a call and the delays between them.
type Policy struct {
	MaxAttempts        int
	MinDelay, MaxDelay time.Duration
}

// decisive returns the attempt that decides about a retry: the failed token request,
// or else a itself.
func (a *Attempt) decisive() *Attempt {
	if a.token != nil {
		return a.token
	}
	return a
}

// rejected reports whether the service rejected the credential of the request.
func (a *Attempt) rejected() bool {
	return a.credential != "" && a.Status == http.StatusUnauthorized
}

// retryable reports whether a request with this outcome is retried. A POST is not
// idempotent and is retried only if the server cannot have processed the request.
func (a *Attempt) retryable(method string) bool {
	switch {
	case a.token != nil: // the request itself was not sent
		return a.token.retryable(http.MethodGet)
	case a.permanent:
		return false
	case method == http.MethodPost && a.ambiguous():
		return false
	case a.Status < 300:
		return a.Err != nil
	default:
		return a.Status >= 500 || a.Status == http.StatusRequestTimeout || a.Status == http.StatusTooManyRequests
	}
}

// ambiguous reports whether the server may have processed the request without a
// response as proof. A redirect may follow completed work.
func (a *Attempt) ambiguous() bool {
	switch {
	case a.notSent:
		return false
	case a.resent, a.Status == 0:
		return true
	case a.Status < 300:
		return a.Err != nil
	default:
		return a.Status < 400 || a.Status >= 500 || a.Status == http.StatusRequestTimeout
	}
}

// delay returns the delay after attempt n: the requested delay with added jitter, or
// else exponential backoff with full jitter. The jitter of a requested delay takes at
// most half of the remaining time. The result is false if the requested delay exceeds
// MaxDelay.
func (p Policy) delay(a *Attempt, n int, remaining time.Duration) (time.Duration, bool) {
	if a = a.decisive(); a.asksToWait {
		jitter := min(a.RetryAfter/10+100*time.Millisecond, (remaining-a.RetryAfter)/2)
		return a.RetryAfter + rand.N(max(jitter, 1)), a.RetryAfter <= p.MaxDelay //nolint:gosec // jitter
	}
	limit := p.MinDelay << (n - 1)
	if limit > p.MaxDelay || limit>>(n-1) != p.MinDelay { // or the shift has overflowed
		limit = p.MaxDelay
	}
	return rand.N(max(limit, 1)), true //nolint:gosec // jitter
}
