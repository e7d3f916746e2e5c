package facade_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

// testKey is the API key of the clients below; no test may find it, or what
// Basic authentication makes of it, in anything printed.
const testKey = "testkey-Zm9yZ2V0bWVub3Q"

// once sends each request a single time.
var once = facade.WithRetry(facade.RetryPolicy{MaxAttempts: 1})

// newFake returns an api.video in memory and a client for it. Each exchange of
// theirs is held against openapi.yaml.
func newFake(t *testing.T, opts ...facadetest.Option) (*facadetest.Server, *facade.Client) {
	t.Helper()
	server := facadetest.NewServer(opts...)
	t.Cleanup(server.Close)
	transport := contract.Transport(t, newTransport(t))
	return server, server.Client(facade.WithHTTPClient(&http.Client{Transport: transport}))
}

// newClient returns a client for a server that answers with handler, for
// answers that the service should not give. What is sent to it is held against
// openapi.yaml all the same, and once unless a test of retries says otherwise.
func newClient(t *testing.T, handler http.HandlerFunc, opts ...facade.Option) *facade.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	opts = append([]facade.Option{
		facade.WithBaseURL(server.URL),
		facade.WithHTTPClient(&http.Client{Transport: contract.Requests(t, newTransport(t))}),
		once,
	}, opts...)
	client, err := facade.NewClient(testKey, opts...)
	require.NoError(t, err)
	return client
}

// newTransport returns a transport of the test's own, since each httptest.Server
// that closes takes the idle connections of http.DefaultTransport along.
func newTransport(t *testing.T) http.RoundTripper {
	t.Helper()
	// Large answers are what takes the time of these tests.
	transport := &http.Transport{MaxResponseHeaderBytes: 256 << 10, ReadBufferSize: 64 << 10}
	t.Cleanup(transport.CloseIdleConnections)
	return counted(t, transport)
}

// counted holds that every body that transport returns is closed in the end.
func counted(t *testing.T, transport http.RoundTripper) http.RoundTripper {
	t.Helper()
	var open atomic.Int64
	t.Cleanup(func() { assert.Zero(t, open.Load(), "bodies left open") })
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		if err == nil {
			open.Add(1)
			resp.Body = &countedBody{ReadCloser: resp.Body, closed: sync.OnceFunc(func() { open.Add(-1) })}
		}
		return resp, err
	})
}

type countedBody struct {
	io.ReadCloser
	closed func()
}

func (b *countedBody) Close() error {
	b.closed()
	return b.ReadCloser.Close()
}

// answer is a handler that always answers this, as JSON.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// operation is one method of Client, so that a test can go over all of them.
type operation struct {
	name   string
	op     string // as in Error.Op
	status int    // of a success
	call   func(context.Context, *facade.Client) error
}

var operations = []operation{
	{"create", "CreateWebhook", http.StatusCreated, func(ctx context.Context, c *facade.Client) error {
		_, err := c.CreateWebhook(ctx, validParams)
		return err
	}},
	{"get", "GetWebhook", http.StatusOK, func(ctx context.Context, c *facade.Client) error {
		_, err := c.GetWebhook(ctx, "webhook_0000000000000000000000")
		return err
	}},
	{"delete", "DeleteWebhook", http.StatusNoContent, func(ctx context.Context, c *facade.Client) error {
		return c.DeleteWebhook(ctx, "webhook_0000000000000000000000")
	}},
	{"list", "ListWebhooks", http.StatusOK, func(ctx context.Context, c *facade.Client) error {
		_, err := c.ListWebhooks(ctx, facade.ListOptions{})
		return err
	}},
	{"walk", "ListWebhooks", http.StatusOK, func(ctx context.Context, c *facade.Client) error {
		_, err := facade.Collect(c.Webhooks(ctx, facade.ListOptions{}))
		return err
	}},
}

var validParams = facade.CreateWebhookParams{
	URL:    "https://hooks.example.com/apivideo",
	Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
}

// asError returns err as the *facade.Error that it must be.
func asError(t *testing.T, err error) *facade.Error {
	t.Helper()
	var e *facade.Error
	require.ErrorAs(t, err, &e)
	return e
}

// newBubbleClient is newClient for a synctest bubble: client and server meet in
// pipes, so that time passes only when both wait.
func newBubbleClient(t *testing.T, handler http.HandlerFunc, opts ...facade.Option) *facade.Client {
	t.Helper()
	opts = append([]facade.Option{
		facade.WithBaseURL("http://localhost"),
		facade.WithHTTPClient(&http.Client{Transport: counted(t, newBubbleTransport(t, handler))}),
		once,
	}, opts...)
	client, err := facade.NewClient(testKey, opts...)
	require.NoError(t, err)
	return client
}

func newBubbleTransport(t *testing.T, handler http.HandlerFunc) *http.Transport {
	t.Helper()
	conns, done := make(chan net.Conn), make(chan struct{})
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(&pipeListener{conns: conns, done: done}) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		select {
		case conns <- server:
			return client, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		close(done)
		_ = server.Close()
	})
	return transport
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, errors.New("listener closed")
	}
}

func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// discardLog is for servers whose complaints are the point of the test.
var discardLog = log.New(io.Discard, "", 0)
