package facadetest_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func TestNewServer_urlAndKey(t *testing.T) {
	t.Parallel()
	one, _ := start(t)
	two, _ := start(t)
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, one.URL)
	assert.Regexp(t, `^[0-9A-Za-z]{43}$`, one.APIKey)
	assert.NotEqual(t, one.APIKey, two.APIKey)
	assert.Empty(t, one.Webhooks())
	assert.Empty(t, one.Requests())
}

func TestWithAPIKey(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithAPIKey("key-of-the-test"))
	assert.Equal(t, "key-of-the-test", server.APIKey)
	assert.Equal(t, http.StatusOK, call.do(http.MethodGet, "/webhooks", "").status)
	for _, opts := range [][]facade.Option{nil, {facade.WithTokenExchange()}} {
		_, err := server.Client(opts...).ListWebhooks(t.Context(), facade.ListOptions{})
		require.NoError(t, err)
	}
	other := call.responsesOnly().do(http.MethodGet, "/webhooks", "", "Authorization", basic("another-key:"))
	assert.Equal(t, http.StatusUnauthorized, other.status)
}

// The test counts second attempts. It would take a minute with the default policy
// of package facade.
func TestClient_retryPolicy(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	client := server.Client()
	server.Inject(facadetest.Fault{Status: http.StatusServiceUnavailable, Times: 4})
	_, err := client.ListWebhooks(t.Context(), facade.ListOptions{})
	require.ErrorIs(t, err, facade.ErrServer)
	assert.Len(t, server.Requests(), 4, "4 attempts")
	server.Inject(facadetest.Fault{Status: http.StatusTooManyRequests, Header: map[string]string{"X-RateLimit-Retry-After": "2"}})
	_, err = client.ListWebhooks(t.Context(), facade.ListOptions{})
	require.ErrorIs(t, err, facade.ErrTooManyRequests)
	var e *facade.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 2*time.Second, e.RetryAfter)
	assert.Len(t, server.Requests(), 5, "no attempt after a delay of more than a second")
}

func TestClient_invalidOption(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	assert.Panics(t, func() { server.Client(facade.WithTimeout(-time.Second)) })
}

func TestWebhooks_copies(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	call.create(someWebhook)
	copied := server.Webhooks()
	copied[0].URL = "changed"
	copied[0].Events[0] = "changed"
	assert.Equal(t, "https://hooks.example.com/a", server.Webhooks()[0].URL)
	assert.Equal(t, facade.EventVideoSourceRecorded, server.Webhooks()[0].Events[0])
}

func TestServer_unknownRoute(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/", "//", "/webhooks/", "//webhooks", "/webhooks//", "/webhooks/a/b", "/webhooks/a/", "/webhooks/.",
		"/webhooks/..", "/webhooks/../webhooks", "/auth", "/auth/", "/auth/api-key/", "/Webhooks", "/webhooks%2Fa",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			_, call := start(t)
			resp := call.responsesOnly().do(http.MethodGet, path, "")
			resp.assertError(http.StatusNotFound, "unrecognized-request-url", "Unrecognized request URL.", "")
			assert.Equal(t, !strings.HasPrefix(path, "/auth/"), resp.header.Get("X-RateLimit-Limit") == "100")
		})
	}
}

func TestServer_methodNotAllowed(t *testing.T) {
	t.Parallel()
	for _, route := range []struct {
		path    string
		refused []string
	}{
		{"/webhooks", []string{http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}},
		{"/webhooks/webhook_1", []string{http.MethodPut, http.MethodPatch, http.MethodPost, http.MethodOptions}},
		{"/auth/api-key", []string{http.MethodGet, http.MethodPut}},
		{"/auth/refresh", []string{http.MethodGet, http.MethodDelete}},
	} {
		for _, method := range route.refused {
			t.Run(method+" "+route.path, func(t *testing.T) {
				t.Parallel()
				_, call := start(t)
				resp := call.responsesOnly().do(method, route.path, "")
				resp.assertError(http.StatusMethodNotAllowed, "method-not-allowed", "Method is not allowed for this route.", "")
			})
		}
	}
}

func TestServer_head(t *testing.T) {
	t.Parallel()
	_, call := start(t)
	resp := call.responsesOnly().do(http.MethodHead, "/webhooks", "")
	assert.Equal(t, http.StatusMethodNotAllowed, resp.status)
	assert.Empty(t, resp.body)
	assert.Equal(t, "99", resp.header.Get("X-RateLimit-Remaining"), "a HEAD counts as a read")
}

func TestServer_internalError(t *testing.T) {
	t.Parallel()
	// A date after the year 9999 is invalid in JSON.
	_, call := start(t, facadetest.WithClock(func() time.Time {
		return time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	}))
	call.do(http.MethodPost, "/webhooks", someWebhook).assertError(http.StatusInternalServerError, "", "Server error", "")
}

func TestClose_idleReader(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("a", 64<<20)
	for name, fault := range map[string]facadetest.Fault{"complete": {Status: 200, Body: large}, "truncated": {Body: large, Truncate: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, call := start(t)
			server.Inject(fault)
			resp, err := call.withoutContract().transport.RoundTrip(call.request(http.MethodGet, "/webhooks", ""))
			require.NoError(t, err)
			defer resp.Body.Close()
			requireClose(t, server)
		})
	}
}

// sendPartial sends a create without the last 500 bytes of its body. The
// connection stays open.
func sendPartial(t *testing.T, server *facadetest.Server, body string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body)+500, body)
	require.NoError(t, err)
}

func TestClose_partialRequest(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	sendPartial(t, server, someWebhook)
	waitForRequests(t, server, 1)
	requireClose(t, server)
	assert.Empty(t, server.Webhooks())
}

func TestClose_partialRequestBeyondLimit(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	sendPartial(t, server, strings.Repeat("a", 1<<20+1))
	require.Eventually(t, func() bool {
		got := server.Requests()
		return len(got) == 1 && got[0].Status != 0
	}, 10*time.Second, time.Millisecond, "net/http waits for the rest before the response")
	requireClose(t, server)
}

func TestNewServer_invalidOption(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		option facadetest.Option
		want   string
	}{
		"nil clock":           {facadetest.WithClock(nil), "facadetest: WithClock: the clock is nil"},
		"webhook limit":       {facadetest.WithWebhookLimit(-1), "facadetest: a limit must be zero or more"},
		"read limit":          {facadetest.WithRateLimit(-1, 1), "facadetest: a limit must be zero or more"},
		"write limit":         {facadetest.WithRateLimit(1, -1), "facadetest: a limit must be zero or more"},
		"empty API key":       {facadetest.WithAPIKey(""), "facadetest: WithAPIKey: the key is empty"},
		"page beyond the end": {facadetest.WithPageBeyondEnd(500), "facadetest: WithPageBeyondEnd: the status must be 200, 400 or 404, not 500"},
		"nil delivery client": {facadetest.WithDeliveryClient(nil), "facadetest: WithDeliveryClient: the client is nil"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.PanicsWithValue(t, test.want, func() { facadetest.NewServer(test.option) })
		})
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithRateLimit(2, 1))
	call.create(someWebhook)
	assert.Equal(t, http.StatusTooManyRequests, call.do(http.MethodPost, "/webhooks", someWebhook).status)
	tokens := exchange(call)
	call.do(http.MethodGet, "/webhooks", "")
	server.Inject(facadetest.Fault{Status: http.StatusBadGateway, Times: -1})
	server.Reset()
	assert.Empty(t, server.Webhooks())
	assert.Empty(t, server.Requests())
	list := call.do(http.MethodGet, "/webhooks", "", "Authorization", "Bearer "+tokens.AccessToken)
	assert.Equal(t, http.StatusOK, list.status, "no fault, and valid credentials")
	list.assertRateLimit("2", "1", "60")
	call.create(someWebhook)
	assert.Len(t, server.Webhooks(), 1)
	assert.Len(t, server.Requests(), 2)
}

// The race detector watches. The server works afterwards.
func TestReset_concurrent(t *testing.T) {
	t.Parallel()
	server, _ := start(t, withoutInterval, facadetest.WithRateLimit(1000, 1000))
	hook := newHook(t)
	client := server.Client()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				server.Inject(facadetest.Fault{Status: http.StatusBadRequest})
				w, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: hook.URL, Events: []facade.EventType{facade.EventVideoSummaryGenerated}})
				if err == nil {
					server.Deliver(t.Context(), &summary)
					_ = client.DeleteWebhook(t.Context(), w.ID)
				}
				_, _ = server.Requests(), server.Webhooks()
				server.Reset()
			}
		})
	}
	group.Wait()
	server.Reset()
	assert.Empty(t, server.Webhooks())
	assert.Empty(t, server.Requests())
	subscribe(t, server, hook.URL)
	assert.True(t, server.Deliver(t.Context(), &summary)[0].OK())
	assert.Len(t, server.Requests(), 1)
}

func (r response) assertRateLimit(limit, remaining, retryAfter string) {
	r.t.Helper()
	assert.Equal(r.t, []string{limit, remaining, retryAfter}, []string{
		r.header.Get("X-RateLimit-Limit"), r.header.Get("X-RateLimit-Remaining"), r.header.Get("X-RateLimit-Retry-After"),
	})
}

func TestRateLimit_defaults(t *testing.T) {
	t.Parallel()
	_, call := start(t, facadetest.WithClock(newClock().Now))
	call.do(http.MethodGet, "/webhooks", "").assertRateLimit("100", "99", "60")
	call.do(http.MethodPost, "/webhooks", someWebhook).assertRateLimit("40", "39", "60")
	call.do(http.MethodGet, "/webhooks/a", "").assertRateLimit("100", "98", "60")
	call.do(http.MethodDelete, "/webhooks/a", "").assertRateLimit("40", "38", "60")
	call.responsesOnly().do(http.MethodGet, "/webhooks", "", "Authorization", "").assertRateLimit("100", "97", "60")
	call.responsesOnly().do(http.MethodGet, "/webhooks?pageSize=101", "").assertRateLimit("100", "96", "60")
	call.responsesOnly().do(http.MethodPut, "/webhooks/a", "").assertRateLimit("40", "37", "60")
	call.responsesOnly().do(http.MethodGet, "/webhooks/", "").assertRateLimit("100", "95", "60")
	call.responsesOnly().do(http.MethodGet, "/auth/", "").assertRateLimit("", "", "")
}

func TestRateLimit_windows(t *testing.T) {
	t.Parallel()
	clock := newClock()
	server, call := start(t, facadetest.WithClock(clock.Now), facadetest.WithRateLimit(2, 1))
	read := func() response { return call.do(http.MethodGet, "/webhooks", "") }
	write := func() response { return call.do(http.MethodPost, "/webhooks", someWebhook) }
	read().assertRateLimit("2", "1", "60")
	clock.add(20*time.Second + time.Millisecond)
	write().assertRateLimit("1", "0", "60")
	read().assertRateLimit("2", "0", "40")
	refused := read()
	refused.assertError(http.StatusTooManyRequests, "too-many-requests", "Too many requests.", "")
	refused.assertRateLimit("2", "0", "40")
	write().assertError(http.StatusTooManyRequests, "too-many-requests", "Too many requests.", "")
	assert.Len(t, server.Webhooks(), 1)
	clock.add(40*time.Second - 2*time.Millisecond)
	read().assertRateLimit("2", "0", "1")
	clock.add(time.Millisecond)
	next := read()
	assert.Equal(t, http.StatusOK, next.status, "a window ends a minute after its first request")
	next.assertRateLimit("2", "1", "60")
	write().assertRateLimit("1", "0", "21")
	clock.add(time.Hour)
	write().assertRateLimit("1", "0", "60")
	clock.add(-time.Hour)
	read().assertRateLimit("2", "0", "60")
	assert.Equal(t, http.StatusCreated, write().status, "a clock that moves back begins a new window")
}

func TestRateLimit_disabled(t *testing.T) {
	t.Parallel()
	_, call := start(t, facadetest.WithRateLimit(0, 1))
	for range 3 {
		resp := call.do(http.MethodGet, "/webhooks", "")
		assert.Equal(t, http.StatusOK, resp.status)
		resp.assertRateLimit("", "", "")
	}
	call.create(someWebhook)
	assert.Equal(t, http.StatusTooManyRequests, call.do(http.MethodPost, "/webhooks", someWebhook).status)
}

func TestRateLimit_tokens(t *testing.T) {
	t.Parallel()
	_, call := start(t, facadetest.WithRateLimit(1, 1))
	for range 3 {
		exchange(call)
	}
	resp := refresh(call, "wrong")
	assert.Equal(t, http.StatusUnauthorized, resp.status)
	resp.assertRateLimit("", "", "")
	call.create(someWebhook)
}
