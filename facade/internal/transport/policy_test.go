package transport //nolint:testpackage // the decisions are not exported

import (
	"errors"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAttemptDecisions(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset by peer")
	failedToken := func(status int, err error) Attempt {
		return Attempt{Err: lost, notSent: true, token: &Attempt{Status: status, Err: err}}
	}
	tests := []struct {
		name       string
		attempt    Attempt
		idempotent bool // is retried
		post       bool // is retried
		ambiguous  bool
	}{
		{"101", Attempt{Status: 101, Err: lost, permanent: true}, false, false, true},
		{"200", Attempt{Status: 200}, false, false, false},
		{"200 truncated", Attempt{Status: 200, Err: lost}, true, false, true},
		{"201", Attempt{Status: 201}, false, false, false},
		{"201 truncated", Attempt{Status: 201, Err: lost}, true, false, true},
		{"201 too large", Attempt{Status: 201, Err: lost, permanent: true}, false, false, true},
		{"204", Attempt{Status: 204}, false, false, false},
		{"300", Attempt{Status: 300}, false, false, true},
		{"302", Attempt{Status: 302}, false, false, true},
		{"303", Attempt{Status: 303}, false, false, true},
		{"307", Attempt{Status: 307}, false, false, true},
		{"399", Attempt{Status: 399}, false, false, true},
		{"400", Attempt{Status: 400}, false, false, false},
		{"400 truncated", Attempt{Status: 400, Err: lost}, false, false, false},
		{"401", Attempt{Status: 401}, false, false, false},
		{"403", Attempt{Status: 403}, false, false, false},
		{"404", Attempt{Status: 404}, false, false, false},
		{"404 after net/http sent the request twice", Attempt{Status: 404, resent: true}, false, false, true},
		{"408", Attempt{Status: 408}, true, false, true},
		{"409", Attempt{Status: 409}, false, false, false},
		{"425", Attempt{Status: 425}, false, false, false},
		{"429", Attempt{Status: 429}, true, true, false},
		{"429 truncated", Attempt{Status: 429, Err: lost}, true, true, false},
		{"500", Attempt{Status: 500}, true, false, true},
		{"501", Attempt{Status: 501}, true, false, true},
		{"502", Attempt{Status: 502}, true, false, true},
		{"503", Attempt{Status: 503}, true, false, true},
		{"503 truncated", Attempt{Status: 503, Err: lost}, true, false, true},
		{"504", Attempt{Status: 504}, true, false, true},
		{"599", Attempt{Status: 599}, true, false, true},
		{"no response", Attempt{Err: lost}, true, false, true},
		{"no connection", Attempt{Err: lost, notSent: true}, true, true, false},
		{"no token, 200 that is invalid", failedToken(200, nil), false, false, false},
		{"no token, 401", failedToken(401, nil), false, false, false},
		{"no token, 429", failedToken(429, nil), true, true, false},
		{"no token, 503", failedToken(503, nil), true, true, false},
		{"no token, no response", failedToken(0, lost), true, true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.idempotent, test.attempt.retryable(http.MethodGet), "GET")
			assert.Equal(t, test.idempotent, test.attempt.retryable(http.MethodDelete), "DELETE")
			assert.Equal(t, test.post, test.attempt.retryable(http.MethodPost), "POST")
			assert.Equal(t, test.ambiguous, test.attempt.ambiguous(), "ambiguous")
		})
	}
}

func TestPolicyDelay(t *testing.T) {
	t.Parallel()
	const longest = time.Duration(math.MaxInt64)
	policy := Policy{MinDelay: 500 * time.Millisecond, MaxDelay: time.Minute}
	asks := func(d time.Duration) Attempt { return Attempt{Status: 429, RetryAfter: d, asksToWait: true} }
	tests := []struct {
		name      string
		policy    Policy
		n         int
		attempt   Attempt
		low, high time.Duration // both included
		ok        bool
	}{
		{"429 with 2 s", policy, 3, asks(2 * time.Second), 2 * time.Second, 2300*time.Millisecond - 1, true},
		{"429 with MaxDelay", policy, 1, asks(time.Minute), time.Minute, 66100*time.Millisecond - 1, true},
		{"429 with 0 s", policy, 1, asks(0), 0, 100*time.Millisecond - 1, true},
		{"429 with more than MaxDelay", policy, 1, asks(time.Minute + 1), time.Minute + 1, 67 * time.Second, false},
		{"429 with 68 years", policy, 1, asks(math.MaxInt32 * time.Second), math.MaxInt32 * time.Second, math.MaxInt32*time.Second/10*11 + 100*time.Millisecond, false},
		{"429 for the token", policy, 1, Attempt{token: func() *Attempt { a := asks(time.Second); return &a }()}, time.Second, 1200*time.Millisecond - 1, true},
		{"503 with 2 s", policy, 1, Attempt{Status: 503, RetryAfter: 2 * time.Second, asksToWait: true}, 2 * time.Second, 2300*time.Millisecond - 1, true},
		{"429 without a delay", policy, 1, Attempt{Status: 429}, 0, 500 * time.Millisecond, true},
		{"attempt 1", policy, 1, Attempt{}, 0, 500 * time.Millisecond, true},
		{"attempt 2", policy, 2, Attempt{}, 0, time.Second, true},
		{"attempt 7", policy, 7, Attempt{}, 0, 32 * time.Second, true},
		{"attempt 8 is limited by MaxDelay", policy, 8, Attempt{}, 0, time.Minute, true},
		{"attempt 36, bits are shifted out", policy, 36, Attempt{}, 0, time.Minute, true},
		{"attempt 65, no bits are left", policy, 65, Attempt{}, 0, time.Minute, true},
		{"attempt 1000", policy, 1000, Attempt{}, 0, time.Minute, true},
		{"the last attempt of an int", policy, math.MaxInt, Attempt{}, 0, time.Minute, true},
		{"the sign bit", Policy{MinDelay: 1 << 61, MaxDelay: longest - 1}, 3, Attempt{}, 0, longest - 1, true},
		{"the longest delays, doubled", Policy{MinDelay: longest, MaxDelay: longest}, 2, Attempt{}, 0, longest, true},
		{"the shortest delays", Policy{MinDelay: 1, MaxDelay: 1}, 2, Attempt{}, 0, 1, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			shortest, longest := longest, -longest
			for range 1000 {
				d, ok := test.policy.delay(&test.attempt, test.n, math.MaxInt64)
				assert.Equal(t, test.ok, ok)
				shortest, longest = min(shortest, d), max(longest, d)
			}
			assert.GreaterOrEqual(t, shortest, test.low)
			assert.LessOrEqual(t, longest, test.high)
			if spread := test.high - test.low; test.ok && spread > 1 {
				// The probability that 1000 delays miss a tenth of the range is 10^-45.
				assert.Less(t, shortest, test.low+spread/10)
				assert.Greater(t, longest, test.high-spread/10)
			}
		})
	}
}

// Jitter does not exceed the deadline if the requested delay does not.
func TestPolicyDelay_remainingTime(t *testing.T) {
	t.Parallel()
	policy := Policy{MinDelay: time.Second, MaxDelay: time.Minute}
	a := &Attempt{Status: http.StatusTooManyRequests, RetryAfter: 59 * time.Second, asksToWait: true}
	longest := time.Duration(0)
	for range 1000 {
		d, ok := policy.delay(a, 1, time.Minute)
		assert.True(t, ok)
		assert.GreaterOrEqual(t, d, a.RetryAfter)
		assert.Less(t, d, time.Minute)
		longest = max(longest, d)
	}
	assert.Greater(t, longest, a.RetryAfter+100*time.Millisecond)
	for _, remaining := range []time.Duration{-time.Second, 0, 59 * time.Second} {
		d, _ := policy.delay(a, 1, remaining)
		assert.Equal(t, a.RetryAfter, d, "beyond the deadline")
	}
}
