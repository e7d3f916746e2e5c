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
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
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
	faultLimit    = 64 << 10 // of a body, in bytes
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

// silent returns a handler that writes bytes and waits until the client closes the
// connection.
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

func faults() []fault {
	const (
		ok      = "HTTP/1.1 200 OK\r\n"
		upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n"
	)
	var zeros bytes.Buffer
	z := gzip.NewWriter(&zeros)
	_, _ = z.Write(make([]byte, 2*faultLimit))
	_ = z.Close()
	hints := strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 4<<10)+"\r\n\r\n", 128)
	unexpected := facade.ErrUnexpectedResponse
	lengths := raw(ok + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}")
	long := raw(ok + "X: " + strings.Repeat("x", 512<<10))
	chunk := raw(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}")
	short := raw(ok + "Content-Length: 3\r\n\r\n" + webhookJSON(1))
	return []fault{
		{name: "reset after the request", respond: reset, retry: true, want: errAny},
		{name: "closed after the request", respond: raw(""), retry: true, want: errAny, http1: true},
		{name: "closed within the headers", respond: raw(ok + "Content-"), retry: true, want: errAny, http1: true},
		{name: "another protocol", respond: raw("SSH-2.0-OpenSSH_9.9\r\n"), retry: true, want: errAny, http1: true},
		{name: "closed within the body", respond: truncated(200), success: true, retry: true, want: unexpected},
		{name: "invalid chunk", respond: chunk, success: true, retry: true, want: unexpected, http1: true},
		{name: "101", respond: silent(upgrade), want: unexpected, http1: true},
		{name: "Content-Length below the body", respond: short, success: true, want: unexpected, http1: true},
		{name: "two values of Content-Length", respond: lengths, retry: true, want: errAny, http1: true},
		{name: "512 KiB of 1xx", respond: raw(hints), retry: true, want: errAny, http1: true},
		{name: "header of 512 KiB", respond: long, retry: true, want: errAny, http1: true},
		{name: "endless 200", respond: endless(200), success: true, want: unexpected},
		{name: "endless 404", respond: endless(404), certain: true, want: facade.ErrNotFound},
		{name: "endless 502", respond: endless(502), retry: true, want: facade.ErrServer},
		{name: "404 closed within the body", respond: truncated(404), certain: true, want: facade.ErrNotFound},
		{name: "502 closed within the body", respond: truncated(502), retry: true, want: facade.ErrServer},
		{name: "invalid gzip", respond: gzipped("garbage"), success: true, retry: true, want: unexpected},
		{name: "gzip above the limit", respond: gzipped(zeros.String()), success: true, want: unexpected},
		{name: "HTML", respond: respond(200, "<html>"), success: true, want: unexpected},
		{name: "302", respond: respondWith(302, "", "Location", "/elsewhere"), want: unexpected},
		{name: "403", respond: respond(403, "{}"), certain: true, want: facade.ErrForbidden},
		{name: "408", respond: respond(408, "{}"), retry: true, want: errAny},
		{name: "429", respond: tooMany(serviceHeader, "0"), retry: true, safe: true, want: facade.ErrTooManyRequests},
		{name: "429 with an hour", respond: tooMany(serviceHeader, "3600"), certain: true, want: facade.ErrTooManyRequests},
		{name: "503", respond: respond(503, "{}"), retry: true, want: facade.ErrServer},
	}
}

// checkFault makes a call with retries. It checks the number of attempts and the texts of
// the error and of the debug log.
func checkFault(t *testing.T, op operation, rt http.RoundTripper, attempts int, opts ...facade.Option) error {
	t.Helper()
	var logged syncBuffer
	client := newDirectClient(t, rt, append([]facade.Option{
		facade.WithLogger(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		facade.WithRetry(facade.RetryPolicy{MaxAttempts: faultAttempts, MinDelay: 1, MaxDelay: time.Second}),
	}, opts...)...)
	client.SetLimits(faultLimit, faultLimit)
	err := op.call(t.Context(), client)
	if err != nil {
		checkErrorText(t, err)
		assert.Equal(t, attempts, asError(t, err).Attempts)
	}
	text := fmt.Sprintln(err) + logged.String()
	assert.Contains(t, text, "apivideo: request")
	for _, secret := range []string{testKey, strings.TrimPrefix(basicKey, "Basic "), "sig_sec_"} {
		assert.NotContains(t, text, secret)
	}
	return err
}

// Each fault occurs in the first request only, and in all requests.
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
					attempts, isDone := 1, f.success && op.name == "delete"
					if f.retry && !isDone && (op.name != "create" || f.safe) {
						attempts = faultAttempts
					}
					for _, times := range []int64{1, faultAttempts}[:min(attempts, 2)] {
						var requests atomic.Int64
						url, transport := newServer(t, major, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							assert.Equal(t, major, r.ProtoMajor)
							if requests.Add(1) <= times {
								f.respond(w, r)
								return
							}
							succeed(w, r)
						}))
						err := checkFault(t, op, counted(t, transport), attempts, facade.WithBaseURL(url))
						if isDone || attempts > 1 && times == 1 {
							require.NoError(t, err)
							assert.EqualValues(t, min(attempts, 2), requests.Load())
							continue
						}
						require.Error(t, err)
						assert.EqualValues(t, attempts, requests.Load())
						if !errors.Is(f.want, errAny) {
							require.ErrorIs(t, err, f.want)
						}
						isAmbiguous := op.name == "create" && !f.safe && !f.certain
						assert.Equal(t, isAmbiguous, errors.Is(err, facade.ErrUnconfirmed), err)
					}
				})
			}
		}
	}
}

// A request that is not written is retried, and no create is ErrUnconfirmed.
func TestClient_connectionFaults(t *testing.T) {
	t.Parallel()
	const service = "https://ws.api.video"
	read := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 64<<10)) }
	for _, f := range []struct {
		name, base, want string
		serve            func(net.Conn) // serves the connection; nil means that there is none
	}{
		{"connection refused", service, "connection refused", nil},
		{"server without TLS", service, "HTTP response to HTTPS client", func(conn net.Conn) {
			read(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}},
		{"closed within the handshake", service, "EOF", read},
		{"unknown authority", service, "unknown authority", serveTLS},
		{"another host", "https://other.example", "not other.example", serveTLS},
		{"closed within the request", "http://localhost", "EOF", read},
	} {
		for _, op := range slices.Concat(distinctOperations, []operation{{name: "create with a token", call: createWebhook}}) {
			t.Run(f.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
						if f.serve == nil {
							return nil, syscall.ECONNREFUSED
						}
						client, server := net.Pipe()
						go func() {
							f.serve(server)
							_ = server.Close()
						}()
						return client, nil
					}}
					dials := countDials(transport)
					opts := []facade.Option{facade.WithBaseURL(f.base)}
					if op.name == "create with a token" {
						opts = append(opts, facade.WithTokenExchange())
					}
					attempts, isWritten := faultAttempts, f.name == "closed within the request" && op.name == "create"
					if isWritten {
						attempts = 1
					}
					err := checkFault(t, op, transport, attempts, opts...)
					require.ErrorContains(t, err, f.want)
					assert.Equal(t, isWritten, errors.Is(err, facade.ErrUnconfirmed))
					assert.EqualValues(t, attempts, dials.Load())
				})
			})
		}
	}
}

// serveTLS performs a handshake as https://ws.api.video.
func serveTLS(conn net.Conn) {
	config := &tls.Config{Certificates: []tls.Certificate{testCertificate()}}
	_ = tls.Server(conn, config).HandshakeContext(context.Background())
}
