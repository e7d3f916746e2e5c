package facade_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

var withLocalhost = facade.WithBaseURL("http://localhost")

// newRefusedTransport returns a transport to a server with handler, whose first dials
// fail.
func newRefusedTransport(t *testing.T, handler http.HandlerFunc, refused int) *http.Transport {
	t.Helper()
	transport := newPipeTransport(t, handler)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if refused--; refused >= 0 {
			return nil, syscall.ECONNREFUSED
		}
		return dial(ctx, network, address)
	}
	return transport
}

// countDials counts the connections of a transport.
func countDials(transport *http.Transport) *atomic.Int64 {
	dials, dial := new(atomic.Int64), transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, address)
	}
	return dials
}

// detached returns a transport that sends with a new context. The transport reports
// nothing to the hooks in the context of the request.
func detached(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		return next.RoundTrip(r.Clone(context.Background()))
	})
}

// socket returns a transport that writes each request onto a new connection.
func socket(dial func(context.Context, string, string) (net.Conn, error)) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		conn, err := dial(r.Context(), "tcp", r.URL.Host)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		if err := r.Write(conn); err != nil {
			return nil, err
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, err
	})
}

// fallback returns a transport that sends a request with a and, after an error, with b.
func fallback(a, b http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		body := []byte(nil)
		if r.Body != nil {
			body, _ = io.ReadAll(r.Body)
			_ = r.Body.Close()
		}
		var errs []error
		for _, rt := range []http.RoundTripper{a, b} {
			sent := r.Clone(r.Context())
			sent.Body = io.NopCloser(bytes.NewReader(body))
			resp, err := rt.RoundTrip(sent)
			if err == nil {
				return resp, nil
			}
			errs = append(errs, err)
		}
		return nil, errors.Join(errs...)
	})
}

// checkLostCreate checks that a create whose response is lost is sent once, also on a
// pooled connection.
func checkLostCreate(t *testing.T, name string, server *webhookCounter, rt http.RoundTripper) {
	t.Helper()
	client := newDirectClient(t, rt, defaultRetries, withLocalhost)
	require.NoError(t, getWebhook(t.Context(), client), name)
	before, made := server.requests.Load(), server.webhooks(validParams.URL)
	err := createWebhook(t.Context(), client)
	require.ErrorIs(t, err, facade.ErrUnconfirmed, name)
	assert.Equal(t, 1, asError(t, err).Attempts, name)
	assert.EqualValues(t, 1, server.requests.Load()-before, name)
	assert.Equal(t, 1, server.webhooks(validParams.URL)-made, name)
}

// checkFallback checks transports of which one way, lost, loses the response to a create.
func checkFallback(t *testing.T, name string, server *webhookCounter, lost http.RoundTripper) {
	t.Helper()
	refused := newRefusedTransport(t, nil, math.MaxInt)
	checkLostCreate(t, name, server, lost)
	for _, rt := range []http.RoundTripper{refused, detached(refused)} {
		checkLostCreate(t, "refused, "+name, server, fallback(rt, lost))
		checkLostCreate(t, name+", refused", server, fallback(lost, rt))
	}
}

// A refused connection is no proof that the other transport has sent nothing.
func TestCreateWebhook_fallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := new(webhookCounter)
		standard := newPipeTransport(t, server.losingCreates)
		written := socket(standard.DialContext)
		for name, lost := range map[string]http.RoundTripper{
			"*http.Transport":          standard,
			"*http.Transport detached": detached(standard),
			"socket":                   written,
			"socket detached":          detached(written),
			"no net/http": roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := serve(server, r)
				if r.Method == http.MethodPost {
					return nil, io.ErrUnexpectedEOF
				}
				return resp, err
			}),
		} {
			checkFallback(t, name, server, lost)
		}
	})
}

// net/http retries a POST with an idempotency key after a lost connection.
func TestCreateWebhook_idempotencyKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := new(webhookCounter)
		transport := newPipeTransport(t, server.losingCreates)
		for name, wrap := range map[string]func(http.RoundTripper) http.RoundTripper{
			"Idempotency-Key":                 withHeader("Idempotency-Key", "1"),
			"X-Idempotency-Key":               withHeader("X-Idempotency-Key", "1"),
			"Idempotency-Key without a value": withHeader("Idempotency-Key"), // not sent by net/http
		} {
			checkLostCreate(t, name, server, wrap(transport))
		}
		// net/http also retries a delete. The second request finds no webhook.
		transport = newPipeTransport(t, newScript(succeed, raw(""), respond(404, "{}")).ServeHTTP)
		client := newDirectClient(t, withHeader("Idempotency-Key", "1")(transport), withoutRetries, withLocalhost)
		require.NoError(t, getWebhook(t.Context(), client))
		require.NoError(t, client.DeleteWebhook(t.Context(), "w"))
	})
}

// After an ambiguous attempt a create is ErrUnconfirmed, and the 404 of a delete is a
// success. A refused connection and a 429 are not ambiguous.
func TestClient_ambiguousAttempts(t *testing.T) {
	t.Parallel()
	direct := func(rt http.RoundTripper) http.RoundTripper { return rt }
	twice := func(rt http.RoundTripper) http.RoundTripper { return fallback(rt, rt) }
	del, limit, missing := operations[2].call, tooMany(serviceHeader, "0"), respond(404, "{}")
	for name, test := range map[string]struct {
		call     func(context.Context, *facade.Client) error
		wrap     func(http.RoundTripper) http.RoundTripper
		refused  int // connections before the first request
		handlers []http.HandlerFunc
		want     error
	}{
		"create":                     {createWebhook, direct, 2, []http.HandlerFunc{succeed}, nil},
		"create, wrapped transport":  {createWebhook, withHeader("Traceparent", "1"), 2, []http.HandlerFunc{succeed}, nil},
		"create, detached transport": {createWebhook, detached, 2, []http.HandlerFunc{succeed}, nil},
		"create, lost response":      {createWebhook, direct, 1, []http.HandlerFunc{abort}, facade.ErrUnconfirmed},
		"create, 503 the second way": {createWebhook, twice, 1, []http.HandlerFunc{unavailable}, facade.ErrUnconfirmed},
		"delete, no webhook":         {del, direct, 0, []http.HandlerFunc{missing}, facade.ErrNotFound},
		"delete, refused":            {del, direct, 1, []http.HandlerFunc{missing}, facade.ErrNotFound},
		"delete, 429":                {del, direct, 0, []http.HandlerFunc{limit, missing}, facade.ErrNotFound},
		"delete, lost response":      {del, direct, 0, []http.HandlerFunc{abort, missing}, nil},
		"delete, wrapped, lost":      {del, withHeader("Traceparent", "1"), 0, []http.HandlerFunc{abort, missing}, nil},
		"delete, 503":                {del, direct, 0, []http.HandlerFunc{unavailable, missing}, nil},
		"delete, lost, then 429":     {del, direct, 0, []http.HandlerFunc{abort, limit, missing}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := newScript(test.handlers...)
			transport := newRefusedTransport(t, server.ServeHTTP, test.refused)
			dials := countDials(transport)
			transport.DisableKeepAlives = true
			err := test.call(t.Context(), newDirectClient(t, test.wrap(transport), withLocalhost))
			require.ErrorIs(t, err, test.want, name)
			assert.Equal(t, len(test.handlers), server.requests(), name)
			assert.EqualValues(t, test.refused+len(test.handlers), dials.Load(), name)
		})
	}
}

// A transport may call the service itself with the context of a request, for example
// to look for a webhook before a create.
func TestRaw_nestedCall(t *testing.T) {
	t.Parallel()
	for bits := range 16 {
		isBefore, isRefused, isLost, isDetached := bits&1 > 0, bits&2 > 0, bits&4 > 0, bits&8 > 0
		synctest.Test(t, func(t *testing.T) {
			server := new(webhookCounter)
			handler := server.ServeHTTP
			if isLost { // the response to the create
				handler = server.losingCreates
			}
			transport := newPipeTransport(t, handler)
			transport.DisableKeepAlives = true
			var outer, nested http.RoundTripper = transport, transport
			if isRefused {
				nested = newRefusedTransport(t, nil, math.MaxInt)
			}
			if isDetached {
				outer = detached(transport)
			}
			var client *facade.Client
			client = newDirectClient(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.Method != http.MethodPost {
					return nested.RoundTrip(r)
				}
				nestedCalls := func() {
					for range 3 {
						err := rawOperations[1].call(r.Context(), client)
						assert.Equal(t, isRefused, errors.Is(err, syscall.ECONNREFUSED), err)
					}
				}
				if isBefore {
					nestedCalls()
				} else {
					defer nestedCalls()
				}
				return outer.RoundTrip(r)
			}), withLocalhost)
			err := createWebhook(t.Context(), client)
			assert.Equal(t, 1, server.webhooks(validParams.URL))
			assert.Equal(t, isLost, errors.Is(err, facade.ErrUnconfirmed), err)
			assert.Equal(t, isLost, err != nil, err)
			if err != nil {
				assert.Equal(t, 1, asError(t, err).Attempts)
			}
		})
	}
}

// A transport sends a request of its own over HTTP/2, with the context of the request.
func TestClient_transportSendsAnotherRequest(t *testing.T) {
	t.Parallel()
	for method, status := range map[string]int{http.MethodGet: 400, http.MethodPost: 400, http.MethodDelete: 404} {
		url, transport := newServer(t, 2, respond(status, "{}"))
		client := newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			other, err := http.NewRequestWithContext(r.Context(), method, url+"/token", nil)
			if err != nil {
				return nil, err
			}
			if resp, err := transport.RoundTrip(other); err == nil {
				_ = resp.Body.Close()
			}
			return transport.RoundTrip(r)
		}), facade.WithBaseURL(url))
		err := createWebhook(t.Context(), client)
		assert.Equal(t, status, asError(t, err).StatusCode)
		require.NotErrorIs(t, err, facade.ErrUnconfirmed)
		assert.Equal(t, status, asError(t, client.DeleteWebhook(t.Context(), "w")).StatusCode)
	}
}
