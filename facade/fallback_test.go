package facade_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// A way is a means to send requests, of which a transport may have several.
type way struct {
	name string
	open func(*testing.T, *webhookCounter) http.RoundTripper
}

// refusedWays never connect.
var refusedWays = []way{
	{"refused", func(*testing.T, *webhookCounter) http.RoundTripper { return newRefusedTransport() }},
	{"refused, detached", func(*testing.T, *webhookCounter) http.RoundTripper { return detached(newRefusedTransport()) }},
}

// lostWays perform each create and lose the response.
var lostWays = []way{
	{"lost", newLosingTransport},
	{"lost, detached", func(t *testing.T, s *webhookCounter) http.RoundTripper {
		t.Helper()
		return detached(newLosingTransport(t, s))
	}},
	{"lost, socket", newLosingSocket},
	{"lost, detached socket", func(t *testing.T, s *webhookCounter) http.RoundTripper {
		t.Helper()
		return detached(newLosingSocket(t, s))
	}},
	{"lost, no net/http", func(_ *testing.T, s *webhookCounter) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			s.requests.Add(1)
			if w := s.perform(r); r.Method != http.MethodPost {
				return w.Result(), nil
			}
			return nil, io.ErrUnexpectedEOF
		})
	}},
}

func newRefusedTransport() *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }}
}

func newLosingTransport(t *testing.T, s *webhookCounter) http.RoundTripper {
	t.Helper()
	return newPipeTransport(t, s.losingCreates)
}

func newLosingSocket(t *testing.T, s *webhookCounter) http.RoundTripper {
	t.Helper()
	return socket{newPipeTransport(t, s.losingCreates).DialContext}
}

// detached returns a transport that sends with a new context. The transport
// reports nothing to the hooks in the context of the request.
func detached(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		return next.RoundTrip(r.Clone(context.Background()))
	})
}

// A socket writes each request onto a new connection.
type socket struct {
	dial func(context.Context, string, string) (net.Conn, error)
}

func (s socket) RoundTrip(r *http.Request) (*http.Response, error) {
	conn, err := s.dial(r.Context(), "tcp", r.URL.Host)
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
}

// A fallback sends a request the first way and, after an error, the second way.
type fallback struct {
	ways   [2]http.RoundTripper
	reopen bool // call GetBody, if set, instead of reading the body first
}

func (f fallback) RoundTrip(r *http.Request) (*http.Response, error) {
	body := func() (io.ReadCloser, error) { return http.NoBody, nil }
	switch {
	case r.Body == nil:
	case f.reopen && r.GetBody != nil:
		defer r.Body.Close()
		body = r.GetBody
	default:
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	}
	var errs []error
	for _, rt := range f.ways {
		sent := r.Clone(r.Context())
		sent.GetBody = nil
		var err error
		if sent.Body, err = body(); err == nil {
			var resp *http.Response
			if resp, err = rt.RoundTrip(sent); err == nil {
				return resp, nil
			}
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// checkFallback checks that a transport with two ways sends a create once. One of the ways
// loses the response.
func checkFallback(t *testing.T, server *webhookCounter, rt http.RoundTripper, warm bool) {
	t.Helper()
	client := newFrameClient(t, rt, defaultRetries, facade.WithBaseURL("http://localhost"))
	if warm { // the client learns that the server has HTTP/1
		require.NoError(t, getWebhook(t.Context(), client))
	}
	before := server.requests.Load()
	_, err := client.CreateWebhook(t.Context(), validParams)
	require.ErrorIs(t, err, facade.ErrUnconfirmed)
	assert.EqualValues(t, 1, server.requests.Load()-before)
	assert.Equal(t, 1, server.webhooks(validParams.URL))
	assert.Equal(t, 1, asError(t, err).Attempts)
}

// A refused connection says nothing about the other way of a transport.
func TestCreateWebhook_fallback(t *testing.T) {
	t.Parallel()
	for _, refused := range refusedWays {
		for _, lost := range lostWays {
			for _, order := range [][2]way{{refused, lost}, {lost, refused}} {
				for _, body := range []struct {
					name         string
					reopen, warm bool
				}{{"body copied", false, false}, {"body copied, after a get", false, true}, {"GetBody, after a get", true, true}} {
					t.Run(order[0].name+"/"+order[1].name+"/"+body.name, func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							server := new(webhookCounter)
							checkFallback(t, server, fallback{
								ways:   [2]http.RoundTripper{order[0].open(t, server), order[1].open(t, server)},
								reopen: body.reopen,
							}, body.warm)
						})
					})
				}
			}
		}
	}
}

// The response belongs to another connection than the failure.
func TestCreateWebhook_fallbackUnavailable(t *testing.T) {
	t.Parallel()
	refused, server := newRefusedTransport(), newScript(unavailable)
	rt := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, err := refused.RoundTrip(r.Clone(r.Context()))
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		return serve(server, r)
	})
	require.ErrorIs(t, createWebhook(t.Context(), newClientWith(t, rt, fastRetries)), facade.ErrUnconfirmed)
	assert.Equal(t, 1, server.requests())
}

// A transport that did not read the body has sent nothing.
func TestCreateWebhook_wrappedTransportRefused(t *testing.T) {
	t.Parallel()
	wrappers := []struct {
		name string
		wrap func(http.RoundTripper) http.RoundTripper
	}{
		{"copied header", func(next http.RoundTripper) http.RoundTripper {
			return withHeader("Traceparent", []string{"1"}, next)
		}},
		{"detached", detached},
	}
	for _, wrapper := range wrappers {
		t.Run(wrapper.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := new(webhookCounter)
				transport := newPipeTransport(t, server.ServeHTTP)
				dial, dials := transport.DialContext, 0
				transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					if dials++; dials <= 2 {
						return nil, syscall.ECONNREFUSED
					}
					return dial(ctx, network, address)
				}
				client := newFrameClient(t, wrapper.wrap(transport), defaultRetries, facade.WithBaseURL("http://localhost"))
				_, err := client.CreateWebhook(t.Context(), validParams)
				require.NoError(t, err)
				assert.Equal(t, 3, dials)
				assert.Equal(t, 1, server.webhooks(validParams.URL))
			})
		})
	}
}

// A transport may call the service itself with the context of a request, for example
// to look for a webhook before a create.
func TestRaw_nestedCall(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		before, after int  // number of nested calls
		isRefused     bool // the nested calls do not connect
		isLost        bool // the response to the create
	}{
		{3, 0, false, false},
		{0, 3, false, false},
		{1, 0, true, false},
		{0, 1, true, false},
		{1, 0, false, true},
		{0, 1, false, true},
		{3, 3, false, true},
		{1, 0, true, true},
		{0, 1, true, true},
	} {
		for _, isDetached := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				server := new(webhookCounter)
				handler := server.ServeHTTP
				if test.isLost {
					handler = server.losingCreates
				}
				transport := newPipeTransport(t, handler)
				transport.DisableKeepAlives = true
				var outer, nested http.RoundTripper = transport, transport
				if isDetached {
					outer = detached(transport)
				}
				if test.isRefused {
					nested = newRefusedTransport()
				}
				var client *facade.Client
				call := func(r *http.Request, times int) {
					for range times {
						_, err := client.Raw().GetWebhookWithResponse(r.Context(), "w")
						assert.Equal(t, test.isRefused, errors.Is(err, syscall.ECONNREFUSED), err)
					}
				}
				client = newFrameClient(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					if r.Method != http.MethodPost {
						return nested.RoundTrip(r)
					}
					call(r, test.before)
					resp, err := outer.RoundTrip(r)
					call(r, test.after)
					return resp, err
				}), defaultRetries, facade.WithBaseURL("http://localhost"))
				err := createWebhook(t.Context(), client)
				assert.Equal(t, test.isLost, errors.Is(err, facade.ErrUnconfirmed), err)
				assert.Equal(t, test.isLost, err != nil)
				if err != nil {
					assert.Equal(t, 1, asError(t, err).Attempts)
				}
				assert.Equal(t, 1, server.webhooks(validParams.URL), test)
			})
		}
	}
}

// A transport sends a request of its own over HTTP/2, with the context of the request.
func TestClient_transportSendsAnotherRequest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method string
		status int
	}{{http.MethodGet, 400}, {http.MethodPost, 400}, {http.MethodDelete, 404}} {
		server := httptest.NewUnstartedServer(respond(test.status, "{}"))
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		transport := server.Client().Transport
		hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			other, err := http.NewRequestWithContext(r.Context(), test.method, server.URL+"/token", nil)
			if err != nil {
				return nil, err
			}
			resp, err := transport.RoundTrip(other)
			if err != nil {
				return nil, err
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			return transport.RoundTrip(r)
		})}
		client, err := facade.NewClient(testKey, withoutRetries, facade.WithBaseURL(server.URL), facade.WithHTTPClient(hc))
		require.NoError(t, err)
		_, err = client.CreateWebhook(t.Context(), validParams)
		assert.Equal(t, test.status, asError(t, err).StatusCode)
		require.NotErrorIs(t, err, facade.ErrUnconfirmed)
		err = client.DeleteWebhook(t.Context(), "w")
		require.Error(t, err)
		assert.Equal(t, test.status, asError(t, err).StatusCode)
	}
}
