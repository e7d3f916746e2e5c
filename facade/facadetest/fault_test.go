package facadetest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

type (
	fault  = facadetest.Fault
	header = map[string]string
)

// forever is longer than any test.
const forever = time.Hour

func isMethod(method string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method }
}

func TestInject_order(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(
		fault{},
		fault{Match: isMethod("DELETE"), Status: 500, Times: 2},
		fault{Status: 502, Times: 1},
		fault{Match: isMethod("GET"), Status: 503, Times: -1},
	)
	server.Inject(fault{Status: 999})
	var got []int
	for _, method := range []string{"GET", "GET", "DELETE", "GET", "DELETE", "DELETE", "GET", "DELETE", "GET"} {
		got = append(got, call.unchecked().do(method+" /webhooks/a").status)
	}
	assert.Equal(t, []int{404, 502, 500, 503, 500, 999, 503, 404, 503}, got)
}

// A request with a fault needs no credentials, does not count and changes nothing.
func TestFault_status(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithClock(new(clock).now))
	for i, want := range []string{
		invalidPayload, invalidKey, suspended, wrongMethod, tooManyRequests, "500 : Server error",
		"503 : Service Unavailable", notFound + " webhookId", "302 : Found",
	} {
		status, err := strconv.Atoi(want[:3])
		require.NoError(t, err)
		server.Inject(fault{Status: status})
		anonymous := call.as("")
		if status == 404 || status == 302 {
			anonymous = anonymous.unchecked() // the contract lacks this response to a create
		}
		resp := anonymous.do(someCreate)
		resp.assertError(want)
		remaining := "40"
		if status == 429 {
			remaining = "0"
		}
		assert.Equal(t, "40 "+remaining+" 60", resp.rateLimit())
		assert.Equal(t, status, server.Requests()[i].Status)
	}
	assert.Empty(t, server.Webhooks())
}

func TestFault_response(t *testing.T) {
	t.Parallel()
	const created, aJSON, ok = `{"createdAt":"2024`, "application/json", http.StatusCreated
	for name, test := range map[string]struct {
		fault       fault
		status      int
		contentType string
		body        string // the beginning, or empty for no body
		remaining   string
		webhooks    int
		err         error
	}{
		"another request":  {fault{Match: isMethod("GET"), Status: 500}, ok, aJSON, created, "39", 1, nil},
		"same status":      {fault{Status: ok, Process: true}, ok, aJSON, created, "39", 1, nil},
		"other status":     {fault{Status: 200, Process: true}, 200, aJSON, `{"status":200,"title":"OK"}`, "39", 1, nil},
		"body":             {fault{Body: "["}, ok, aJSON, "[", "39", 1, nil},
		"HTML":             {fault{Status: 502, Body: "<html>"}, 502, "text/html", "<html>", "40", 0, nil},
		"Content-Type":     {fault{Body: "<a/>", Header: header{"content-type": "a/b"}}, ok, "a/b", "<a/>", "39", 1, nil},
		"no body":          {fault{Status: 502, Header: header{"Content-Length": "0"}}, 502, aJSON, "", "40", 0, nil},
		"204":              {fault{Status: 204, Process: true}, 204, "", "", "39", 1, nil},
		"304":              {fault{Status: 304, Body: "{}"}, 304, "", "", "40", 0, nil},
		"429":              {fault{Status: 429, Process: true}, 429, aJSON, `{`, "0", 1, nil},
		"429 with header":  {fault{Status: 429, Header: header{"X-RateLimit-Remaining": "7"}}, 429, aJSON, `{`, "7", 0, nil},
		"truncated":        {fault{Truncate: true, Body: "12345"}, ok, aJSON, "12", "39", 1, io.ErrUnexpectedEOF},
		"reset after read": {fault{Reset: facadetest.ResetAfterRead}, 0, "", "", "", 0, syscall.ECONNRESET},
		"reset before read": {
			fault{Reset: facadetest.ResetBeforeRead, Process: true, Status: 200}, 0, "", "", "", 0, syscall.ECONNRESET,
		},
		"reset and processed": {
			fault{Reset: facadetest.ResetAfterRead, Process: true}, 0, "", "", "", 1, syscall.ECONNRESET,
		},
		"infinite": {
			fault{Infinite: true, Truncate: true, Header: header{"Content-Length": "5"}}, ok, aJSON, created, "39", 1, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, call := start(t, facadetest.WithClock(new(clock).now))
			server.Inject(test.fault)
			resp, err := call.unchecked().try(someCreate)
			require.ErrorIs(t, err, test.err)
			assert.Equal(t, test.status, resp.status)
			assert.Equal(t, test.contentType, resp.header.Get("Content-Type"))
			assert.Equal(t, test.remaining, resp.header.Get("X-RateLimit-Remaining"))
			assert.Truef(t, strings.HasPrefix(resp.body, test.body), "the body is %q", resp.body)
			assert.Equal(t, test.body == "", resp.body == "")
			assert.Equal(t, test.fault.Infinite, len(resp.body) == maxBody)
			assert.Equal(t, name == "truncated", resp.header.Get("Content-Length") == "5")
			assert.Equal(t, test.status, server.Requests()[0].Status)
			assert.Equal(t, name != "reset before read", string(server.Requests()[0].Body) == someWebhook)
			assert.Len(t, server.Webhooks(), test.webhooks)
			assert.Equal(t, fmt.Sprintf("40 %d 60", 39-test.webhooks), call.do(someCreate).rateLimit())
		})
	}
}

func TestFault_header(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	changes := header{
		"X-RateLimit-Limit": "many", "x-ratelimit-retry-after": "", "Retry-After": "7",
		"Content-Type": "", "Content-Length": "", "Date": "",
	}
	server.Inject(fault{Header: changes})
	changes["Retry-After"] = "8" // Inject has made a copy
	resp := call.unchecked().do(someCreate)
	assert.Contains(t, resp.body, server.Webhooks()[0].ID)
	want := http.Header{"X-Ratelimit-Limit": {"many"}, "X-Ratelimit-Remaining": {"39"}, "Retry-After": {"7"}}
	assert.Equal(t, want, resp.header)
}

func TestFault_responseWithoutBody(t *testing.T) {
	t.Parallel()
	for _, fault := range []fault{{Truncate: true}, {Infinite: true}} {
		server, call := start(t) // the fault closes the connection
		path := " /webhooks/" + call.create(someWebhook).WebhookID
		server.Inject(fault)
		assert.Equal(t, 204, call.do("DELETE"+path).status)
	}
}

// pipe is a response on a connection without TCP.
type pipe struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (p pipe) Hijack() (net.Conn, *bufio.ReadWriter, error) { return p.conn, nil, nil }

func TestFault_delayedResetWithoutTCP(t *testing.T) {
	t.Parallel()
	for _, reset := range []facadetest.Reset{facadetest.ResetBeforeRead, facadetest.ResetAfterRead} {
		server, _ := start(t)
		server.Inject(fault{Reset: reset, Delay: forever})
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			near, far := net.Pipe()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/webhooks", nil)
			server.ServeHTTP(pipe{httptest.NewRecorder(), far}, request)
			_, err := near.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			assert.Equal(t, forever, time.Since(begin))
		})
	}
}

// A server closes the connection before it has read the whole request.
func TestFault_resetOfPartialRequest(t *testing.T) {
	t.Parallel()
	server, _ := start(t, facadetest.WithAPIKey("key"))
	server.Inject(fault{Reset: facadetest.ResetBeforeRead})
	_, err := connect(t, server.URL, partialCreate(someWebhook)).Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestFault_rateLimit(t *testing.T) {
	t.Parallel()
	clock := new(clock)
	server, call := start(t, facadetest.WithClock(clock.now))
	call.do("GET /webhooks")
	clock.add(59 * time.Second)
	server.Inject(fault{Status: 503}, fault{Status: 503})
	assert.Equal(t, "100 99 1", call.do("GET /webhooks").rateLimit(), "of the current window")
	assert.Empty(t, strings.TrimSpace(call.as("").do("POST /auth/api-key {}").rateLimit()))
}

func TestFault_delay(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	server.Inject(fault{Status: 503, Delay: time.Second})
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/webhooks", nil))
		assert.Equal(t, 503, w.Code)
		assert.Equal(t, time.Second, time.Since(begin))
	})
}

func TestFault_http2(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	server.Inject(
		fault{Reset: facadetest.ResetBeforeRead}, fault{Reset: facadetest.ResetAfterRead}, fault{Truncate: true}, fault{Status: 503},
	)
	other := httptest.NewUnstartedServer(server)
	other.EnableHTTP2 = true
	other.StartTLS()
	defer other.Close()
	call.url, call.transport = other.URL, other.Client().Transport
	for range 3 {
		_, err := call.try(someCreate)
		require.ErrorContains(t, err, "stream error", "only the stream is reset")
	}
	assert.Equal(t, 503, call.do("GET /webhooks").status)
	assert.Len(t, server.Webhooks(), 1, "the truncated create")
	assert.Len(t, server.Requests(), 4)
}
