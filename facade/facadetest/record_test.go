package facadetest_test

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func TestRequestsAreRecorded(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(facadetest.Fault{Status: http.StatusBadGateway, Match: func(r *http.Request) bool { return r.Method == http.MethodDelete }})

	call.do(http.MethodPost, "/webhooks", someWebhook, "X-Test", "1")
	call.odd().do(http.MethodGet, "/webhooks/a%2Fb", "", "Authorization", "")
	call.do(http.MethodDelete, "/webhooks/a", "")
	call.do(http.MethodGet, "/webhooks?pageSize=5&events=a", "")
	call.odd().do(http.MethodGet, "//other", "")

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
		{Method: "GET", Path: "/webhooks", Query: url.Values{"pageSize": {"5"}, "events": {"a"}}, Status: 200},
		{Method: "GET", Path: "//other", Query: url.Values{}, Status: 404},
	}, got)
}

func TestRequestsAreCopies(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	call.odd().do(http.MethodPost, "/webhooks?a=b", someWebhook, "X-Test", "1")

	got := server.Requests()
	got[0].Header.Set("X-Test", "2")
	got[0].Query.Set("a", "c")
	got[0].Query["a"][0] = "c"
	got[0].Body[0] = '?'

	again := server.Requests()[0]
	assert.Equal(t, "1", again.Header.Get("X-Test"))
	assert.Equal(t, "b", again.Query.Get("a"))
	assert.Equal(t, someWebhook, string(again.Body))
}

func TestRecordedBodyIsBounded(t *testing.T) {
	t.Parallel()
	server, call := start(t)

	call.odd().do(http.MethodPost, "/webhooks", strings.Repeat("a", 1<<20+2))

	assert.Len(t, server.Requests()[0].Body, 1<<20)
}

func TestHalfARequestChangesNothing(t *testing.T) {
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
