package facade_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// A fault is a wrong response, with the consequences.
type fault struct {
	name    string
	respond http.HandlerFunc
	want    error // errAny: an error without a sentinel
	retry   bool  // an idempotent request is retried
	// safe means that a create was not processed and is retried. certain means a
	// rejection. After any other fault a create is ErrUnconfirmed.
	safe, certain bool
	success       bool // the status is 2xx, which is sufficient for a delete
	http1         bool // bytes of HTTP/1
}

// errAny stands for an error without a sentinel.
var errAny = errors.New("any")

const (
	faultAttempts = 3
	// faultLimit is the limit of bodies in these tests.
	faultLimit = 8 << 10
)

// hijack returns a handler that reads the request and takes over the connection.
func hijack(use func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		use(conn)
	}
}

// raw returns a handler that writes bytes and closes the connection.
func raw(response string) http.HandlerFunc {
	return hijack(func(conn net.Conn) { _, _ = io.WriteString(conn, response) })
}

func reset(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.ProtoMajor == 2 {
		panic(http.ErrAbortHandler) // resets the stream
	}
	hijack(func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) })(w, r)
}

// truncated returns a handler that closes the connection within the body.
func truncated(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "{")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func endless(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		for chunk := bytes.Repeat([]byte("x"), 4<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}

// gzipped returns a handler whose body claims to be compressed.
func gzipped(body []byte) http.HandlerFunc {
	return respondWith(http.StatusOK, string(body), "Content-Encoding", "gzip")
}

// compress returns size compressed zeros.
func compress(size int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(make([]byte, size))
	_ = z.Close()
	return b.Bytes()
}

func faults() []fault {
	const (
		broken = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		hint   = "HTTP/1.1 103 Early Hints\r\nX: "
	)
	unexpected := facade.ErrUnexpectedResponse
	switching := hijack(func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // until the client leaves
	})
	return []fault{
		{name: "reset after the request", respond: reset, retry: true, want: errAny},
		{name: "closed after the request", respond: raw(""), retry: true, want: errAny, http1: true},
		{name: "closed within the headers", respond: raw("HTTP/1.1 200 OK\r\nContent-"), retry: true, want: errAny, http1: true},
		{name: "another protocol", respond: raw("SSH-2.0-OpenSSH_9.9\r\n"), retry: true, want: errAny, http1: true},
		{name: "closed within the body", respond: truncated(200), success: true, retry: true, want: unexpected},
		{name: "invalid chunk", respond: raw(broken + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"), success: true, retry: true, want: unexpected, http1: true},
		{name: "101", respond: switching, want: unexpected, http1: true},
		{name: "Content-Length below the body", respond: raw(broken + "Content-Length: 3\r\n\r\n" + webhookJSON(1)), success: true, want: unexpected, http1: true},
		{name: "two values of Content-Length", respond: raw(broken + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}"), retry: true, want: errAny, http1: true},
		{name: "512 KiB of 1xx", respond: raw(strings.Repeat(hint+strings.Repeat("x", 4<<10)+"\r\n\r\n", 128)), retry: true, want: errAny, http1: true},
		{name: "header of 512 KiB", respond: raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 512<<10)), retry: true, want: errAny, http1: true},
		{name: "endless 200", respond: endless(200), success: true, want: unexpected},
		{name: "endless 404", respond: endless(404), certain: true, want: facade.ErrNotFound},
		{name: "endless 502", respond: endless(502), retry: true, want: facade.ErrServer},
		{name: "404 closed within the body", respond: truncated(404), certain: true, want: facade.ErrNotFound},
		{name: "502 closed within the body", respond: truncated(502), retry: true, want: facade.ErrServer},
		{name: "invalid gzip", respond: gzipped([]byte("garbage")), success: true, retry: true, want: unexpected},
		{name: "gzip above the limit", respond: gzipped(compress(2 * faultLimit)), success: true, want: unexpected},
		{name: "HTML", respond: respond(200, "<html>"), success: true, want: unexpected},
		{name: "302", respond: respondWith(302, "", "Location", "/elsewhere"), want: unexpected},
		{name: "403", respond: respond(403, "{}"), certain: true, want: facade.ErrForbidden},
		{name: "408", respond: respond(408, "{}"), retry: true, want: errAny},
		{name: "429", respond: tooMany(serviceHeader, "0"), retry: true, safe: true, want: facade.ErrTooManyRequests},
		{name: "429 with an hour", respond: tooMany(serviceHeader, "3600"), certain: true, want: facade.ErrTooManyRequests},
		{name: "503", respond: respond(503, "{}"), retry: true, want: facade.ErrServer},
	}
}

// A sharedServer serves the handlers of many tests, because a listener and a TLS handshake
// for each take time.
type sharedServer struct {
	url       string
	transport http.RoundTripper
	handlers  sync.Map // http.HandlerFunc by number
	last      atomic.Int64
}

func newSharedServer(t *testing.T, major int) *sharedServer {
	t.Helper()
	s := new(sharedServer)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler, ok := s.handlers.Load(r.Header.Get("X-Test")); ok && r.ProtoMajor == major {
			handler.(http.HandlerFunc)(w, r)
		}
	})
	if major == 2 {
		s.url, s.transport = newHTTP2Server(t, handler)
		return s
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	transport := newTransport(t)
	transport.DisableKeepAlives = true // a fault may break the connection for another test
	s.url, s.transport = server.URL, transport
	return s
}

func (s *sharedServer) newClient(t *testing.T, handler http.HandlerFunc, opts ...facade.Option) *facade.Client {
	t.Helper()
	number := strconv.FormatInt(s.last.Add(1), 10)
	s.handlers.Store(number, handler)
	client := newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("X-Test", number)
		return s.transport.RoundTrip(r)
	}), append([]facade.Option{facade.WithBaseURL(s.url)}, opts...)...)
	client.SetLimits(faultLimit, faultLimit)
	return client
}

// faultOptions returns options with retries and a debug log.
func faultOptions(log io.Writer) []facade.Option {
	return []facade.Option{
		facade.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		facade.WithRetry(facade.RetryPolicy{MaxAttempts: faultAttempts, MinDelay: 1, MaxDelay: time.Second}),
	}
}

// checkFault checks the error text, and that neither the error nor the log has a
// credential.
func checkFault(t *testing.T, err error, logged *syncBuffer) {
	t.Helper()
	if err != nil {
		checkErrorText(t, err)
	}
	text := fmt.Sprintln(err) + logged.String()
	assert.Contains(t, text, "apivideo: request")
	for _, secret := range []string{testKey, strings.TrimPrefix(basicKey, "Basic "), "sig_sec_"} {
		assert.NotContains(t, text, secret)
	}
}

// Each fault occurs once, and always.
func TestClient_faults(t *testing.T) {
	t.Parallel()
	for major := 1; major <= 2; major++ {
		shared := newSharedServer(t, major)
		for _, f := range faults() {
			for _, op := range distinctOperations {
				if f.http1 && major == 2 || raceEnabled && major == 2 && op.name != "create" {
					continue
				}
				t.Run(fmt.Sprintf("HTTP %d/%s/%s", major, f.name, op.name), func(t *testing.T) {
					t.Parallel()
					attempts := 1
					if f.retry && (op.name != "create" || f.safe) {
						attempts = faultAttempts
					}
					call := func(times int64) (int, error) {
						var requests atomic.Int64
						var logged syncBuffer
						client := shared.newClient(t, func(w http.ResponseWriter, r *http.Request) {
							if n := requests.Add(1); times < 0 || n <= times {
								f.respond(w, r)
								return
							}
							succeed(w, r)
						}, faultOptions(&logged)...)
						start := time.Now()
						err := op.call(t.Context(), client)
						assert.Less(t, time.Since(start), 30*time.Second)
						checkFault(t, err, &logged)
						return int(requests.Load()), err
					}
					requests, err := call(-1)
					if f.success && op.name == "delete" {
						require.NoError(t, err)
						assert.Equal(t, 1, requests)
						return
					}
					require.Error(t, err)
					assert.Equal(t, attempts, requests)
					assert.Equal(t, attempts, asError(t, err).Attempts)
					if !errors.Is(f.want, errAny) {
						require.ErrorIs(t, err, f.want)
					}
					assert.Equal(t, op.name == "create" && !f.safe && !f.certain, errors.Is(err, facade.ErrUnconfirmed), err)
					if attempts > 1 {
						requests, err = call(1)
						require.NoError(t, err)
						assert.Equal(t, 2, requests)
					}
				})
			}
		}
	}
}

// A request that is not written is retried, and no create is ErrUnconfirmed.
func TestClient_connectionFaults(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = discardLog
	secure.StartTLS()
	t.Cleanup(secure.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	resetting := httptest.NewUnstartedServer(http.NotFoundHandler())
	resetting.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateActive { // after the first bytes of a request
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}
	resetting.Start()
	t.Cleanup(resetting.Close)
	trusted := secure.Client().Transport.(*http.Transport).TLSClientConfig
	port := func(s *httptest.Server) string { return s.URL[strings.LastIndexByte(s.URL, ':'):] }
	for _, f := range []struct {
		name, url, want string
		isWritten       bool
		tls             *tls.Config
		dial            func(context.Context, string, string) (net.Conn, error)
	}{
		{name: "connection refused", url: closed.URL, want: "refused"},
		{name: "name not resolved", url: "https://api.invalid", want: "no such host", dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "api.invalid", IsNotFound: true}
		}},
		{name: "server without TLS", url: "https://127.0.0.1" + port(plain), want: "HTTP response to HTTPS client"},
		{name: "reset within the handshake", url: "https://127.0.0.1" + port(resetting), want: "https://127.0.0.1"},
		{name: "certificate of an unknown authority", url: secure.URL, want: "unknown authority"},
		{name: "certificate of another host", url: "https://localhost" + port(secure), want: "not localhost", tls: trusted},
		{name: "reset within the request", url: resetting.URL, want: resetting.URL, isWritten: true},
	} {
		for _, op := range distinctOperations {
			for _, auth := range []string{"basic", "bearer"} {
				if auth == "bearer" && op.name != "create" {
					continue
				}
				t.Run(f.name+"/"+op.name+"/"+auth, func(t *testing.T) {
					t.Parallel()
					var dials atomic.Int64
					var logged syncBuffer
					dial := f.dial
					if dial == nil {
						dial = new(net.Dialer).DialContext
					}
					transport := &http.Transport{TLSClientConfig: f.tls, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
						dials.Add(1)
						return dial(ctx, network, address)
					}}
					opts := append(faultOptions(&logged), facade.WithBaseURL(f.url), facade.WithHTTPClient(&http.Client{Transport: transport}))
					if auth == "bearer" {
						opts = append(opts, facade.WithTokenExchange())
					}
					client, err := facade.NewClient(testKey, opts...)
					require.NoError(t, err)
					err = op.call(t.Context(), client)
					require.ErrorContains(t, err, f.want)
					attempts, isUnconfirmed := faultAttempts, false
					if f.isWritten && op.name == "create" && auth == "basic" { // else the token request was written
						attempts, isUnconfirmed = 1, true
					}
					assert.Equal(t, isUnconfirmed, errors.Is(err, facade.ErrUnconfirmed))
					assert.EqualValues(t, attempts, dials.Load())
					assert.Equal(t, attempts, asError(t, err).Attempts)
					checkFault(t, err, &logged)
				})
			}
		}
	}
}
