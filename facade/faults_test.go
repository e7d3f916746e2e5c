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
	"strings"
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

const faultAttempts = 3

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

// silent returns a handler that writes bytes and waits until the client leaves.
func silent(start string) http.HandlerFunc {
	return hijack(func(conn net.Conn) {
		_, _ = io.WriteString(conn, start)
		_, _ = io.Copy(io.Discard, conn)
	})
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
		for err := error(nil); err == nil; {
			_, err = w.Write(make([]byte, 4<<10))
		}
	}
}

// gzipped returns a handler whose body claims to be compressed.
func gzipped(body string) http.HandlerFunc { return respondWith(200, body, "Content-Encoding", "gzip") }

// compressed returns size compressed zeros.
func compressed(size int) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(make([]byte, size))
	_ = z.Close()
	return b.String()
}

func faults() []fault {
	const (
		ok      = "HTTP/1.1 200 OK\r\n"
		upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n"
	)
	hints := strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 4<<10)+"\r\n\r\n", 128)
	unexpected := facade.ErrUnexpectedResponse
	return []fault{
		{name: "reset after the request", respond: reset, retry: true, want: errAny},
		{name: "closed after the request", respond: raw(""), retry: true, want: errAny, http1: true},
		{name: "closed within the headers", respond: raw(ok + "Content-"), retry: true, want: errAny, http1: true},
		{name: "another protocol", respond: raw("SSH-2.0-OpenSSH_9.9\r\n"), retry: true, want: errAny, http1: true},
		{name: "closed within the body", respond: truncated(200), success: true, retry: true, want: unexpected},
		{
			name: "invalid chunk", respond: raw(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
			success: true, retry: true, want: unexpected, http1: true,
		},
		{name: "101", respond: silent(upgrade), want: unexpected, http1: true},
		{
			name: "Content-Length below the body", respond: raw(ok + "Content-Length: 3\r\n\r\n" + webhookJSON(1)),
			success: true, want: unexpected, http1: true,
		},
		{
			name: "two values of Content-Length", respond: raw(ok + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}"),
			retry: true, want: errAny, http1: true,
		},
		{name: "512 KiB of 1xx", respond: raw(hints), retry: true, want: errAny, http1: true},
		{
			name: "header of 512 KiB", respond: raw(ok + "X: " + strings.Repeat("x", 512<<10)),
			retry: true, want: errAny, http1: true,
		},
		{name: "endless 200", respond: endless(200), success: true, want: unexpected},
		{name: "endless 404", respond: endless(404), certain: true, want: facade.ErrNotFound},
		{name: "endless 502", respond: endless(502), retry: true, want: facade.ErrServer},
		{name: "404 closed within the body", respond: truncated(404), certain: true, want: facade.ErrNotFound},
		{name: "502 closed within the body", respond: truncated(502), retry: true, want: facade.ErrServer},
		{name: "invalid gzip", respond: gzipped("garbage"), success: true, retry: true, want: unexpected},
		{name: "gzip above the limit", respond: gzipped(compressed(11 << 20)), success: true, want: unexpected},
		{name: "HTML", respond: respond(200, "<html>"), success: true, want: unexpected},
		{name: "302", respond: respondWith(302, "", "Location", "/elsewhere"), want: unexpected},
		{name: "403", respond: respond(403, "{}"), certain: true, want: facade.ErrForbidden},
		{name: "408", respond: respond(408, "{}"), retry: true, want: errAny},
		{name: "429", respond: tooMany(serviceHeader, "0"), retry: true, safe: true, want: facade.ErrTooManyRequests},
		{name: "429 with an hour", respond: tooMany(serviceHeader, "3600"), certain: true, want: facade.ErrTooManyRequests},
		{name: "503", respond: respond(503, "{}"), retry: true, want: facade.ErrServer},
	}
}

// faultOptions returns options with retries and a debug log.
func faultOptions(log io.Writer) []facade.Option {
	return []facade.Option{
		facade.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		facade.WithRetry(facade.RetryPolicy{MaxAttempts: faultAttempts, MinDelay: 1, MaxDelay: time.Second}),
	}
}

// checkFaultTexts checks the error text, and that neither the error nor the log has a
// credential.
func checkFaultTexts(t *testing.T, err error, logged *syncBuffer) {
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
	for _, f := range faults() {
		for _, op := range distinctOperations {
			for major := 1; major <= 2; major++ {
				if major == 2 && (f.http1 || raceEnabled && op.name != "create") {
					continue
				}
				t.Run(fmt.Sprintf("HTTP %d/%s/%s", major, f.name, op.name), func(t *testing.T) {
					t.Parallel()
					testFault(t, major, f, op)
				})
			}
		}
	}
}

func testFault(t *testing.T, major int, f fault, op operation) {
	t.Helper()
	call := func(times int64) (int, error) {
		var requests atomic.Int64
		var logged syncBuffer
		url, transport := newServer(t, major, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, major, r.ProtoMajor)
			if requests.Add(1) <= times {
				f.respond(w, r)
				return
			}
			succeed(w, r)
		}))
		client := newClientWith(t, transport, append(faultOptions(&logged), facade.WithBaseURL(url))...)
		start := time.Now()
		err := op.call(t.Context(), client)
		assert.Less(t, time.Since(start), 30*time.Second)
		checkFaultTexts(t, err, &logged)
		return int(requests.Load()), err
	}
	attempts := 1
	if f.retry && (op.name != "create" || f.safe) {
		attempts = faultAttempts
	}
	requests, err := call(faultAttempts)
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
}

// A request that is not written is retried, and no create is ErrUnconfirmed.
func TestClient_connectionFaults(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = discardLog
	secure.StartTLS()
	t.Cleanup(secure.Close)
	resetting := httptest.NewUnstartedServer(http.NotFoundHandler())
	resetting.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateActive { // after the first bytes of a request
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}
	resetting.Start()
	t.Cleanup(resetting.Close)
	plainURL, _ := newServer(t, 1, http.NotFoundHandler())
	closed := httptest.NewServer(nil)
	closed.Close()
	unknownHost := &net.DNSError{Err: "no such host", Name: "api.invalid", IsNotFound: true}
	trusting := secure.Client().Transport.(*http.Transport).TLSClientConfig
	overTLS := func(url string) string { return strings.Replace(url, "http://", "https://", 1) }
	for _, f := range []struct {
		name, url, want string
		tls             *tls.Config
		dialError       error
	}{
		{"connection refused", closed.URL, "refused", nil, nil},
		{"name not resolved", "https://api.invalid", "no such host", nil, unknownHost},
		{"server without TLS", overTLS(plainURL), "HTTP response to HTTPS client", nil, nil},
		{"reset within the handshake", overTLS(resetting.URL), overTLS(resetting.URL), nil, nil},
		{"unknown authority", secure.URL, "unknown authority", nil, nil},
		{"another host", strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), "not localhost", trusting, nil},
		{"reset within the request", resetting.URL, resetting.URL, nil, nil},
	} {
		for _, op := range []operation{
			distinctOperations[0], distinctOperations[1], distinctOperations[2], {name: "create with a token", call: createWebhook},
		} {
			t.Run(f.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				var logged syncBuffer
				transport := &http.Transport{TLSClientConfig: f.tls, DialContext: new(net.Dialer).DialContext}
				if f.dialError != nil {
					transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, f.dialError }
				}
				dials := countDials(transport)
				opts := append(faultOptions(&logged), facade.WithBaseURL(f.url))
				if op.name == "create with a token" {
					opts = append(opts, facade.WithTokenExchange())
				}
				err := op.call(t.Context(), newDirectClient(t, transport, opts...))
				require.ErrorContains(t, err, f.want)
				attempts, isUnconfirmed := faultAttempts, op.name == "create" && f.name == "reset within the request"
				if isUnconfirmed {
					attempts = 1
				}
				assert.Equal(t, isUnconfirmed, errors.Is(err, facade.ErrUnconfirmed))
				assert.EqualValues(t, attempts, dials.Load())
				assert.Equal(t, attempts, asError(t, err).Attempts)
				checkFaultTexts(t, err, &logged)
			})
		}
	}
}
