package facadetest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/gen"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

const (
	someWebhook = `{"url":"https://hooks.example.com/a","events":["video.source.recorded"]}`
	someCreate  = "POST /webhooks " + someWebhook
	maxBody     = 1 << 20 // of requests, and of responses to callers
)

// start returns a server and a caller with its API key. The caller validates requests
// and responses with the contract.
func start(t *testing.T, opts ...facadetest.Option) (*facadetest.Server, caller) {
	t.Helper()
	server := facadetest.NewServer(opts...)
	t.Cleanup(server.Close)
	return server, caller{t, server.URL, basic(server.APIKey + ":"), contract.Transport(t, &http.Transport{})}
}

func basic(userAndPassword string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userAndPassword))
}

// A caller sends requests to a server.
type caller struct {
	t         *testing.T
	url       string
	auth      string // the Authorization header, or empty
	transport http.RoundTripper
}

// as returns a caller with other credentials. It validates responses only.
func (c caller) as(auth string) caller {
	return caller{c.t, c.url, auth, contract.Responses(c.t, &http.Transport{})}
}

// unchecked returns a caller for responses that violate the contract.
func (c caller) unchecked() caller {
	return caller{c.t, c.url, c.auth, &http.Transport{}}
}

// try sends a request, which is a method, a path and an optional body. It reads at most
// maxBody of the response.
func (c caller) try(request string) (response, error) {
	c.t.Helper()
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	if c.auth != "" {
		r.Header.Set("Authorization", c.auth)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return response{c.t, request, resp.StatusCode, resp.Header, string(b)}, err
}

func (c caller) do(request string) response {
	c.t.Helper()
	resp, err := c.try(request)
	require.NoError(c.t, err)
	return resp
}

func (c caller) create(body string) gen.Webhook {
	c.t.Helper()
	return decode[gen.Webhook](c.do("POST /webhooks "+body), http.StatusCreated)
}

// list returns a page and the IDs of its webhooks.
func (c caller) list(query string) (p gen.Pagination, ids []string) {
	c.t.Helper()
	list := decode[gen.WebhookList](c.do("GET /webhooks"+query), http.StatusOK)
	for _, w := range list.Data {
		ids = append(ids, w.WebhookID)
	}
	return list.Pagination, ids
}

type response struct {
	t       *testing.T
	request string
	status  int
	header  http.Header
	body    string
}

// decode returns the body of a response with this status.
func decode[T any](r response, status int) (v T) {
	r.t.Helper()
	require.Equal(r.t, status, r.status, r.request)
	assert.Equal(r.t, "application/json", r.header.Get("Content-Type"), r.request)
	require.NoError(r.t, json.Unmarshal([]byte(r.body), &v), r.body)
	return v
}

// assertError asserts the status, type, title, name and problems of an error. An error
// with problems has the name of the first problem.
func (r response) assertError(want string) {
	r.t.Helper()
	e := decode[gen.Error](r, r.status)
	assert.Equal(r.t, r.status, e.Status, r.request)
	got := []string{fmt.Sprintf("%d %s: %s", e.Status, e.Type, e.Title)}
	if e.Problems == nil && e.Name != "" {
		got = append(got, e.Name)
	}
	for _, p := range e.Problems {
		problemType := "invalid-attribute"
		if p.Title == "This attribute is required." {
			problemType = "attribute-required"
		}
		assert.Equal(r.t, docs+problemType, p.Type, r.request)
		assert.Equal(r.t, e.Problems[0].Name, e.Name, r.request)
		got = append(got, strings.Replace(p.Title, "This attribute", p.Name, 1))
	}
	assert.Equal(r.t, want, strings.Join(got, " "), r.request)
}

// rateLimit returns the limit, the remaining requests and the seconds of the window.
func (r response) rateLimit() string {
	return strings.TrimSpace(r.header.Get("X-RateLimit-Limit") + " " +
		r.header.Get("X-RateLimit-Remaining") + " " + r.header.Get("X-RateLimit-Retry-After"))
}

// connect sends a text on a new connection.
func connect(t *testing.T, url, text string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte(text))
	require.NoError(t, err)
	return conn
}

// partialCreate is a create with the API key "key" that lacks missingSpaces.
func partialCreate(body string) string {
	return fmt.Sprintf("POST /webhooks HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		basic("key:"), len(body+missingSpaces), body)
}

const missingSpaces = "          "

// subscribe creates a webhook. The default event is the summary.
func subscribe(server *facadetest.Server, url string, events ...facade.EventType) *facade.Webhook {
	if events == nil {
		events = []facade.EventType{facade.EventVideoSummaryGenerated}
	}
	w, err := server.Client().CreateWebhook(context.Background(), facade.CreateWebhookParams{URL: url, Events: events})
	if err != nil {
		panic(err)
	}
	return w
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, time.Millisecond)
}

// A clock begins at 14:12:18.125 UTC and is moved by add.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time {
	begin := time.Date(2024, 8, 8, 16, 12, 18, 125e6, time.FixedZone("", 7200))
	return begin.Add(time.Duration(c.passed.Load()))
}

func (c *clock) add(d time.Duration) { c.passed.Add(int64(d)) }
