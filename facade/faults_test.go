package facade_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// fault is something that an answer has wrong, and what comes of it.
type fault struct {
	name   string
	answer http.HandlerFunc
	want   error // nil: nothing about it is wrong enough
	repeat bool  // it may pass, so that what may be repeated is
	// What it means for a create: nothing was done, so that it is repeated like
	// all else, or not known, or neither: the service refused.
	undone, unknown bool
	// net/http repeats what may be repeated by itself, if the server closes a
	// connection that was used before without a byte of an answer.
	moreBelow bool
}

const faultAttempts = 3

// raw writes an answer byte by byte and closes the connection.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
	}
}

func reset(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func endless(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		for chunk := bytes.Repeat([]byte("x"), 64<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}

func zipped(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(successOf(r))
		_, _ = w.Write(body)
	}
}

func bomb() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(make([]byte, 32<<20))
	_ = z.Close()
	return b.Bytes()
}

// successOf is the status of a success, other than 204, which has no body to be wrong.
func successOf(r *http.Request) int {
	if r.Method == http.MethodPost {
		return http.StatusCreated
	}
	return http.StatusOK
}

func statusFault(status int, want error) fault {
	f := fault{name: strconv.Itoa(status), answer: answer(status, `{"title":"No."}`), want: want}
	f.repeat = status == http.StatusRequestTimeout || status >= 500
	f.unknown = f.repeat
	return f
}

func redirectFault(status int, to string) fault {
	return fault{name: fmt.Sprintf("%d to %s", status, to), want: facade.ErrUnexpectedResponse, answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	}}
}

func tooMany(wait string, repeat bool) fault {
	return fault{name: "429, wait " + wait, want: facade.ErrTooManyRequests, repeat: repeat, undone: true, answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Retry-After", wait)
		answer(http.StatusTooManyRequests, `{"title":"Too many requests."}`)(w, r)
	}}
}

func faults() []fault {
	const broken = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	list := []fault{
		{name: "reset after the request", answer: reset, repeat: true, unknown: true, want: errAny, moreBelow: true},
		{name: "closed after the request", answer: raw(""), repeat: true, unknown: true, want: errAny, moreBelow: true},
		{name: "closed within the headers", answer: raw("HTTP/1.1 200 OK\r\nContent-"), repeat: true, unknown: true, want: errAny},
		{name: "no HTTP", answer: raw("SSH-2.0-OpenSSH_9.9\r\n"), repeat: true, unknown: true, want: errAny},
		{name: "closed within the body", answer: raw(broken + "Content-Length: 1000\r\n\r\n{"), repeat: true, unknown: true, want: io.ErrUnexpectedEOF},
		{name: "a chunk that is none", answer: raw(broken + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"), repeat: true, unknown: true, want: facade.ErrUnexpectedResponse},
		{name: "a length shorter than the body", answer: raw(broken + "Content-Length: 3\r\n\r\n" + webhookJSON(1)), unknown: true, want: facade.ErrUnexpectedResponse},
		{name: "two lengths", answer: raw(broken + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}"), repeat: true, unknown: true, want: errAny},
		{name: "1xx for ever", answer: raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000)), repeat: true, unknown: true, want: errAny},
		{name: "headers without end", answer: raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 11<<20)), repeat: true, unknown: true, want: errAny},
		{name: "a success without end", answer: endless(http.StatusOK), unknown: true, want: facade.ErrUnexpectedResponse},
		{name: "a refusal without end", answer: endless(http.StatusNotFound), want: facade.ErrNotFound},
		{name: "a failure without end", answer: endless(http.StatusBadGateway), repeat: true, unknown: true, want: facade.ErrServer},
		{name: "gzip that is none", answer: zipped([]byte("garbage")), repeat: true, unknown: true, want: facade.ErrUnexpectedResponse},
		{name: "gzip that swells", answer: zipped(bomb()), unknown: true, want: facade.ErrUnexpectedResponse},
		{name: "HTML", answer: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(successOf(r))
			_, _ = io.WriteString(w, "<html>")
		}, unknown: true, want: facade.ErrUnexpectedResponse},
		{name: "401 always", answer: answer(http.StatusUnauthorized, ``), want: facade.ErrUnauthorized},
		statusFault(400, facade.ErrBadRequest), statusFault(403, facade.ErrForbidden), statusFault(404, facade.ErrNotFound),
		statusFault(405, errAny), statusFault(408, errAny), statusFault(409, errAny), statusFault(413, errAny),
		statusFault(422, errAny), statusFault(425, errAny),
		statusFault(500, facade.ErrServer), statusFault(502, facade.ErrServer), statusFault(503, facade.ErrServer), statusFault(504, facade.ErrServer),
		tooMany("0", true), tooMany("", true), tooMany("12.5", true), tooMany("-3", true), tooMany("soon", true),
		tooMany("99999999999999999999", true), tooMany("3600", false),
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"/elsewhere", "https://other.example/webhooks", "http://other.example/webhooks"} {
			list = append(list, redirectFault(status, to))
		}
	}
	return list
}

// errAny stands for an error that has no sentinel.
var errAny = errors.New("any")

// Each fault with each operation, by key and by token, for ever and only once.
func TestFaults(t *testing.T) {
	t.Parallel()
	var cells atomic.Int64
	t.Cleanup(func() { t.Logf("%d cells", cells.Load()) })
	for _, f := range faults() {
		for _, op := range operations {
			for _, auth := range []string{"basic", "bearer"} {
				t.Run(f.name+"/"+op.name+"/"+auth, func(t *testing.T) {
					t.Parallel()
					cells.Add(1)
					attempts := 1
					if f.repeat && (op.name != "create" || f.undone) {
						attempts = faultAttempts
					}
					if f.name == "401 always" && auth == "bearer" {
						attempts = 2 // with another token
					}
					requests, err := meet(t, f, op, auth, -1)
					if f.moreBelow && op.name != "create" {
						assert.GreaterOrEqual(t, requests, attempts)
					} else {
						assert.Equal(t, attempts, requests)
					}
					checkFault(t, f, op, err)

					if attempts == 1 {
						return
					}
					cells.Add(1)
					requests, err = meet(t, f, op, auth, 1)
					require.NoError(t, err, "it passed")
					assert.Equal(t, 2, requests)
				})
			}
		}
	}
}

// meet lets an operation meet a fault so many times, and returns what came of
// it and how many requests the server saw, exchanges aside.
func meet(t *testing.T, f fault, op operation, auth string, times int64) (int, error) {
	t.Helper()
	var requests atomic.Int64
	service := &tokenService{}
	opts := []facade.Option{facade.WithRetry(facade.RetryPolicy{MaxAttempts: faultAttempts, MinDelay: time.Nanosecond, MaxDelay: time.Second})}
	if auth == "bearer" {
		opts = append(opts, facade.WithTokenExchange())
	}
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/auth/") {
			service.ServeHTTP(w, r)
			return
		}
		if n := requests.Add(1); times < 0 || n <= times {
			f.answer(w, r)
			return
		}
		service.ServeHTTP(w, r)
	}, opts...)
	err := op.call(t.Context(), client)
	return int(requests.Load()), err
}

func checkFault(t *testing.T, f fault, op operation, err error) {
	t.Helper()
	require.Error(t, err)
	if !errors.Is(f.want, errAny) && (op.name != "delete" || !errors.Is(f.want, facade.ErrUnexpectedResponse)) {
		require.ErrorIs(t, err, f.want)
	}
	assert.Equal(t, op.name == "create" && f.unknown, errors.Is(err, facade.ErrUnconfirmed), err)
	checkText(t, err)
	for _, secret := range []string{testKey, base64.StdEncoding.EncodeToString([]byte(testKey + ":")), "access1", "access2", "refresh1"} {
		assert.NotContains(t, err.Error(), secret)
	}
}

// Each fault in the exchange of the key and of a refresh token. The request
// itself was never sent then, so that a create is repeated like all else, and
// none is unconfirmed.
func TestFaultsOfTheExchange(t *testing.T) {
	t.Parallel()
	for _, f := range faults() {
		for _, op := range operations {
			for _, path := range []string{"/auth/api-key", "/auth/refresh"} {
				t.Run(f.name+path+"/"+op.name, func(t *testing.T) {
					t.Parallel()
					var exchanges, others atomic.Int64
					service := &tokenService{reject: func(token string) bool { return path == "/auth/refresh" && token == "access1" }}
					client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
						switch {
						case r.URL.Path == path:
							exchanges.Add(1)
							answerExchange(f, w, r)
							return
						case !strings.HasPrefix(r.URL.Path, "/auth/"):
							others.Add(1)
						}
						service.ServeHTTP(w, r)
					}, facade.WithTokenExchange(),
						facade.WithRetry(facade.RetryPolicy{MaxAttempts: faultAttempts, MinDelay: time.Nanosecond, MaxDelay: time.Second}))
					err := op.call(t.Context(), client)
					require.NotErrorIs(t, err, facade.ErrUnconfirmed)
					if path == "/auth/refresh" && errors.Is(f.want, facade.ErrTooManyRequests) {
						require.ErrorIs(t, err, f.want, "the key isn't used to get around it")
						return
					}
					if path == "/auth/refresh" {
						require.NoError(t, err, "the key is as good")
						assert.EqualValues(t, 1, exchanges.Load())
						assert.EqualValues(t, 2, others.Load())
						return
					}
					require.Error(t, err)
					if !errors.Is(f.want, errAny) {
						require.ErrorIs(t, err, f.want)
					}
					assert.Equal(t, "CreateAccessToken", asError(t, err).Op)
					assert.Zero(t, others.Load(), "nothing goes out without a token")
					assert.LessOrEqual(t, exchanges.Load(), int64(faultAttempts))
					if f.repeat {
						assert.EqualValues(t, faultAttempts, exchanges.Load())
					}
					checkText(t, err)
					assert.NotContains(t, err.Error(), testKey)
				})
			}
		}
	}
}

// answerExchange answers with 200 where a create would be answered with 201.
func answerExchange(f fault, w http.ResponseWriter, r *http.Request) {
	asGet := *r
	asGet.Method = http.MethodGet
	f.answer(w, &asGet)
}

// Faults before a byte of a request is written. All operations are repeated
// then, and no create is unconfirmed.
func TestFaultsBeforeTheRequest(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = discardLog
	secure.StartTLS()
	t.Cleanup(secure.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	trusted := secure.Client().Transport.(*http.Transport).TLSClientConfig
	port := func(s *httptest.Server) string { return s.URL[strings.LastIndexByte(s.URL, ':'):] }
	for _, f := range []struct {
		name, url, want string
		tls             *tls.Config
		dial            func(context.Context, string, string) (net.Conn, error)
	}{
		{name: "connection refused", url: closed.URL, want: "refused"},
		{name: "name not resolved", url: "https://api.invalid", want: "no such host", dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "api.invalid", IsNotFound: true}
		}},
		{name: "no TLS on the other side", url: "https://127.0.0.1" + port(plain), want: "HTTP response to HTTPS client"},
		{name: "a certificate nobody vouches for", url: secure.URL, want: "unknown authority"},
		{name: "a certificate of another host", url: "https://localhost" + port(secure), want: "not localhost", tls: trusted},
	} {
		for _, op := range operations {
			for _, auth := range []string{"basic", "bearer"} {
				t.Run(f.name+"/"+op.name+"/"+auth, func(t *testing.T) {
					t.Parallel()
					var dials atomic.Int64
					dial := f.dial
					if dial == nil {
						dial = new(net.Dialer).DialContext
					}
					transport := &http.Transport{TLSClientConfig: f.tls, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
						dials.Add(1)
						return dial(ctx, network, address)
					}}
					opts := []facade.Option{
						facade.WithBaseURL(f.url),
						facade.WithHTTPClient(&http.Client{Transport: transport}),
						facade.WithRetry(facade.RetryPolicy{MaxAttempts: faultAttempts, MinDelay: time.Nanosecond, MaxDelay: time.Second}),
					}
					if auth == "bearer" {
						opts = append(opts, facade.WithTokenExchange())
					}
					client, err := facade.NewClient(testKey, opts...)
					require.NoError(t, err)
					err = op.call(t.Context(), client)
					require.ErrorContains(t, err, f.want)
					require.NotErrorIs(t, err, facade.ErrUnconfirmed, "nothing was written")
					assert.EqualValues(t, faultAttempts, dials.Load())
					assert.Equal(t, faultAttempts, asError(t, err).Attempts)
					checkText(t, err)
				})
			}
		}
	}
}

// A server that sends less than a timeout can wait for, byte by byte.
func TestFaultsOfTime(t *testing.T) {
	t.Parallel()
	const timeout = 30 * time.Second
	for _, f := range []struct {
		name    string
		trickle func(w http.ResponseWriter, r *http.Request)
	}{
		{"headers that trickle", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(conn, "X: y\r\n"); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		}},
		{"a body that trickles", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(successOf(r))
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				<-time.After(time.Second)
			}
		}},
	} {
		for _, op := range operations {
			t.Run(f.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(io.Discard, r.Body)
						f.trickle(w, r)
					}, facade.WithTimeout(timeout), facade.WithRetry(facade.RetryPolicy{MaxAttempts: faultAttempts, MinDelay: time.Nanosecond, MaxDelay: time.Second}))
					start := time.Now()
					err := op.call(t.Context(), client)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					attempts := faultAttempts
					if op.name == "create" {
						attempts = 1
						require.ErrorIs(t, err, facade.ErrUnconfirmed)
					}
					assert.Equal(t, attempts, asError(t, err).Attempts)
					assert.InDelta(t, time.Duration(attempts)*timeout, time.Since(start), float64(time.Millisecond))
					<-time.After(2 * time.Second) // the server notices
				})
			})
		}
	}
}
