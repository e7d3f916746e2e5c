package facadetest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/gen"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

const (
	someWebhook = `{"url":"https://hooks.example.com/a","events":["video.source.recorded"]}`
	docs        = "https://docs.api.video/reference/"
)

// start returns a server for one test and its caller.
func start(t *testing.T, opts ...facadetest.Option) (*facadetest.Server, caller) {
	t.Helper()
	server := facadetest.NewServer(opts...)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return server, caller{t: t, server: server, transport: contract.Transport(t, transport)}
}

// A caller sends requests and validates the exchanges with the contract.
type caller struct {
	t         *testing.T
	server    *facadetest.Server
	transport http.RoundTripper
}

// responsesOnly returns a caller that validates responses only.
func (c caller) responsesOnly() caller {
	transport := &http.Transport{}
	c.t.Cleanup(transport.CloseIdleConnections)
	c.transport = contract.Responses(c.t, transport)
	return c
}

// withoutContract returns a caller without validation.
func (c caller) withoutContract() caller {
	transport := &http.Transport{}
	c.t.Cleanup(transport.CloseIdleConnections)
	c.transport = transport
	return c
}

func (c caller) request(method, path, body string, header ...string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, strings.NewReader(body))
	require.NoError(c.t, err)
	r.SetBasicAuth(c.server.APIKey, "")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	return r
}

// do sends a request with the API key. Header has pairs of a name and a value. An
// empty value removes the header.
func (c caller) do(method, path, body string, header ...string) response {
	c.t.Helper()
	resp, err := c.transport.RoundTrip(c.request(method, path, body, header...))
	require.NoError(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return response{t: c.t, status: resp.StatusCode, header: resp.Header, body: string(b)}
}

// fail sends a request and returns the error of the incomplete response.
func (c caller) fail(method, path, body string) error {
	c.t.Helper()
	resp, err := c.transport.RoundTrip(c.request(method, path, body))
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	require.Error(c.t, err)
	return err
}

func (c caller) create(body string) gen.Webhook {
	c.t.Helper()
	resp := c.do(http.MethodPost, "/webhooks", body)
	require.Equal(c.t, http.StatusCreated, resp.status, resp.body)
	return decode[gen.Webhook](resp)
}

func (c caller) list(query string) gen.WebhookList {
	c.t.Helper()
	resp := c.do(http.MethodGet, "/webhooks"+query, "")
	require.Equal(c.t, http.StatusOK, resp.status, resp.body)
	return decode[gen.WebhookList](resp)
}

type response struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

func decode[T any](r response) T {
	r.t.Helper()
	var v T
	require.NoError(r.t, json.Unmarshal([]byte(r.body), &v), r.body)
	return v
}

// assertError asserts that the response is exactly this error.
func (r response) assertError(status int, slug, title, name string) {
	r.t.Helper()
	assert.Equal(r.t, status, r.status)
	assert.Equal(r.t, "application/json", r.header.Get("Content-Type"))
	want := gen.Error{Title: title, Name: name, Status: status}
	if slug != "" {
		want.Type = docs + slug
	}
	assert.Equal(r.t, want, decode[gen.Error](r))
}

// A clock is moved by add.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2024, 8, 8, 16, 12, 18, 125e6, time.FixedZone("", 7200))}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// requireClose closes the server, and fails the test after ten seconds.
func requireClose(t *testing.T, server *facadetest.Server) {
	t.Helper()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		server.Close()
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the server is still open")
	}
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
