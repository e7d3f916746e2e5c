package facadetest_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/gen"
)

// forever is longer than any test.
const forever = time.Hour

func method(m string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == m }
}

func TestFault_zero(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(facadetest.Fault{}, facadetest.Fault{Status: 500})
	call.create(someWebhook)
	assert.Equal(t, 500, call.do(http.MethodGet, "/webhooks", "").status)
	assert.Equal(t, 200, call.do(http.MethodGet, "/webhooks", "").status)
}

func TestInject_order(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(
		facadetest.Fault{Match: method(http.MethodDelete), Status: 500, Times: 2},
		facadetest.Fault{Status: 502, Times: 1},
		facadetest.Fault{Match: method(http.MethodGet), Status: 503, Times: -1},
	)
	server.Inject(facadetest.Fault{Status: 504})
	var got []int
	for _, m := range []string{"GET", "DELETE", "GET", "DELETE", "DELETE", "GET", "DELETE", "GET"} {
		got = append(got, call.do(m, "/webhooks/a", "").status)
	}
	assert.Equal(t, []int{502, 500, 503, 500, 504, 503, 404, 503}, got)
}

func TestInject_invalidStatus(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	for _, status := range []int{-1, 1, 100, 199, 1000} {
		assert.PanicsWithValue(t, "facadetest: Fault.Status must be between 200 and 999, not "+strconv.Itoa(status),
			func() { server.Inject(facadetest.Fault{}, facadetest.Fault{Status: status}) })
	}
	for _, fault := range []facadetest.Fault{
		{Status: 204, Truncate: true}, {Status: 304, Truncate: true}, {Status: 204, Infinite: true}, {Status: 304, Infinite: true},
	} {
		assert.PanicsWithValue(t, "facadetest: Fault.Truncate and Fault.Infinite need a body, and a response with status "+strconv.Itoa(fault.Status)+" has none",
			func() { server.Inject(fault) })
	}
	server.Inject(facadetest.Fault{Status: 999})
	assert.Equal(t, 999, call.withoutContract().do(http.MethodGet, "/webhooks", "").status, "the invalid faults were not added")
}

func TestFault_status(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status            int
		slug, title, name string
	}{
		{400, "invalid-payload", "The payload is invalid.", ""},
		{401, "authentication-invalid-api-key", badKeyTitle, ""},
		{403, "authorization-suspended-account", "Suspended account", ""},
		{405, "method-not-allowed", "Method is not allowed for this route.", ""},
		{429, "too-many-requests", "Too many requests.", ""},
		{500, "", "Server error", ""},
		{503, "", "Service Unavailable", ""},
		{404, "resource-not-found", "The requested resource was not found.", "webhookId"},
		{302, "", "Found", ""},
	} {
		t.Run(test.title, func(t *testing.T) {
			t.Parallel()
			server, call := start(t, facadetest.WithClock(newClock().Now))
			server.Inject(facadetest.Fault{Status: test.status})
			sender := call.responsesOnly()
			if test.status == 404 || test.status == 302 {
				sender = call.withoutContract() // the contract lacks this response to a create
			}
			resp := sender.do(http.MethodPost, "/webhooks", someWebhook, "Authorization", "")
			resp.assertError(test.status, test.slug, test.title, test.name)
			remaining := "40"
			if test.status == 429 {
				remaining = "0"
			}
			resp.assertRateLimit("40", remaining, "60")
			assert.Empty(t, server.Webhooks())
			assert.Equal(t, test.status, server.Requests()[0].Status)
			call.do(http.MethodPost, "/webhooks", someWebhook).assertRateLimit("40", "39", "60")
		})
	}
}

func TestFault_statusWithoutBody(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(facadetest.Fault{Status: 204, Process: true}, facadetest.Fault{Status: 304, Body: "{}"})
	for _, status := range []int{204, 304} {
		resp := call.withoutContract().do(http.MethodGet, "/webhooks", "")
		assert.Equal(t, status, resp.status)
		assert.Empty(t, resp.body)
		assert.Empty(t, resp.header.Get("Content-Length"))
	}
}

func TestFault_processWithSameStatus(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(facadetest.Fault{Status: 201, Process: true})
	created := call.create(someWebhook)
	require.Len(t, server.Webhooks(), 1)
	assert.Equal(t, server.Webhooks()[0].ID, created.WebhookID)
}

func TestFault_rateLimit(t *testing.T) {
	t.Parallel()
	clock := newClock()
	server, call := start(t, facadetest.WithClock(clock.Now))
	read := func() response { return call.withoutContract().do(http.MethodGet, "/webhooks", "") }
	read().assertRateLimit("100", "99", "60")
	clock.add(59*time.Second + 999*time.Millisecond)
	server.Inject(
		facadetest.Fault{Status: 200},
		facadetest.Fault{Status: 429},
		facadetest.Fault{Status: 429, Process: true},
		facadetest.Fault{Status: 429, Header: map[string]string{"X-RateLimit-Remaining": "7", "X-RateLimit-Retry-After": ""}},
		facadetest.Fault{Status: 503, Match: func(r *http.Request) bool { return r.URL.Path == "/auth/api-key" }},
	)
	read().assertRateLimit("100", "99", "1")
	read().assertRateLimit("100", "0", "1")
	read().assertRateLimit("100", "0", "1")
	read().assertRateLimit("100", "7", "")
	call.withoutContract().do(http.MethodPost, "/auth/api-key", "{}").assertRateLimit("", "", "")
	read().assertRateLimit("100", "97", "1")
}

func TestFault_withoutRateLimit(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithRateLimit(0, 0))
	server.Inject(facadetest.Fault{Status: 429})
	call.do(http.MethodGet, "/webhooks", "").assertRateLimit("", "", "")
}

func TestFault_headerCopy(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	header := map[string]string{"X-Test": "1"}
	server.Inject(facadetest.Fault{Header: header})
	header["X-Test"] = "2"
	assert.Equal(t, "1", call.do(http.MethodGet, "/webhooks", "").header.Get("X-Test"))
}

func TestFault_body(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		fault       facadetest.Fault
		status      int
		contentType string
		created     int
	}{
		{"own status", facadetest.Fault{Body: `{"webhookId":1}`}, 201, "application/json", 1},
		{"HTML", facadetest.Fault{Body: "<html>", Status: 502}, 502, "text/html", 0},
		{"header", facadetest.Fault{Body: "<a/>", Status: 503, Header: map[string]string{"content-type": "text/xml"}}, 503, "text/xml", 0},
		{"processed", facadetest.Fault{Body: "[", Status: 200, Process: true}, 200, "application/json", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, call := start(t)
			server.Inject(test.fault)
			resp := call.withoutContract().do(http.MethodPost, "/webhooks", someWebhook)
			assert.Equal(t, test.status, resp.status)
			assert.Equal(t, test.fault.Body, resp.body)
			assert.Equal(t, test.contentType, resp.header.Get("Content-Type"))
			assert.Len(t, server.Webhooks(), test.created)
		})
	}
}

func TestFault_header(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(facadetest.Fault{Header: map[string]string{
		"X-RateLimit-Limit":       "many",
		"x-ratelimit-retry-after": "",
		"Content-Type":            "",
		"Date":                    "",
		"Content-Length":          "",
		"Retry-After":             "7",
	}})
	resp := call.withoutContract().do(http.MethodPost, "/webhooks", someWebhook)
	assert.Equal(t, http.StatusCreated, resp.status)
	assert.Equal(t, server.Webhooks()[0].ID, decode[gen.Webhook](resp).WebhookID)
	assert.Equal(t, http.Header{
		"X-Ratelimit-Limit":     {"many"},
		"X-Ratelimit-Remaining": {"39"},
		"Retry-After":           {"7"},
	}, resp.header)
}

func TestFault_headerRemovesBody(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(facadetest.Fault{Status: 502, Header: map[string]string{"Content-Length": "0"}})
	resp := call.withoutContract().do(http.MethodGet, "/webhooks", "")
	assert.Equal(t, 502, resp.status)
	assert.Empty(t, resp.body)
}

func TestFault_truncate(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(facadetest.Fault{Truncate: true, Body: "12345"})
	resp, err := call.withoutContract().transport.RoundTrip(call.request(http.MethodPost, "/webhooks", someWebhook))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, "12", string(body))
	assert.EqualValues(t, 5, resp.ContentLength)
	assert.Equal(t, http.StatusCreated, resp.StatusCode)
	assert.Len(t, server.Webhooks(), 1)
	assert.Equal(t, http.StatusCreated, server.Requests()[0].Status)
}

func TestFault_delay(t *testing.T) {
	t.Parallel()
	const delay = 30 * time.Millisecond
	server, call := start(t)
	server.Inject(facadetest.Fault{Delay: delay})
	begin := time.Now()
	call.create(someWebhook)
	assert.GreaterOrEqual(t, time.Since(begin), delay)
}

// waitForRequests waits until the server has received the n-th request.
func waitForRequests(t *testing.T, server *facadetest.Server, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(server.Requests()) >= n }, 10*time.Second, time.Millisecond)
}

func TestFault_delayAndClientDisconnect(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(facadetest.Fault{Delay: forever})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := call.withoutContract().transport.RoundTrip(call.request(http.MethodPost, "/webhooks", someWebhook).WithContext(ctx))
		failed <- err
	}()
	require.Eventually(t, func() bool { return len(server.Webhooks()) == 1 }, 10*time.Second, time.Millisecond)
	assert.Zero(t, server.Requests()[0].Status, "the request is processed and has no response")
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.Eventually(t, func() bool { return server.Requests()[0].Status == http.StatusCreated }, 10*time.Second, time.Millisecond)
}

func TestFault_delayAndServerClose(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(
		facadetest.Fault{Delay: forever, Status: 503},
		facadetest.Fault{Delay: forever, Reset: facadetest.ResetBeforeRead},
	)
	client := call.withoutContract()
	failed := make(chan error, 2)
	for range 2 {
		go func() {
			resp, err := client.transport.RoundTrip(call.request(http.MethodGet, "/webhooks", ""))
			if err == nil {
				_ = resp.Body.Close()
			}
			failed <- err
		}()
	}
	waitForRequests(t, server, 2)
	requireClose(t, server)
	assert.Error(t, <-failed)
	assert.Error(t, <-failed)
}

func TestFault_infinite(t *testing.T) {
	t.Parallel()
	const enough = 1 << 20
	server, call := start(t)
	server.Inject(facadetest.Fault{Infinite: true, Truncate: true, Header: map[string]string{"Content-Length": "5"}})
	resp, err := call.withoutContract().transport.RoundTrip(call.request(http.MethodGet, "/webhooks", ""))
	require.NoError(t, err)
	body, err := io.ReadAll(io.LimitReader(resp.Body, enough))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.EqualValues(t, -1, resp.ContentLength)
	assert.Len(t, body, enough)
	assert.Contains(t, string(body), `{"data":[]`)
	assert.NotEmpty(t, resp.Header.Get("X-RateLimit-Limit"))
}

func TestFault_responseWithoutBody(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]facadetest.Fault{"truncate": {Truncate: true}, "infinite": {Infinite: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, call := start(t)
			id := call.create(someWebhook).WebhookID
			server.Inject(fault)
			resp := call.do(http.MethodDelete, "/webhooks/"+id, "")
			assert.Equal(t, http.StatusNoContent, resp.status)
			assert.Empty(t, resp.body)
		})
	}
}

// sendHalf sends a request with a truncated body, and returns the first line of
// the response.
func sendHalf(t *testing.T, address string) (string, error) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("POST /webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{"))
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	return line, err
}

func TestFault_resetBeforeRead(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	server.Inject(facadetest.Fault{Reset: facadetest.ResetBeforeRead, Process: true, Status: 200})
	line, err := sendHalf(t, strings.TrimPrefix(server.URL, "http://"))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Empty(t, line)
	assert.Empty(t, server.Webhooks())
	assert.Empty(t, server.Requests()[0].Body)
	assert.Zero(t, server.Requests()[0].Status)
}

func TestFault_resetAfterRead(t *testing.T) {
	t.Parallel()
	for name, process := range map[string]bool{"processed": true, "not processed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, call := start(t)
			server.Inject(facadetest.Fault{Reset: facadetest.ResetAfterRead, Process: process})
			err := call.withoutContract().fail(http.MethodPost, "/webhooks", someWebhook)
			require.ErrorIs(t, err, syscall.ECONNRESET)
			assert.Equal(t, someWebhook, string(server.Requests()[0].Body))
			assert.Zero(t, server.Requests()[0].Status)
			assert.Equal(t, process, len(server.Webhooks()) == 1)
			remaining := "39"
			if process {
				remaining = "38"
			}
			assert.Equal(t, remaining, call.do(http.MethodPost, "/webhooks", someWebhook).header.Get("X-RateLimit-Remaining"))
		})
	}
}

// pipeListener is a listener of net.Pipe connections.
type pipeListener chan net.Conn

func (p pipeListener) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (p pipeListener) Close() error   { close(p); return nil }
func (p pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

func TestFault_resetWithoutTCP(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(facadetest.Fault{Reset: facadetest.ResetAfterRead})
	listener := make(pipeListener)
	other := &http.Server{Handler: server, ReadHeaderTimeout: time.Minute}
	served := make(chan error)
	go func() { served <- other.Serve(listener) }()
	call.transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		listener <- far
		return near, nil
	}}
	require.ErrorIs(t, call.fail(http.MethodGet, "/webhooks", ""), io.EOF)
	require.NoError(t, other.Close())
	require.ErrorIs(t, <-served, http.ErrServerClosed)
}

func TestFault_http2(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(
		facadetest.Fault{Reset: facadetest.ResetBeforeRead},
		facadetest.Fault{Reset: facadetest.ResetAfterRead},
		facadetest.Fault{Truncate: true},
		facadetest.Fault{Status: 503},
	)
	other := httptest.NewUnstartedServer(server)
	other.EnableHTTP2 = true
	other.StartTLS()
	defer other.Close()
	server.URL, call.transport = other.URL, other.Client().Transport
	for range 3 {
		err := call.fail(http.MethodPost, "/webhooks", someWebhook)
		assert.NotErrorIs(t, err, io.EOF, "only the stream is reset")
	}
	assert.Equal(t, 503, call.do(http.MethodGet, "/webhooks", "").status)
	assert.Len(t, server.Webhooks(), 1, "the truncated create")
	assert.Len(t, server.Requests(), 4)
}

func TestFault_infiniteOnOtherListener(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(facadetest.Fault{Infinite: true})
	other := httptest.NewServer(server)
	defer other.Close()
	url := server.URL
	server.URL = other.URL
	resp, err := call.withoutContract().transport.RoundTrip(call.request(http.MethodGet, "/webhooks", ""))
	require.NoError(t, err)
	defer resp.Body.Close()
	server.URL = url
	server.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.Error(t, err)
}
