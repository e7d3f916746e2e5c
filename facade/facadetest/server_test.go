package facadetest_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func TestServerHasAKeyAndAURL(t *testing.T) {
	t.Parallel()
	one, _ := start(t)
	two, _ := start(t)

	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, one.URL)
	assert.Regexp(t, `^[0-9A-Za-z]{43}$`, one.APIKey)
	assert.NotEqual(t, one.APIKey, two.APIKey)
	assert.Empty(t, one.Webhooks())
	assert.Empty(t, one.Requests())
}

func TestClientTalksToTheServer(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	client := server.Client(facade.WithApplication("app", "1.2.3"))

	created, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{
		URL:    "https://hooks.example.com/a",
		Events: []facade.EventType{facade.EventVideoSourceRecorded},
	})
	require.NoError(t, err)

	assert.Equal(t, []facade.Webhook{*created}, server.Webhooks())
	assert.Equal(t, "app:1.2.3", server.Requests()[0].Header.Get("AV-Origin-App"), "the options given count too")
}

func TestClientPanicsOnAFaultyOption(t *testing.T) {
	t.Parallel()
	server, _ := start(t)

	assert.Panics(t, func() { server.Client(facade.WithTimeout(-time.Second)) })
}

func TestWebhooksAreCopies(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	call.create(someWebhook)

	copied := server.Webhooks()
	copied[0].URL = "changed"
	copied[0].Events[0] = "changed"

	assert.Equal(t, "https://hooks.example.com/a", server.Webhooks()[0].URL)
	assert.Equal(t, facade.EventVideoSourceRecorded, server.Webhooks()[0].Events[0])
}

func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/", "//", "/webhooks/", "//webhooks", "/webhooks//", "/webhooks/a/b", "/webhooks/a/", "/webhooks/.",
		"/webhooks/..", "/webhooks/../webhooks", "/auth", "/auth/", "/auth/api-key/", "/Webhooks", "/webhooks%2Fa",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			_, call := start(t)

			resp := call.odd().do(http.MethodGet, path, "")

			resp.isError(http.StatusNotFound, "unrecognized-request-url", "Unrecognized request URL.", "")
			assert.Equal(t, !strings.HasPrefix(path, "/auth/"), resp.header.Get("X-RateLimit-Limit") == "100")
		})
	}
}

func TestMethodsNotAllowed(t *testing.T) {
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

				resp := call.odd().do(method, route.path, "")

				resp.isError(http.StatusMethodNotAllowed, "method-not-allowed", "Method is not allowed for this route.", "")
			})
		}
	}
}

func TestHeadIsNotAllowed(t *testing.T) {
	t.Parallel()
	_, call := start(t)

	resp := call.odd().do(http.MethodHead, "/webhooks", "")

	assert.Equal(t, http.StatusMethodNotAllowed, resp.status)
	assert.Empty(t, resp.body)
	assert.Equal(t, "99", resp.header.Get("X-RateLimit-Remaining"), "it counts as a read")
}

func TestServerError(t *testing.T) {
	t.Parallel()
	// The one thing that can't be written in JSON is a date after the year 9999.
	_, call := start(t, facadetest.WithClock(func() time.Time {
		return time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	}))

	call.do(http.MethodPost, "/webhooks", someWebhook).isError(http.StatusInternalServerError, "", "Server error", "")
}

func TestServesOnAnotherListener(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	other := httptest.NewServer(server)
	defer other.Close()

	created := call.create(someWebhook)
	server.URL = other.URL
	found := call.do(http.MethodGet, "/webhooks/"+created.WebhookID, "")

	assert.Equal(t, http.StatusOK, found.status)
	assert.Len(t, server.Requests(), 2)
}

func TestCloseRefusesConnectionsAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	server, call := start(t)

	server.Close()
	server.Close()

	_ = call.free().fail(http.MethodGet, "/webhooks", "")
	assert.Empty(t, server.Requests())
}

func TestCloseDoesNotWaitForAReader(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("a", 64<<20)
	for name, fault := range map[string]facadetest.Fault{"whole": {Status: 200, Body: large}, "cut": {Body: large, Truncate: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, call := start(t)
			server.Inject(fault)
			resp, err := call.free().transport.RoundTrip(call.request(http.MethodGet, "/webhooks", ""))
			require.NoError(t, err)
			defer resp.Body.Close()

			closes(t, server)
		})
	}
}

// sendPart sends a create that announces 500 bytes more of a body than it has,
// and stays connected.
func sendPart(t *testing.T, server *facadetest.Server, body string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body)+500, body)
	require.NoError(t, err)
}

func TestCloseDoesNotWaitForTheRestOfARequest(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	sendPart(t, server, someWebhook)
	arrived(t, server, 1)

	closes(t, server)

	assert.Empty(t, server.Webhooks())
}

func TestCloseDoesNotWaitForWhatIsTooLong(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	sendPart(t, server, strings.Repeat("a", 1<<20+1))
	require.Eventually(t, func() bool {
		got := server.Requests()
		return len(got) == 1 && got[0].Status != 0
	}, 10*time.Second, time.Millisecond, "net/http waits for the rest before it answers")

	closes(t, server)
}

func TestNewServerPanicsOnWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		option facadetest.Option
		want   string
	}{
		"no clock":       {facadetest.WithClock(nil), "facadetest: WithClock needs a clock"},
		"webhook limit":  {facadetest.WithWebhookLimit(-1), "facadetest: a limit is zero or more"},
		"limit of reads": {facadetest.WithRateLimit(-1, 1), "facadetest: a limit is zero or more"},
		"of writes":      {facadetest.WithRateLimit(1, -1), "facadetest: a limit is zero or more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.PanicsWithValue(t, test.want, func() { facadetest.NewServer(test.option) })
		})
	}
}

func TestPageBeyondEndPanicsOnOtherStatuses(t *testing.T) {
	t.Parallel()

	assert.PanicsWithValue(t, "facadetest: a page beyond the end is answered with 200, 400 or 404, not with 500", func() {
		facadetest.NewServer(facadetest.WithPageBeyondEnd(http.StatusInternalServerError))
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	const callers = 20
	server, call := start(t, facadetest.WithWebhookLimit(0), facadetest.WithRateLimit(0, 0))
	server.Inject(facadetest.Fault{Times: callers, Match: func(*http.Request) bool { return len(server.Webhooks()) > 2*callers }})

	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			body := fmt.Sprintf(`{"url":"https://hooks.example.com/%d","events":["video.source.recorded"]}`, i)
			kept := call.create(body)
			gone := call.create(body)
			assert.Equal(t, http.StatusNoContent, call.do(http.MethodDelete, "/webhooks/"+gone.WebhookID, "").status)
			assert.Equal(t, http.StatusOK, call.do(http.MethodGet, "/webhooks/"+kept.WebhookID, "").status)
			assert.NotEmpty(t, call.list("").Data)
			assert.NotEmpty(t, server.Requests())
			server.Inject(facadetest.Fault{Match: func(*http.Request) bool { return false }})
		})
	}
	group.Wait()

	urls := map[string]bool{}
	for _, w := range server.Webhooks() {
		urls[w.URL] = true
	}
	assert.Len(t, urls, callers)
	assert.Len(t, server.Webhooks(), callers)
	assert.Len(t, server.Requests(), 5*callers)
	for _, r := range server.Requests() {
		assert.Less(t, r.Status, 300)
	}
}
