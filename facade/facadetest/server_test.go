package facadetest_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

func TestNewServer(t *testing.T) {
	t.Parallel()
	one, _ := start(t)
	two, _ := start(t)
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, one.URL)
	assert.Regexp(t, `^[0-9A-Za-z]{43}$`, one.APIKey)
	assert.NotEqual(t, one.APIKey, two.APIKey)
}

func TestServer_invalidArguments(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	const (
		limit   = "a limit must be zero or more"
		retries = "WithDeliveryRetries: the count and the interval must be zero or more"
		timeout = "WithDeliveryTimeout: the timeout must be positive"
		status  = "Fault.Status must be between 200 and 999, not "
		noBody  = "Fault.Truncate and Fault.Infinite need a body, and a response with status "
		noType  = `the event is not a JSON object with a "type" string`
	)
	option := func(o facadetest.Option) func() { return func() { facadetest.NewServer(o) } }
	inject := func(f fault) func() { return func() { server.Inject(fault{Status: 500}, f) } }
	deliver := func(event any) func() { return func() { server.Deliver(t.Context(), event) } }
	pointer := &summary
	for _, test := range []struct {
		call func()
		want string
	}{
		{option(facadetest.WithClock(nil)), "WithClock: the clock is nil"},
		{option(facadetest.WithWebhookLimit(-1)), limit},
		{option(facadetest.WithRateLimit(-1, 1)), limit},
		{option(facadetest.WithRateLimit(1, -1)), limit},
		{option(facadetest.WithAPIKey("")), "WithAPIKey: the key is empty"},
		{option(facadetest.WithPageBeyondEnd(500)), "WithPageBeyondEnd: the status must be 200, 400 or 404, not 500"},
		{option(facadetest.WithDeliveryClient(nil)), "WithDeliveryClient: the client is nil"},
		{option(facadetest.WithDeliveryRetries(-1, 0)), retries},
		{option(facadetest.WithDeliveryRetries(0, -1)), retries},
		{option(facadetest.WithDeliveryTimeout(0)), timeout},
		{option(facadetest.WithDeliveryTimeout(-1)), timeout},
		{inject(fault{Status: -1}), status + "-1"},
		{inject(fault{Status: 1}), status + "1"},
		{inject(fault{Status: 199}), status + "199"},
		{inject(fault{Status: 1000}), status + "1000"},
		{inject(fault{Status: 204, Truncate: true}), noBody + "204 has none"},
		{inject(fault{Status: 304, Truncate: true}), noBody + "304 has none"},
		{inject(fault{Status: 204, Infinite: true}), noBody + "204 has none"},
		{inject(fault{Status: 304, Infinite: true}), noBody + "304 has none"},
		{deliver(nil), "the event is nil"},
		{deliver((*notification.VideoSummaryGenerated)(nil)), "the event is nil"},
		{deliver(summaryBody), "string is not an event type"},
		{deliver(&pointer), "**notification.VideoSummaryGenerated is not an event type"},
		{deliver(&notification.Notification{}), "*notification.Notification is not an event type"},
		{deliver([]byte(nil)), noType},
		{deliver([]byte("type")), noType},
		{deliver([]byte(`["type"]`)), noType},
		{deliver(json.RawMessage(`{"types":"video.new"}`)), noType},
		{deliver(json.RawMessage(`{"type":7}`)), noType},
		{deliver(json.RawMessage(`{"type":""}`)), noType},
		{deliver([]byte(`{"type":"video.new"}`)), `unknown event "video.new"; WithUnknownEvents allows it`},
	} {
		assert.PanicsWithValue(t, "facadetest: "+test.want, test.call)
	}
	assert.Panics(t, func() { server.Client(facade.WithTimeout(-time.Second)) })
	assert.Equal(t, 200, call.do("GET /webhooks").status, "an invalid fault adds no other fault")
	defer func() { assert.Contains(t, recover(), "facadetest: json: ", "the year is invalid") }()
	server.Deliver(t.Context(), notification.VideoSummaryGenerated{EmittedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)})
}

// The test takes no time. With the default policy of package facade it takes a minute.
func TestClient_retryPolicy(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	server.Inject(
		fault{Status: http.StatusServiceUnavailable, Times: 4},
		fault{Status: http.StatusTooManyRequests, Header: header{"X-RateLimit-Retry-After": "2"}},
	)
	_, err := server.Client().ListWebhooks(t.Context(), facade.ListOptions{})
	require.ErrorIs(t, err, facade.ErrServer)
	assert.Len(t, server.Requests(), 4, "4 attempts")
	_, err = server.Client().ListWebhooks(t.Context(), facade.ListOptions{})
	var e *facade.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 2*time.Second, e.RetryAfter)
	assert.Len(t, server.Requests(), 5, "no attempt after a delay of more than a second")
}

func TestRequests(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(fault{Status: http.StatusBadGateway, Match: isMethod("DELETE")})
	long := strings.Repeat("a", 1<<20+2)
	call.as(call.auth).do("GET //other?a=b c")
	call.as("").do("GET /webhooks/a%2Fb")
	call.create(someWebhook)
	call.do("DELETE /webhooks/a")
	call.as(call.auth).do("POST /webhooks " + long)
	for range 2 { // Requests returns copies
		got := server.Requests()
		for i, auth := range []string{call.auth, "", call.auth, call.auth, call.auth} {
			assert.Equal(t, auth, got[i].Header.Get("Authorization"))
			assert.Equal(t, "Go-http-client/1.1", got[i].Header.Get("User-Agent"))
			got[i].Header.Set("Authorization", "changed")
			got[i].Header = nil
		}
		assert.Equal(t, []facadetest.Request{
			{Method: "GET", Path: "//other", Query: url.Values{"a": {"b"}}, Body: []byte("c"), Status: 404},
			{Method: "GET", Path: "/webhooks/a%2Fb", Query: url.Values{}, Body: []byte{}, Status: 401},
			{Method: "POST", Path: "/webhooks", Query: url.Values{}, Body: []byte(someWebhook), Status: 201},
			{Method: "DELETE", Path: "/webhooks/a", Query: url.Values{}, Body: []byte{}, Status: 502},
			{Method: "POST", Path: "/webhooks", Query: url.Values{}, Body: []byte(long[:1<<20]), Status: 400},
		}, got)
		got[0].Query["a"][0], got[0].Body[0] = "changed", '?'
	}
}

func TestRequests_limits(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	requests, bodies := server.SetRecordLimits(10, 1000)
	assert.Equal(t, []int{10_000, 64 << 20}, []int{requests, bodies})
	serve := func(bodies ...string) (recorded []string) {
		for _, body := range bodies {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks", strings.NewReader(body))
			server.ServeHTTP(httptest.NewRecorder(), r)
		}
		for _, r := range server.Requests() {
			recorded = append(recorded, string(r.Body))
		}
		return recorded
	}
	for i := range 11 {
		serve(strconv.Itoa(i))
	}
	assert.Equal(t, []string{"2", "3", "4", "5", "6", "7", "8", "9", "10", "last"}, serve("last"))
	long := strings.Repeat("a", 500)
	assert.Equal(t, []string{long, long, ""}, serve(long, long, ""))
	server.Reset()
	assert.Equal(t, []string{"second", long}, serve("second", long))
}

func TestServer_disconnect(t *testing.T) {
	t.Parallel()
	server, _ := start(t, facadetest.WithAPIKey("key"))
	require.NoError(t, connect(t, server.URL, partialCreate(someWebhook)).Close())
	eventually(t, func() bool { return len(server.Requests()) == 1 && string(server.Requests()[0].Body) == someWebhook })
	assert.Empty(t, server.Webhooks())
	server.Inject(fault{Delay: forever})
	delayed := connect(t, server.URL, partialCreate(someWebhook)+missingSpaces)
	eventually(t, func() bool { return len(server.Webhooks()) == 1 })
	assert.Zero(t, server.Requests()[1].Status, "the request is processed and has no response")
	require.NoError(t, delayed.Close())
	eventually(t, func() bool { return server.Requests()[1].Status == http.StatusCreated })
	assert.Zero(t, server.Requests()[0].Status)
}

func TestReset(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithRateLimit(2, 1), facadetest.WithClock(new(clock).now))
	client := server.Client(facade.WithTokenExchange())
	call.create(someWebhook)
	call.do(someCreate).assertError(tooManyRequests)
	_, err := client.ListWebhooks(t.Context(), facade.ListOptions{})
	require.NoError(t, err)
	server.Inject(fault{Status: http.StatusBadGateway, Times: -1})
	server.Reset()
	page, err := client.ListWebhooks(t.Context(), facade.ListOptions{})
	require.NoError(t, err, "no fault")
	assert.Zero(t, page.TotalItems)
	assert.Len(t, server.Requests(), 1, "the token is still valid")
	assert.Equal(t, "2 0 60", call.do("GET /webhooks").rateLimit())
	call.create(someWebhook)
	assert.Len(t, server.Webhooks(), 1)
}

// The race detector watches. The server works afterwards.
func TestReset_concurrent(t *testing.T) {
	t.Parallel()
	receiver := &receiver{}
	server, _ := start(t, receiver.option(), facadetest.WithRateLimit(0, 0), facadetest.WithWebhookLimit(0))
	client := server.Client(facade.WithTokenExchange())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				server.Inject(fault{Status: http.StatusBadRequest, Match: isMethod("DELETE")})
				w := subscribe(server, params.URL)
				server.Deliver(t.Context(), &summary)
				_ = client.DeleteWebhook(t.Context(), w.ID)
				_, _ = server.Requests(), server.Webhooks()
				server.Reset()
			}
		})
	}
	group.Wait()
	server.Reset()
	subscribe(server, params.URL)
	assert.Len(t, server.Deliver(t.Context(), &summary), 1)
	assert.Len(t, server.Requests(), 1)
}

// Close ends requests in each state and on each listener.
func TestClose(t *testing.T) {
	t.Parallel()
	const get = "GET /webhooks HTTP/1.1\r\nHost: a\r\n\r\n"
	large := strings.Repeat("a", 8<<20)
	for name, test := range map[string]struct {
		fault   fault
		request string
		status  int
	}{
		"unread":           {fault{Status: 200, Body: large}, get, 200},
		"unread half":      {fault{Status: 200, Body: large, Truncate: true}, get, 200},
		"infinite":         {fault{Status: 200, Infinite: true}, get, 200},
		"delay":            {fault{Status: 503, Delay: forever}, get, 0},
		"delayed reset":    {fault{Reset: facadetest.ResetBeforeRead, Delay: forever}, get, 0},
		"partial request":  {fault{}, partialCreate(someWebhook), 0},
		"request too long": {fault{}, partialCreate(strings.Repeat("a", 1<<20+1)), 400}, // net/http reads the rest
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, call := start(t, facadetest.WithAPIKey("key"))
			other := httptest.NewServer(server)
			test.fault.Times = 2
			server.Inject(test.fault)
			conns := []net.Conn{connect(t, server.URL, test.request), connect(t, other.URL, test.request)}
			eventually(t, func() bool {
				got := server.Requests()
				return len(got) == 2 && got[0].Status == test.status && got[1].Status == test.status
			})
			var closed atomic.Bool
			go func() {
				server.Close()
				other.Close() // waits for the request
				closed.Store(true)
			}()
			eventually(t, closed.Load)
			for _, conn := range conns {
				received, _ := io.ReadAll(conn)
				assert.True(t, test.status != 0 || len(received) == 0, "the response is not sent")
			}
			assert.Empty(t, server.Webhooks())
			_, err := call.try("GET /webhooks")
			assert.ErrorContains(t, err, "connection refused")
		})
	}
}
