package facade_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/apivideo-community/webhooks-go/facade"
)

// maxSent is the maximum number of times that one attempt of an idempotent request
// may reach the server, because net/http retries by itself.
const maxSent = 11

// A frameFault ends a stream or a connection.
type frameFault struct {
	name string
	// processed means that the work is done before.
	processed bool
	// unprocessed means that the client learns from the frames that no work was done.
	unprocessed bool
	// unclear means that net/http hides whether no work was done.
	unclear bool
	// later means a connection that has served a request before.
	later bool
	// status means that the client receives the headers of the response.
	status bool
	send   func(*frameConn, *frameRequest, *httptest.ResponseRecorder)
}

func frameFaults() []frameFault {
	var all []frameFault
	// Each fault once before the work and once after it.
	add := func(f frameFault) {
		if !f.processed {
			before := f
			before.name += ", before the work"
			all = append(all, before)
		}
		if !f.unprocessed && !f.unclear { // or the server breaks the protocol
			f.processed = true
			f.name += ", after the work"
			all = append(all, f)
		}
	}
	for code := http2.ErrCodeNo; code <= http2.ErrCodeHTTP11Required; code++ {
		if raceEnabled && code%7 != 0 { // all but NO_ERROR and REFUSED_STREAM
			continue
		}
		add(frameFault{
			name: "RST_STREAM " + errCodeName(code), unprocessed: code == http2.ErrCodeRefusedStream,
			send: func(c *frameConn, r *frameRequest, _ *httptest.ResponseRecorder) { c.reset(r, code) },
		})
	}
	for _, code := range []http2.ErrCode{http2.ErrCodeNo, http2.ErrCodeProtocol, http2.ErrCodeEnhanceYourCalm} {
		for _, last := range []struct {
			name  string
			add   int
			later bool
		}{{"below", -1, false}, {"below, second stream", -1, true}, {"equal", 0, false}, {"above", 2, false}} {
			// net/http hides that the first stream of a connection was not processed.
			unprocessed := last.add < 0 && (last.later || code == http2.ErrCodeNo)
			add(frameFault{
				name:  fmt.Sprintf("GOAWAY %s, last stream %s", errCodeName(code), last.name),
				later: last.later, unprocessed: unprocessed, unclear: last.add < 0 && !unprocessed,
				send: func(c *frameConn, r *frameRequest, _ *httptest.ResponseRecorder) {
					c.goAway(uint32(int(r.stream)+last.add), code)
					if last.add >= 0 {
						c.close()
					}
				},
			})
		}
	}
	for _, later := range []bool{false, true} {
		f := frameFault{name: "connection closed", later: later, send: func(c *frameConn, _ *frameRequest, _ *httptest.ResponseRecorder) { c.close() }}
		if later {
			f.name += ", second stream"
		}
		add(f)
	}
	for _, part := range []struct {
		name string
		cut  func(int) int
	}{{"the frame header of HEADERS", func(int) int { return 5 }}, {"HEADERS", func(length int) int { return length - 2 }}} {
		add(frameFault{name: "connection closed within " + part.name, processed: true, send: func(c *frameConn, r *frameRequest, response *httptest.ResponseRecorder) {
			c.truncate(part.cut)
			c.headers(r, response, false)
			c.close()
		}})
	}
	add(frameFault{name: "connection closed within DATA", processed: true, status: true, send: func(c *frameConn, r *frameRequest, response *httptest.ResponseRecorder) {
		c.headers(r, response, false)
		c.truncate(func(int) int { return 12 }) // 9 are the frame header
		c.data(r, []byte("xxxxxxxx"))
		c.close()
	}})
	for _, code := range []http2.ErrCode{http2.ErrCodeNo, http2.ErrCodeProtocol, http2.ErrCodeInternal, http2.ErrCodeRefusedStream, http2.ErrCodeCancel} {
		add(frameFault{name: "HEADERS and RST_STREAM " + errCodeName(code), processed: true, status: true, send: func(c *frameConn, r *frameRequest, response *httptest.ResponseRecorder) {
			c.headers(r, response, false)
			c.reset(r, code)
		}})
	}
	return all
}

// newFaultServer returns a server with f for the first requests of a method. A negative
// number means all requests.
func newFaultServer(f frameFault, method string, times int64) *frameServer {
	var faulty atomic.Int64
	s := new(frameServer)
	s.begin = func(c *frameConn, r *frameRequest) bool {
		if r.http.Method == method && (!f.later || r.nth > 1) {
			n := faulty.Add(1)
			r.faulty = times < 0 || n <= times
		}
		if r.faulty && !f.processed {
			f.send(c, r, nil)
			return false
		}
		return true
	}
	s.end = func(c *frameConn, r *frameRequest, response *httptest.ResponseRecorder) {
		if r.faulty {
			f.send(c, r, response)
			return
		}
		c.respond(r, response)
	}
	return s
}

// methodOf returns the method of the requests of op.
func methodOf(op operation) string {
	switch op.name {
	case "create":
		return http.MethodPost
	case "delete":
		return http.MethodDelete
	}
	return http.MethodGet
}

func TestHTTP2Faults(t *testing.T) {
	t.Parallel()
	for _, f := range frameFaults() {
		for _, op := range distinctOperations {
			for _, run := range []struct {
				name  string
				times int64
				retry facade.Option
			}{{"once", 1, defaultRetries}, {"once, MaxAttempts 1", 1, withoutRetries}, {"always, MaxAttempts 1", -1, withoutRetries}} {
				if op.name == "get" && run.name == "once, MaxAttempts 1" || raceEnabled && op.name != "create" {
					continue // as "once", or too slow
				}
				t.Run(f.name+"/"+op.name+"/"+run.name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						server := newFaultServer(f, methodOf(op), run.times)
						client := newFrameClient(t, newFrameTransport(t, server), run.retry)
						if f.later { // a request of another method
							if op.name == "get" {
								require.NoError(t, createWebhook(t.Context(), client))
							} else {
								require.NoError(t, getWebhook(t.Context(), client))
							}
						}
						before := server.requests.Load()
						err := op.call(t.Context(), client)
						sent := server.requests.Load() - before
						switch {
						case op.name == "create":
							checkFaultyCreate(t, f, server, sent, err)
							if f.unprocessed && run.name == "once" {
								require.NoError(t, err)
								assert.EqualValues(t, 2, sent)
							}
						case run.name == "once" || run.times > 0 && sent > 1 || op.name == "delete" && f.status:
							require.NoError(t, err)
						case run.times < 0 && (!f.later || server.conns.Load() <= 1):
							require.Error(t, err)
						}
						require.NotErrorIs(t, err, facade.ErrNotFound, "there was a webhook")
						if run.times < 0 && sent >= 9 {
							require.ErrorContains(t, err, "after 10 new connections")
							require.NotErrorIs(t, err, context.Canceled)
						}
						assert.LessOrEqual(t, sent, int64(maxSent))
					})
				})
			}
		}
	}
}

// checkFaultyCreate checks the result of a create with the fault f.
func checkFaultyCreate(t *testing.T, f frameFault, server *frameServer, sent int64, err error) {
	t.Helper()
	server.checkCreate(t, validParams.URL, err)
	switch {
	case f.unclear:
	case f.unprocessed:
		assert.NotErrorIs(t, err, facade.ErrUnconfirmed)
	default:
		require.ErrorIs(t, err, facade.ErrUnconfirmed)
		assert.EqualValues(t, 1, sent)
		assert.Equal(t, f.processed, server.webhooks(validParams.URL) == 1)
	}
}

// A client may report ErrUnconfirmed for a request that was not processed
// if the protocol or the transport is unknown.
func TestHTTP2Faults_otherClients(t *testing.T) {
	t.Parallel()
	for _, f := range frameFaults() {
		if f.later {
			continue
		}
		f.unclear = f.unclear || f.unprocessed
		t.Run("after HTTP 1/"+f.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := newFaultServer(f, http.MethodPost, 1)
				server.http1 = 1
				client := newFrameClient(t, newFrameTransport(t, server), defaultRetries)
				require.NoError(t, getWebhook(t.Context(), client)) // over HTTP/1
				_, err := client.CreateWebhook(t.Context(), validParams)
				checkFaultyCreate(t, f, server, server.requests.Load()-1, err)
			})
		})
		t.Run("wrapped transport/"+f.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := newFaultServer(f, http.MethodPost, 1)
				client := newFrameClient(t, counted(t, newFrameTransport(t, server)), defaultRetries)
				_, err := client.CreateWebhook(t.Context(), validParams)
				checkFaultyCreate(t, f, server, server.requests.Load(), err)
			})
		})
	}
}

// A transport may add a query. A delete that net/http repeats finds no webhook.
func TestDeleteWebhook_transportChangesURL(t *testing.T) {
	t.Parallel()
	for _, f := range frameFaults() {
		if !f.processed || f.later || f.status {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				next := newFrameTransport(t, newFaultServer(f, http.MethodDelete, 1))
				client := newFrameClient(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					r = r.Clone(r.Context())
					r.URL.RawQuery = "tenant=1"
					return next.RoundTrip(r)
				}), defaultRetries)
				require.NoError(t, client.DeleteWebhook(t.Context(), "w"))
			})
		})
	}
}

// createAll creates webhooks from concurrent callers and calls check for each. The ID is
// empty after an error.
func createAll(t *testing.T, client *facade.Client, creates int, check func(url, id string, err error)) {
	t.Helper()
	const workers = 16
	var mu sync.Mutex
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := next.Add(1); i <= int64(creates); i = next.Add(1) {
				p := validParams
				p.URL = fmt.Sprintf("https://hooks.example.com/%d", i)
				wh, err := client.CreateWebhook(t.Context(), p)
				mu.Lock()
				if err == nil {
					check(p.URL, wh.ID, nil)
				} else {
					check(p.URL, "", err)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

// A server or a load balancer ends each connection after a number of requests.
func TestCreateWebhook_connectionRotation(t *testing.T) {
	t.Parallel()
	creates := 1000
	if raceEnabled {
		creates = 120
	}
	tests := []struct {
		name       string
		creates    int
		each       int    // number of requests on a connection
		announced  bool   // a first GOAWAY without a last stream, as in Go and Envoy
		maxStreams uint32 // of a connection
		wrapped    bool   // the transport is no *http.Transport
	}{
		{"50 requests a connection", creates, 50, false, 0, false},
		{"50 requests a connection, two GOAWAYs", 120, 50, true, 0, false},
		{"7 requests a connection, 4 streams", 120, 7, false, 4, false},
		{"50 requests a connection, wrapped transport", 120, 50, false, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var discarded, rotations atomic.Int64
				server := &frameServer{
					maxStreams: test.maxStreams,
					begin: func(c *frameConn, _ *frameRequest) bool {
						if c.ended {
							discarded.Add(1)
						}
						return !c.ended
					},
				}
				server.end = func(c *frameConn, r *frameRequest, response *httptest.ResponseRecorder) {
					c.served++
					if c.served >= test.each && !c.ended {
						c.ended = true
						if rotations.Add(1) == 1 {
							c.pause() // with requests in flight
						}
						if test.announced {
							c.goAway(1<<31-1, http2.ErrCodeNo)
						}
						c.goAway(c.last, http2.ErrCodeNo)
					}
					c.respond(r, response)
				}
				var transport http.RoundTripper = newFrameTransport(t, server)
				if test.wrapped {
					transport = withHeader("Traceparent", []string{"1"}, transport)
				}
				client := newFrameClient(t, transport)
				createAll(t, client, test.creates, func(url, _ string, err error) {
					assert.NoError(t, err)
					assert.Equal(t, 1, server.webhooks(url))
				})
				assert.GreaterOrEqual(t, server.conns.Load(), int64(test.creates/(test.each+16)))
				assert.Positive(t, discarded.Load(), "requests in flight during a GOAWAY")
			})
		})
	}
}

// withHeader returns a transport that sets a header as a tracing library does.
func withHeader(name string, values []string, next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header[name] = values
		return next.RoundTrip(r)
	})
}

// net/http retries a POST with an idempotency key after a lost connection.
func TestCreateWebhook_idempotencyKey(t *testing.T) {
	t.Parallel()
	headers := []struct {
		name   string
		header string
		values []string
	}{
		{"Idempotency-Key", "Idempotency-Key", []string{"1"}},
		{"X-Idempotency-Key", "X-Idempotency-Key", []string{"1"}},
		{"Idempotency-Key without a value", "Idempotency-Key", []string{}}, // not sent by net/http
	}
	for _, h := range headers {
		t.Run("HTTP/1/"+h.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := new(webhookCounter)
				transport := withHeader(h.header, h.values, newPipeTransport(t, server.losingCreates))
				checkLostCreate(t, server, newFrameClient(t, transport, defaultRetries, facade.WithBaseURL("http://localhost")))
			})
		})
	}
	// net/http repeats a delete, too. The second request finds no webhook.
	t.Run("HTTP/1/delete", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			transport := newPipeTransport(t, newScript(succeed, raw(""), respond(404, "{}")).ServeHTTP)
			client := newFrameClient(t, withHeader("Idempotency-Key", []string{"1"}, transport), withoutRetries, facade.WithBaseURL("http://localhost"))
			require.NoError(t, getWebhook(t.Context(), client))
			require.NoError(t, client.DeleteWebhook(t.Context(), "w"))
		})
	})
	for _, f := range frameFaults() {
		if !f.processed {
			continue
		}
		t.Run("HTTP/2/"+f.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := newFaultServer(f, http.MethodPost, -1)
				transport := withHeader("Idempotency-Key", []string{"1"}, newFrameTransport(t, server))
				checkLostCreate(t, &server.webhookCounter, newFrameClient(t, transport, defaultRetries))
			})
		})
	}
}

// losingCreates is a handler that closes the connection after the work of a create.
func (s *webhookCounter) losingCreates(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		s.ServeHTTP(w, r)
		return
	}
	s.requests.Add(1)
	s.perform(r)
	raw("")(w, r)
}

// checkLostCreate checks that a create with a lost response is sent once on a pooled
// connection.
func checkLostCreate(t *testing.T, server *webhookCounter, client *facade.Client) {
	t.Helper()
	require.NoError(t, getWebhook(t.Context(), client))
	_, err := client.CreateWebhook(t.Context(), validParams)
	require.ErrorIs(t, err, facade.ErrUnconfirmed)
	assert.EqualValues(t, 2, server.requests.Load())
	assert.Equal(t, 1, server.webhooks(validParams.URL))
	var e *facade.Error
	if errors.As(err, &e) {
		assert.Equal(t, 1, e.Attempts)
	}
}
