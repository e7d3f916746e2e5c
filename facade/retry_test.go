package facade_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
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

// Each attempt sends the same request.
func TestClient_retries429(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations {
		synctest.Test(t, func(t *testing.T) {
			server := newScript(tooMany(serviceHeader, "2"), tooMany(), tooMany(), succeed)
			require.NoError(t, op.call(t.Context(), newClient(t, server.ServeHTTP, defaultRetries)), op.name)
			require.Equal(t, 4, server.requests(), op.name)
			assert.GreaterOrEqual(t, server.waits()[0], 2*time.Second)
			assert.Less(t, server.waits()[0], 2300*time.Millisecond)
			if op.status == http.StatusCreated {
				assert.JSONEq(t, `{"url":"https://hooks.example.com/apivideo","events":["video.encoding.quality.completed"]}`, server.bodies[0], op.name)
			} else {
				assert.Empty(t, server.bodies[0], op.name)
			}
			assert.Equal(t, basicKey, server.heads[0].Get("Authorization"))
			for i := 1; i < 4; i++ {
				assert.Equal(t, server.bodies[0], server.bodies[i], op.name)
				assert.Equal(t, server.heads[0], server.heads[i], op.name)
			}
		})
	}
}

// The tests of internal/transport have the other forms of a delay.
func TestClient_retryAfter(t *testing.T) {
	t.Parallel()
	date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for name, test := range map[string]struct {
		status    int
		headers   func() []string
		low, high time.Duration
	}{
		"429 with a date":                    {429, func() []string { return []string{retryAfter, date(5 * time.Second)} }, 5 * time.Second, 5600 * time.Millisecond},
		"429 without a delay":                {429, func() []string { return nil }, time.Second, longBackoff},
		"503 with Retry-After":               {503, func() []string { return []string{retryAfter, "3"} }, 3 * time.Second, 3400 * time.Millisecond},
		"503 with the header of the service": {503, func() []string { return []string{serviceHeader, "0"} }, time.Second, longBackoff},
		"503 and a clock five minutes behind": {503, func() []string {
			return []string{retryAfter, date(5*time.Minute + 5*time.Second), "Date", date(5 * time.Minute)}
		}, 5 * time.Second, 5600 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := newScript(respondWith(test.status, "", test.headers()...), succeed)
			client := newClient(t, server.ServeHTTP, facade.WithRetry(facade.RetryPolicy{MinDelay: longBackoff, MaxDelay: longBackoff}))
			start := time.Now()
			require.NoError(t, getWebhook(t.Context(), client))
			assert.GreaterOrEqual(t, time.Since(start), test.low, name)
			assert.LessOrEqual(t, time.Since(start), test.high, name)
		})
	}
}

func TestClient_delayTooLong(t *testing.T) {
	t.Parallel()
	patient := facade.RetryPolicy{MaxDelay: math.MaxInt64}
	tests := []struct {
		name     string
		policy   facade.RetryPolicy
		deadline time.Duration
		handler  http.HandlerFunc
		asked    time.Duration
		want     error // nil: there is time for a retry
	}{
		{"MaxDelay", facade.RetryPolicy{}, time.Hour, tooMany(retryAfter, "60"), 0, nil},
		{"beyond MaxDelay", facade.RetryPolicy{}, time.Hour, tooMany(serviceHeader, "61"), 61 * time.Second, facade.ErrTooManyRequests},
		{"below the deadline", patient, 11100 * time.Millisecond, tooMany(retryAfter, "10"), 0, nil},
		{"the deadline", patient, 10 * time.Second, tooMany(retryAfter, "10"), 10 * time.Second, facade.ErrTooManyRequests},
		{"beyond the deadline", patient, 10 * time.Second, tooMany(retryAfter, "11"), 11 * time.Second, facade.ErrTooManyRequests},
		{"backoff beyond the deadline", facade.RetryPolicy{MinDelay: longBackoff, MaxDelay: math.MaxInt64}, time.Second, unavailable, 0, facade.ErrServer},
	}
	for _, test := range tests {
		for _, op := range distinctOperations {
			synctest.Test(t, func(t *testing.T) {
				server := newScript(test.handler, succeed)
				client := newClient(t, server.ServeHTTP, facade.WithRetry(test.policy))
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				defer cancel()
				start := time.Now()
				err := op.call(ctx, client)
				if test.want == nil {
					require.NoError(t, err, test.name)
					assert.Equal(t, 2, server.requests(), test.name)
					return
				}
				assert.Zero(t, time.Since(start), test.name)
				require.ErrorIs(t, err, test.want, test.name)
				require.NotErrorIs(t, err, context.DeadlineExceeded, test.name)
				e := asError(t, err)
				assert.Equal(t, test.asked, e.RetryAfter, test.name)
				assert.Equal(t, 1, e.Attempts, test.name)
				assert.Equal(t, 1, server.requests(), test.name)
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
			opts := []facade.Option{facade.WithHTTPClient(&http.Client{Transport: inMemory(server)})}
			if test.policy != nil {
				opts = append(opts, facade.WithRetry(*test.policy))
			}
			client, err := facade.NewClient(testKey, opts...)
			require.NoError(t, err)
			start := time.Now()
			err = getWebhook(t.Context(), client)
			require.ErrorIs(t, err, facade.ErrServer)
			assert.Equal(t, test.want, asError(t, err).Attempts, test.policy)
			assert.Equal(t, test.want, server.requests(), test.policy)
			assert.LessOrEqual(t, time.Since(start), test.limit, test.policy)
		})
	}
}

func TestDeleteWebhook_404AfterAmbiguousAttempt(t *testing.T) {
	t.Parallel()
	lost := facadetest.Fault{Process: true, Reset: facadetest.ResetAfterRead}
	limited := facadetest.Fault{Status: 429, Header: map[string]string{serviceHeader: "0"}}
	tests := []struct {
		name     string
		faults   []facadetest.Fault
		exists   bool
		want     error
		requests int
	}{
		{"lost response", []facadetest.Fault{lost}, true, nil, 2},
		{"502 of a gateway", []facadetest.Fault{{Process: true, Status: 502}}, true, nil, 2},
		{"lost response, then 429", []facadetest.Fault{lost, limited}, true, nil, 3},
		{"lost request", []facadetest.Fault{{Reset: facadetest.ResetAfterRead}}, true, nil, 2},
		{"no fault", nil, false, facade.ErrNotFound, 1},
		{"429", []facadetest.Fault{limited}, false, facade.ErrNotFound, 2},
	}
	for _, test := range tests {
		server, client := newFake(t)
		wh, err := client.CreateWebhook(t.Context(), validParams)
		require.NoError(t, err)
		if !test.exists {
			require.NoError(t, client.DeleteWebhook(t.Context(), wh.ID))
		}
		before := len(server.Requests())
		server.Inject(test.faults...)
		require.ErrorIs(t, client.DeleteWebhook(t.Context(), wh.ID), test.want, test.name)
		assert.Empty(t, server.Webhooks(), test.name)
		assert.Len(t, server.Requests(), before+test.requests, test.name)
	}
}

// A refused connection does not make a call ambiguous. An ambiguous call stays ambiguous.
func TestClient_retriesRefusedConnection(t *testing.T) {
	t.Parallel()
	newRefused := func(handler http.HandlerFunc, refused int) (*facade.Client, *script) {
		server := newScript(handler)
		transport := newPipeTransport(t, server.ServeHTTP)
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if refused--; refused >= 0 {
				return nil, syscall.ECONNREFUSED
			}
			return dial(ctx, network, address)
		}
		return newFrameClient(t, transport, fastRetries, facade.WithBaseURL("http://localhost")), server
	}
	client, server := newRefused(succeed, 2)
	require.NoError(t, createWebhook(t.Context(), client))
	assert.Equal(t, 1, server.requests())
	client, server = newRefused(abort, 1)
	err := createWebhook(t.Context(), client)
	require.ErrorIs(t, err, facade.ErrUnconfirmed)
	assert.Equal(t, 2, asError(t, err).Attempts)
	assert.Equal(t, 1, server.requests())
	client, server = newRefused(respond(http.StatusNotFound, "{}"), 1)
	require.ErrorIs(t, client.DeleteWebhook(t.Context(), "w"), facade.ErrNotFound)
	assert.Equal(t, 1, server.requests())
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

func TestCreateWebhook_brokenPooledConnection(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			testBrokenPooledConnection(t, scheme)
		})
	}
}

func testBrokenPooledConnection(t *testing.T, scheme string) {
	t.Helper()
	fake := facadetest.NewServer()
	t.Cleanup(fake.Close)
	server := httptest.NewUnstartedServer(fake)
	t.Cleanup(server.Close)
	transport := newTransport(t)
	if scheme == "https" {
		server.StartTLS()                                                                       // without HTTP/2
		transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig //nolint:forcetypeassert // documented
	} else {
		server.Start()
	}
	var broken []*atomic.Bool
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		broken = append(broken, new(atomic.Bool))
		return brokenConn{conn, broken[len(broken)-1]}, err
	}
	client := fake.Client(facade.WithHTTPClient(&http.Client{Transport: transport}), facade.WithBaseURL(server.URL))
	require.NoError(t, createWebhook(t.Context(), client))
	require.Len(t, broken, 1)
	broken[0].Store(true)
	require.NoError(t, createWebhook(t.Context(), client))
	assert.Len(t, broken, 2)
	assert.Len(t, fake.Requests(), 2)
	assert.Len(t, fake.Webhooks(), 2)
}

// The body of a response is read before a retry, to reuse the connection.
func TestClient_reusesConnection(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 100, 60 << 10} {
		large := respond(http.StatusTooManyRequests, fmt.Sprintf("%*s", size, ""))
		server := httptest.NewServer(newScript(large, large, large, succeed))
		t.Cleanup(server.Close)
		var dials atomic.Int32
		transport := newTransport(t)
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		require.NoError(t, createWebhook(t.Context(), newClientWith(t, transport, fastRetries, facade.WithBaseURL(server.URL))))
		assert.EqualValues(t, 1, dials.Load(), size)
	}
}

// The result of each create agrees with the webhooks that the server has in the end,
// although responses and connections are lost.
func TestCreateWebhook_neverDoubled(t *testing.T) {
	t.Parallel()
	for _, major := range []int{1, 2} {
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
		{Delay: time.Minute}, // created, and the response is late
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
	var matched, otherMajor, requests, dials, refused atomic.Int64
	fake.Inject(facadetest.Fault{ // closes the connection, over HTTP/2 with a graceful GOAWAY
		Match: func(*http.Request) bool { return matched.Add(1)%100 == 0 }, Times: -1, Header: map[string]string{"Connection": "close"},
	})
	url, transport := fake.URL, newTransport(t)
	if major == 2 {
		url, transport = newHTTP2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != major {
				otherMajor.Add(1)
			}
			fake.ServeHTTP(w, r)
		}))
	}
	transport.MaxIdleConnsPerHost = 16
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1)%9 == 0 {
			refused.Add(1)
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
	results := make(map[string]error)
	ids := make(map[string]string)
	createAll(t, client, creates, func(url, id string, err error) { results[url], ids[url] = err, id })
	fake.Close() // also ends the late requests
	assert.Zero(t, otherMajor.Load())
	held := make(map[string][]string)
	for _, wh := range fake.Webhooks() {
		held[wh.URL] = append(held[wh.URL], wh.ID)
	}
	var created, unconfirmed, unconfirmedHeld, failed int
	for url, err := range results {
		switch {
		case err == nil:
			created++
			assert.Equal(t, []string{ids[url]}, held[url])
		case errors.Is(err, facade.ErrUnconfirmed):
			unconfirmed++
			unconfirmedHeld += len(held[url])
			assert.LessOrEqual(t, len(held[url]), 1, err)
		default:
			failed++
			assert.Empty(t, held[url], err)
		}
		delete(held, url)
	}
	assert.Empty(t, held)
	assert.Len(t, results, creates)
	assert.Positive(t, failed)
	assert.Positive(t, unconfirmedHeld)
	assert.Greater(t, unconfirmed, unconfirmedHeld, "some created nothing")
	assert.Greater(t, created, creates/2)
	assert.Greater(t, requests.Load(), int64(creates), "some were retried")
	assert.Positive(t, refused.Load())
	t.Logf("%d creates in %d requests, %d dials refused: %d created, %d unconfirmed of which %d were created, %d failed",
		creates, requests.Load(), refused.Load(), created, unconfirmed, unconfirmedHeld, failed)
}
