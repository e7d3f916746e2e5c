package facade //nolint:testpackage // the decision isn't exported

import (
	"errors"
	"io"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatIsSentAgain(t *testing.T) {
	t.Parallel()
	var (
		lost     = errors.New("connection reset by peer")
		cut      = unreadable(io.ErrUnexpectedEOF, 200)
		tooLarge = func(status int) error { return unreadable(&http.MaxBytesError{Limit: 1}, status) }
		last     = defaultRetry.MaxAttempts
	)
	tests := []struct {
		name      string
		outcome   outcome
		repeated  bool // a get or delete
		create    bool // is sent again as well
		uncertain bool
	}{
		{"101: nobody asked to switch, and it says nothing of the request", outcome{status: 101, err: finalError{lost}}, false, false, true},
		{"200: that's the answer", outcome{status: 200}, false, false, false},
		{"201: that's the answer", outcome{status: 201}, false, false, false},
		{"204: that's the answer", outcome{status: 204}, false, false, false},
		{"200 cut: it may be read the next time", outcome{status: 200, err: cut}, true, false, true},
		{"201 cut: it was created", outcome{status: 201, err: cut}, true, false, true},
		{"201 too large: it was created, and the next one would be as large", outcome{status: 201, err: tooLarge(201)}, false, false, true},
		{"302: it did nothing and would do so again", outcome{status: 302}, false, false, false},
		{"307 that the caller's policy fails on: it would do so again", outcome{status: 307, err: lost}, false, false, false},
		{"400: it would be refused again", outcome{status: 400}, false, false, false},
		{"400 cut: the status says enough", outcome{status: 400, err: cut}, false, false, false},
		{"400 too large: the status says enough", outcome{status: 400, err: tooLarge(400)}, false, false, false},
		{"401: the key doesn't get better", outcome{status: 401}, false, false, false},
		{"403: the account stays suspended", outcome{status: 403}, false, false, false},
		{"404: it isn't there", outcome{status: 404}, false, false, false},
		{"408: the server waited for something, who knows for what", outcome{status: 408}, true, false, true},
		{"409: it would collide again", outcome{status: 409}, false, false, false},
		{"425: not an answer to what comes without early data", outcome{status: 425}, false, false, false},
		{"429: it asks for that and did nothing", outcome{status: 429}, true, true, false},
		{"429 cut: the status says enough", outcome{status: 429, err: cut}, true, true, false},
		{"429 too large: the status says enough", outcome{status: 429, err: tooLarge(429)}, true, true, false},
		{"500: it may have failed after the work", outcome{status: 500}, true, false, true},
		{"501: as every 5xx", outcome{status: 501}, true, false, true},
		{"502: what the gateway has lost may have been a success", outcome{status: 502}, true, false, true},
		{"503: a proxy may say so of an answer that didn't come", outcome{status: 503}, true, false, true},
		{"503 cut: the status says enough", outcome{status: 503, err: cut}, true, false, true},
		{"503 too large: the status says enough", outcome{status: 503, err: tooLarge(503)}, true, false, true},
		{"504: it may still be at work", outcome{status: 504}, true, false, true},
		{"599: as every 5xx", outcome{status: 599}, true, false, true},
		{"no answer after something was written: it may have arrived", outcome{err: lost}, true, false, true},
		{"no connection: it can't have arrived", outcome{err: lost, unsent: true}, true, true, false},
		{"no token because of a 401: the key doesn't get better", outcome{status: 401, err: lost, unsent: true}, false, false, false},
		{"no token because of a 503: the request wasn't sent", outcome{status: 503, err: lost, unsent: true}, true, true, false},
		{"503 to the last attempt", outcome{status: 503, n: last}, false, false, true},
		{"429 to the last attempt", outcome{status: 429, n: last}, false, false, false},
		{"no answer to the last attempt", outcome{err: lost, n: last}, false, false, true},
		{"no connection for the last attempt", outcome{err: lost, unsent: true, n: last}, false, false, false},
		{"no connection for the last attempt but one", outcome{err: lost, unsent: true, n: last - 1}, true, true, false},
		{"429 beyond the last attempt", outcome{status: 429, n: last + 1}, false, false, false},
	}
	for _, test := range tests {
		for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPost} {
			t.Run(method+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				o := test.outcome
				o.method, o.n = method, max(o.n, 1)
				want := test.repeated
				if method == http.MethodPost {
					want = test.create
				}
				assert.Equal(t, want, defaultRetry.repeats(o), "sent again")
				assert.Equal(t, test.uncertain, o.uncertain(), "may have been carried out")
			})
		}
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	const most = time.Duration(math.MaxInt64)
	tests := []struct {
		name      string
		policy    RetryPolicy
		n         int
		asked     time.Duration
		isAsked   bool
		low, high time.Duration // both included
	}{
		{"what is asked for is waited, whatever the policy", defaultRetry, 3, 2 * time.Second, true, 2 * time.Second, 2300*time.Millisecond - 1},
		{"a tenth is added lest all come at once", defaultRetry, 1, time.Minute, true, time.Minute, 66100*time.Millisecond - 1},
		{"zero has 100 ms added for the same reason", defaultRetry, 1, 0, true, 0, 100*time.Millisecond - 1},
		{"68 years, the most that a header can ask for", defaultRetry, 1, math.MaxInt32 * time.Second, true, math.MaxInt32 * time.Second, math.MaxInt32*time.Second/10*11 + 100*time.Millisecond},
		{"the first bound is MinDelay", defaultRetry, 1, 0, false, 0, 500 * time.Millisecond},
		{"the second bound is twice that", defaultRetry, 2, 0, false, 0, time.Second},
		{"the seventh bound is 64 times that", defaultRetry, 7, 0, false, 0, 32 * time.Second},
		{"the eighth bound would be beyond MaxDelay", defaultRetry, 8, 0, false, 0, time.Minute},
		{"bits shifted out are no small bound", defaultRetry, 36, 0, false, 0, time.Minute},
		{"the sign bit is no bound", RetryPolicy{MinDelay: 1 << 61, MaxDelay: most - 1}, 3, 0, false, 0, most - 1},
		{"no bits are left after 64 attempts", defaultRetry, 65, 0, false, 0, time.Minute},
		{"a thousand attempts", defaultRetry, 1000, 0, false, 0, time.Minute},
		{"as many attempts as an int holds", defaultRetry, math.MaxInt, 0, false, 0, time.Minute},
		{"MinDelay is MaxDelay", RetryPolicy{MinDelay: time.Second, MaxDelay: time.Second}, 5, 0, false, 0, time.Second},
		{"the longest delays there are", RetryPolicy{MinDelay: most, MaxDelay: most}, 1, 0, false, 0, most},
		{"the longest delays there are, doubled", RetryPolicy{MinDelay: most, MaxDelay: most}, 2, 0, false, 0, most},
		{"the shortest delays there are", RetryPolicy{MinDelay: 1, MaxDelay: 1}, 2, 0, false, 0, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			least, longest := most, -most
			for range 1000 {
				d := test.policy.delay(outcome{n: test.n, asked: test.asked, isAsked: test.isAsked})
				least, longest = min(least, d), max(longest, d)
			}
			assert.GreaterOrEqual(t, least, test.low)
			assert.LessOrEqual(t, longest, test.high)
			if spread := test.high - test.low; spread > 1 {
				// All of 1000 in nine tenths of it: once in 10^45.
				assert.Less(t, least, test.low+spread/10, "the lower end is used")
				assert.Greater(t, longest, test.high-spread/10, "and the upper one")
			}
		})
	}
}
