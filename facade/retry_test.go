package facade_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// longBackoff is longer than each delay that the service asks for. A random part of it
// is below a second with a probability of 1 in 36 million.
const longBackoff = 10_000 * time.Hour

// The tests of internal/transport have the other forms of a delay.
func TestClient_retryAfter(t *testing.T) {
	t.Parallel()
	const longest = math.MaxInt64
	date := func(d time.Duration) string { // in a bubble, d after the start
		return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d).Format(http.TimeFormat)
	}
	clockBehind := []string{retryAfter, date(5*time.Minute + 5*time.Second), "Date", date(5 * time.Minute)}
	for _, test := range []struct {
		name      string
		status    int
		headers   []string
		asked     time.Duration // by the headers
		maxDelay  time.Duration // zero means the default policy
		deadline  time.Duration // zero means none
		isRetried bool
	}{
		{"429, header of the service", 429, []string{serviceHeader, "2"}, 2 * time.Second, longest, 0, true},
		{"429, no delay", 429, nil, 0, longest, 0, true},
		{"503, Retry-After", 503, []string{retryAfter, "3"}, 3 * time.Second, longest, 0, true},
		{"503, header of the service", 503, []string{serviceHeader, "0"}, 0, longest, 0, true},
		{"503, clock behind", 503, clockBehind, 5 * time.Second, longest, 0, true},
		{"MaxDelay", 429, []string{retryAfter, "60"}, time.Minute, 0, 0, true},
		{"beyond MaxDelay", 429, []string{serviceHeader, "61"}, 61 * time.Second, 0, 0, false},
		{"before the deadline", 429, []string{retryAfter, "10"}, 10 * time.Second, longest, 11100 * time.Millisecond, true},
		{"the deadline", 429, []string{retryAfter, "10"}, 10 * time.Second, longest, 10 * time.Second, false},
		{"backoff beyond the deadline", 503, nil, 0, longest, time.Second, false},
	} {
		for _, op := range distinctOperations {
			if test.isRetried && test.status == 503 && op.name == "create" {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				server := newScript(respondWith(test.status, "", test.headers...), succeed)
				policy := facade.RetryPolicy{}
				if test.maxDelay > 0 {
					policy = facade.RetryPolicy{MinDelay: longBackoff, MaxDelay: test.maxDelay}
				}
				ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(test.deadline, 2*longBackoff))
				defer cancel()
				start := time.Now()
				err := op.call(ctx, newClient(t, server.ServeHTTP, facade.WithRetry(policy)))
				elapsed := time.Since(start)
				if !test.isRetried {
					assert.Zero(t, elapsed, test.name)
					require.NotErrorIs(t, err, context.DeadlineExceeded, test.name)
					e := asError(t, err)
					assert.Equal(t, test.status, e.StatusCode, test.name)
					assert.Equal(t, test.asked, e.RetryAfter, test.name)
					assert.Equal(t, 1, e.Attempts, test.name)
					return
				}
				require.NoError(t, err, test.name)
				assert.Equal(t, 2, server.requests(), test.name)
				if test.asked == 0 {
					assert.Greater(t, elapsed, time.Second, test.name)
					return
				}
				assert.GreaterOrEqual(t, elapsed, test.asked, test.name)
				assert.Less(t, elapsed, test.asked/10*11+100*time.Millisecond, test.name)
			})
		}
	}
}

func TestWithRetry_attempts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		policy *facade.RetryPolicy // nil: without the option
		want   int
		limit  time.Duration // of the whole call
	}{
		{nil, 4, 3500 * time.Millisecond},
		{new(facade.RetryPolicy), 4, 3500 * time.Millisecond},
		{&facade.RetryPolicy{MinDelay: time.Minute, MaxDelay: time.Hour}, 4, 7 * time.Minute},
		{&facade.RetryPolicy{MinDelay: time.Millisecond}, 4, 7 * time.Millisecond},
		{&facade.RetryPolicy{MaxDelay: time.Millisecond}, 4, 3 * time.Millisecond},
		{&facade.RetryPolicy{MaxAttempts: 6, MaxDelay: time.Second}, 6, 4500 * time.Millisecond},
		{&facade.RetryPolicy{MaxAttempts: 1}, 1, 0},
		{&facade.RetryPolicy{MaxAttempts: 2}, 2, 500 * time.Millisecond},
		{&facade.RetryPolicy{MaxAttempts: 100}, 100, 100 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := newScript(unavailable)
			var opts []facade.Option
			if test.policy != nil {
				opts = append(opts, facade.WithRetry(*test.policy))
			}
			start := time.Now()
			err := getWebhook(t.Context(), newDirectClient(t, inMemory(server), opts...))
			require.ErrorIs(t, err, facade.ErrServer)
			assert.Equal(t, test.want, asError(t, err).Attempts, test.policy)
			assert.Equal(t, test.want, server.requests(), test.policy)
			assert.LessOrEqual(t, time.Since(start), test.limit, test.policy)
		})
	}
}

// A brokenConn is a connection that can fail to write.
type brokenConn struct {
	net.Conn
	broken *atomic.Bool
}

func (c brokenConn) Write(b []byte) (int, error) {
	if c.broken.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(b)
}

// Nothing was written on a dead pooled connection. The request is sent on another one.
func TestCreateWebhook_brokenPooledConnection(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"http://localhost", "https://localhost"} {
		synctest.Test(t, func(t *testing.T) {
			server := new(webhookCounter)
			transport := newPipeTransport(t, server.ServeHTTP)
			var broken []*atomic.Bool
			dial := transport.DialContext
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				broken = append(broken, new(atomic.Bool))
				return brokenConn{conn, broken[len(broken)-1]}, err
			}
			transport.DialTLSContext = transport.DialContext // without TLS
			client := newDirectClient(t, transport, withoutRetries, facade.WithBaseURL(base))
			require.NoError(t, createWebhook(t.Context(), client))
			require.Len(t, broken, 1)
			broken[0].Store(true)
			require.NoError(t, createWebhook(t.Context(), client))
			assert.Len(t, broken, 2)
			assert.Equal(t, 2, server.webhooks(validParams.URL))
		})
	}
}

// The body of a response is read before a retry, to reuse the connection.
func TestClient_reusesConnection(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 100, 60 << 10} {
		synctest.Test(t, func(t *testing.T) {
			large := respond(http.StatusTooManyRequests, fmt.Sprintf("%*s", size, ""))
			transport := newRefusedTransport(t, newScript(large, large, large, succeed).ServeHTTP, 0)
			dials := countDials(transport)
			require.NoError(t, createWebhook(t.Context(), newClientWith(t, transport, defaultRetries, withLocalhost)))
			assert.EqualValues(t, 1, dials.Load(), size)
		})
	}
}

// The result of each create agrees with the webhooks that the server has in the end,
// although responses and connections are lost.
func TestCreateWebhook_neverDoubled(t *testing.T) {
	t.Parallel()
	for major := 1; major <= 2; major++ {
		t.Run(fmt.Sprintf("HTTP %d", major), func(t *testing.T) {
			t.Parallel()
			testNeverDoubled(t, major)
		})
	}
}

func testNeverDoubled(t *testing.T, major int) {
	t.Helper()
	creates, timeout := 2000, 500*time.Millisecond
	if raceEnabled { // a busy machine needs more time
		creates, timeout = 200, 2*time.Second
	}
	const number = "X-Test-Number" // of the request, from 0
	faults := []facadetest.Fault{
		{Process: true, Reset: facadetest.ResetAfterRead},
		{Reset: facadetest.ResetAfterRead},
		{Reset: facadetest.ResetBeforeRead},
		{Truncate: true},
		{Process: true, Status: 503},
		{Status: 503},
		{Process: true, Status: 504, Body: "<html>"},
		{Process: true, Status: 408},
		{Status: 429, Header: map[string]string{retryAfter: "0"}},
		{Status: 400},
		{Delay: time.Minute},                               // created, and the response is late
		{Header: map[string]string{"Connection": "close"}}, // over HTTP/2 a graceful GOAWAY
	}
	for i := range faults {
		faults[i].Times = -1
		faults[i].Match = func(r *http.Request) bool {
			n, err := strconv.Atoi(r.Header.Get(number))
			return err == nil && n%50 == 4*i
		}
	}
	fake := facadetest.NewServer(facadetest.WithWebhookLimit(0), facadetest.WithRateLimit(0, 0))
	t.Cleanup(fake.Close)
	fake.Inject(faults...)
	url, transport := newServer(t, major, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, major, r.ProtoMajor)
		fake.ServeHTTP(w, r)
	}))
	var requests, dials atomic.Int64
	transport.MaxIdleConnsPerHost = 16
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1)%9 == 0 {
			return nil, syscall.ECONNREFUSED
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	client := fake.Client(facade.WithBaseURL(url), facade.WithTimeout(timeout), facade.WithHTTPClient(&http.Client{
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header.Set(number, strconv.FormatInt(requests.Add(1)-1, 10))
			return transport.RoundTrip(r)
		}),
	}))
	type result struct {
		id  string
		err error
	}
	results := make(map[string]result) // by URL
	createAll(t, client, creates, func(url, id string, err error) { results[url] = result{id, err} })
	fake.Close() // also ends the late requests
	held := make(map[string][]string)
	for _, wh := range fake.Webhooks() {
		held[wh.URL] = append(held[wh.URL], wh.ID)
	}
	outcomes := make(map[string]int)
	for url, r := range results {
		made := held[url]
		switch {
		case r.err == nil:
			outcomes["created"]++
			assert.Equal(t, []string{r.id}, made)
		case errors.Is(r.err, facade.ErrUnconfirmed):
			outcomes[fmt.Sprint("unconfirmed ", len(made))]++
			assert.LessOrEqual(t, len(made), 1, r.err)
		default:
			outcomes["failed"]++
			assert.Empty(t, made, r.err)
		}
		delete(held, url)
	}
	assert.Empty(t, held)
	assert.Len(t, results, creates)
	assert.Len(t, outcomes, 4, "some unconfirmed webhooks exist")
	assert.Greater(t, outcomes["created"], creates/2)
	assert.Greater(t, requests.Load(), int64(creates), "some were retried")
	assert.Greater(t, dials.Load(), int64(9), "some were refused")
}
