package transport //nolint:testpackage // the decisions are not exported

import (
	"errors"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// asking returns a response that asks for a delay.
func asking(status int, d time.Duration) Attempt {
	return Attempt{Status: status, RetryAfter: d, asksToWait: true}
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	const service, standard, longest = HeaderRetryAfter, "Retry-After", math.MaxInt32 * time.Second
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, test := range []struct {
		status int
		header []string // names and values
		want   time.Duration
	}{
		{429, []string{service, "7", standard, "9"}, 7 * time.Second},
		{429, []string{service, "0", standard, "9"}, 0},
		{429, []string{service, "soon", standard, "9"}, 9 * time.Second},
		{429, []string{service, "007"}, 7 * time.Second},
		{429, []string{service, "2147483647"}, longest},
		{429, []string{service, at(time.Minute)}, -1},
		{503, []string{service, "7", standard, "9"}, 9 * time.Second},
		{503, []string{service, "7"}, -1},
		{429, nil, -1},
		{429, []string{standard, ""}, -1},
		{429, []string{standard, "-1"}, -1},
		{429, []string{standard, "+1"}, -1},
		{429, []string{standard, "1s"}, -1},
		{429, []string{standard, "1.5"}, -1},
		{429, []string{standard, "1, 2"}, -1},
		{429, []string{standard, "2147483648"}, -1},
		{429, []string{standard, now.Format(time.RFC3339)}, -1},
		{429, []string{standard, now.Add(time.Minute).Format("Monday, 02-Jan-06 15:04:05 GMT")}, time.Minute},
		{503, []string{standard, at(time.Minute)}, time.Minute},
		{503, []string{standard, at(time.Minute), "Date", "today"}, time.Minute},
		{429, []string{standard, at(6 * time.Minute), "Date", at(5 * time.Minute)}, time.Minute}, // clock ahead
		{429, []string{standard, at(-4 * time.Minute), "Date", at(-5 * time.Minute)}, time.Minute},
		{429, []string{standard, at(0), "Date", at(time.Minute)}, 0},
		{429, []string{standard, "Sun, 01 Jan 2226 00:00:00 GMT"}, longest},
	} {
		h := make(http.Header)
		for i := 0; i < len(test.header); i += 2 {
			h.Set(test.header[i], test.header[i+1])
		}
		got, ok := parseRetryAfter(h, test.status, now)
		assert.Equal(t, max(test.want, 0), got, test.header)
		assert.Equal(t, test.want >= 0, ok, test.header)
	}
}

func TestAttemptDecisions(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset by peer")
	failedToken := func(status int, err error) Attempt {
		return Attempt{Err: lost, notSent: true, token: &Attempt{Status: status, Err: err}}
	}
	for _, test := range []struct {
		name       string
		attempt    Attempt
		statuses   []int // of the attempt, 0 without a response
		idempotent bool  // is retried
		post       bool  // is retried
		ambiguous  bool
	}{
		{"1xx", Attempt{Err: lost, permanent: true}, []int{101}, false, false, true},
		{"2xx", Attempt{}, []int{200, 201, 204}, false, false, false},
		{"2xx truncated", Attempt{Err: lost}, []int{200, 201}, true, false, true},
		{"2xx too large", Attempt{Err: lost, permanent: true}, []int{201}, false, false, true},
		{"3xx", Attempt{}, []int{300, 302, 303, 307, 399}, false, false, true},
		{"rejection", Attempt{}, []int{400, 401, 403, 404, 409, 425}, false, false, false},
		{"rejection truncated", Attempt{Err: lost}, []int{400, 404}, false, false, false},
		{"404 after net/http sent the request twice", Attempt{resent: true}, []int{404}, false, false, true},
		{"429", Attempt{}, []int{429}, true, true, false},
		{"429 truncated", Attempt{Err: lost}, []int{429}, true, true, false},
		{"408 and 5xx", Attempt{}, []int{408, 500, 501, 502, 503, 504, 599}, true, false, true},
		{"503 truncated", Attempt{Err: lost}, []int{503}, true, false, true},
		{"no response", Attempt{Err: lost}, []int{0}, true, false, true},
		{"no connection", Attempt{Err: lost, notSent: true}, []int{0}, true, true, false},
		{"no token, 200 that is invalid", failedToken(200, nil), []int{0}, false, false, false},
		{"no token, 401", failedToken(401, nil), []int{0}, false, false, false},
		{"no token, 429", failedToken(429, nil), []int{0}, true, true, false},
		{"no token, 503", failedToken(503, nil), []int{0}, true, true, false},
		{"no token, no response", failedToken(0, lost), []int{0}, true, true, false},
	} {
		for _, status := range test.statuses {
			a := test.attempt
			a.Status = status
			assert.Equal(t, test.idempotent, a.retryable(http.MethodGet), "GET, %s, %d", test.name, status)
			assert.Equal(t, test.idempotent, a.retryable(http.MethodDelete), "DELETE, %s, %d", test.name, status)
			assert.Equal(t, test.post, a.retryable(http.MethodPost), "POST, %s, %d", test.name, status)
			assert.Equal(t, test.ambiguous, a.ambiguous(), "%s, %d", test.name, status)
		}
	}
}

func TestPolicyDelay(t *testing.T) {
	t.Parallel()
	const longest = time.Duration(math.MaxInt64)
	policy := Policy{MinDelay: 500 * time.Millisecond, MaxDelay: time.Minute}
	second := asking(429, time.Second)
	for _, test := range []struct {
		name      string
		policy    Policy
		n         int
		attempt   Attempt
		low, high time.Duration // both included
		ok        bool
	}{
		{"429 with 2 s", policy, 3, asking(429, 2*time.Second), 2 * time.Second, 2300*time.Millisecond - 1, true},
		{"503 with 2 s", policy, 1, asking(503, 2*time.Second), 2 * time.Second, 2300*time.Millisecond - 1, true},
		{"429 with MaxDelay", policy, 1, asking(429, time.Minute), time.Minute, 66100*time.Millisecond - 1, true},
		{"429 with 0 s", policy, 1, asking(429, 0), 0, 100*time.Millisecond - 1, true},
		{"429 above MaxDelay", policy, 1, asking(429, time.Minute+1), time.Minute + 1, 67 * time.Second, false},
		{"429 for the token", policy, 1, Attempt{token: &second}, time.Second, 1200*time.Millisecond - 1, true},
		{"429 without a delay", policy, 1, Attempt{Status: 429}, 0, 500 * time.Millisecond, true},
		{"attempt 1", policy, 1, Attempt{}, 0, 500 * time.Millisecond, true},
		{"attempt 2", policy, 2, Attempt{}, 0, time.Second, true},
		{"attempt 7", policy, 7, Attempt{}, 0, 32 * time.Second, true},
		{"attempt 8 is limited by MaxDelay", policy, 8, Attempt{}, 0, time.Minute, true},
		{"attempt 36, bits are shifted out", policy, 36, Attempt{}, 0, time.Minute, true},
		{"attempt 65, no bits are left", policy, 65, Attempt{}, 0, time.Minute, true},
		{"the last attempt of an int", policy, math.MaxInt, Attempt{}, 0, time.Minute, true},
		{"the sign bit", Policy{MinDelay: 1 << 61, MaxDelay: longest - 1}, 3, Attempt{}, 0, longest - 1, true},
		{"the longest delays", Policy{MinDelay: longest, MaxDelay: longest}, 2, Attempt{}, 0, longest, true},
		{"the shortest delays", Policy{MinDelay: 1, MaxDelay: 1}, 2, Attempt{}, 0, 1, true},
	} {
		lowest, highest := longest, -longest
		for range 1000 {
			d, ok := test.policy.delay(&test.attempt, test.n, math.MaxInt64)
			assert.Equal(t, test.ok, ok, test.name)
			lowest, highest = min(lowest, d), max(highest, d)
		}
		assert.GreaterOrEqual(t, lowest, test.low, test.name)
		assert.LessOrEqual(t, highest, test.high, test.name)
		if spread := test.high - test.low; test.ok && spread > 1 {
			// The probability that 1000 delays miss a tenth of the range is 10^-45.
			assert.Less(t, lowest, test.low+spread/10, test.name)
			assert.Greater(t, highest, test.high-spread/10, test.name)
		}
	}
	// Jitter does not exceed the deadline if the requested delay does not.
	a := asking(429, 59*time.Second)
	for remaining, high := range map[time.Duration]time.Duration{
		-time.Second:     a.RetryAfter,
		59 * time.Second: a.RetryAfter,
		time.Minute:      a.RetryAfter + 500*time.Millisecond - 1,
	} {
		highest := time.Duration(0)
		for range 1000 {
			d, _ := policy.delay(&a, 1, remaining)
			assert.GreaterOrEqual(t, d, a.RetryAfter, remaining)
			highest = max(highest, d)
		}
		assert.InDelta(t, high, highest, float64(50*time.Millisecond), remaining)
		assert.LessOrEqual(t, highest, high, remaining)
	}
}
