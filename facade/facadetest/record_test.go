package facadetest_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func TestRequests_order(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithUnknownEvents())
	server.Inject(facadetest.Fault{Status: http.StatusBadGateway, Match: func(r *http.Request) bool { return r.Method == http.MethodDelete }})
	call.do(http.MethodPost, "/webhooks", someWebhook, "X-Test", "1")
	call.responsesOnly().do(http.MethodGet, "/webhooks/a%2Fb", "", "Authorization", "")
	call.do(http.MethodDelete, "/webhooks/a", "")
	call.do(http.MethodGet, "/webhooks?pageSize=5&events=video.new", "")
	call.responsesOnly().do(http.MethodGet, "//other", "")
	got := server.Requests()
	require.Len(t, got, 5)
	assert.Equal(t, "1", got[0].Header.Get("X-Test"))
	assert.Empty(t, got[1].Header.Get("Authorization"))
	for i := range got {
		got[i].Header = nil
		if len(got[i].Body) == 0 {
			got[i].Body = nil
		}
	}
	assert.Equal(t, []facadetest.Request{
		{Method: "POST", Path: "/webhooks", Query: url.Values{}, Body: []byte(someWebhook), Status: 201},
		{Method: "GET", Path: "/webhooks/a%2Fb", Query: url.Values{}, Status: 401},
		{Method: "DELETE", Path: "/webhooks/a", Query: url.Values{}, Status: 502},
		{Method: "GET", Path: "/webhooks", Query: url.Values{"pageSize": {"5"}, "events": {"video.new"}}, Status: 200},
		{Method: "GET", Path: "//other", Query: url.Values{}, Status: 404},
	}, got)
}

func TestRequests_copies(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	call.responsesOnly().do(http.MethodPost, "/webhooks?a=b", someWebhook, "X-Test", "1")
	got := server.Requests()
	got[0].Header.Set("X-Test", "2")
	got[0].Query.Set("a", "c")
	got[0].Query["a"][0] = "c"
	got[0].Body[0] = '?'
	copied := server.Requests()[0]
	assert.Equal(t, "1", copied.Header.Get("X-Test"))
	assert.Equal(t, "b", copied.Query.Get("a"))
	assert.Equal(t, someWebhook, string(copied.Body))
}

func TestRequests_bodyLimit(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	call.responsesOnly().do(http.MethodPost, "/webhooks", strings.Repeat("a", 1<<20+2))
	assert.Len(t, server.Requests()[0].Body, 1<<20)
}

func TestRequests_limit(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithRateLimit(0, 0))
	requests, bodies := server.SetRecordLimits(10, 1000)
	assert.Equal(t, 10_000, requests)
	assert.Equal(t, 64<<20, bodies)
	post := call.request(http.MethodPost, "/webhooks", "")
	serve := func(body string) {
		r := post.Clone(t.Context())
		r.Body = io.NopCloser(strings.NewReader(body))
		server.ServeHTTP(httptest.NewRecorder(), r)
	}
	assertBodies := func(want ...string) {
		t.Helper()
		var got []string
		for _, r := range server.Requests() {
			got = append(got, string(r.Body))
		}
		assert.Equal(t, want, got)
	}
	for i := range 12 {
		serve(strconv.Itoa(i))
	}
	assertBodies("2", "3", "4", "5", "6", "7", "8", "9", "10", "11")
	long := strings.Repeat("a", 500)
	serve(long)
	serve(long)
	serve("")
	assertBodies(long, long, "")
	server.Reset()
	serve("second")
	serve(long)
	assertBodies("second", long)
}

func TestServer_truncatedRequest(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	_, err = conn.Write([]byte("POST /webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n" + someWebhook))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool {
		got := server.Requests()
		return len(got) == 1 && len(got[0].Body) > 0
	}, 10*time.Second, time.Millisecond)
	assert.Equal(t, someWebhook, string(server.Requests()[0].Body))
	assert.Zero(t, server.Requests()[0].Status)
	assert.Empty(t, call.list("").Data)
}
