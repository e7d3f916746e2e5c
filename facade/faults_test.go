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
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/internal/contract"
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
	mends           bool // by another token, if there are any
	// net/http repeats what may be repeated by itself, if the server closes a
	// connection that was used before without a byte of an answer.
	moreBelow bool
	large     bool // 10 MiB are read, for which the race detector takes a second
	http1     bool // bytes that only HTTP/1 has
	status    int  // of a fault that is no more than that
	success   bool // the status is 2xx, which is sufficient for a delete
}

const faultAttempts = 3

const own, standard = "X-RateLimit-Retry-After", "Retry-After"

// raw writes an answer byte by byte and closes the connection.
func raw(answer string) http.HandlerFunc {
	b := []byte(answer)
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = conn.Write(b)
		_ = conn.Close()
	}
}

func reset(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.ProtoMajor == 2 {
		panic(http.ErrAbortHandler) // resets the stream
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// sized announces a length, writes body and closes the connection, or resets the
// stream if body is shorter.
func sized(status, length int, body string) http.HandlerFunc {
	http1 := raw(fmt.Sprintf("HTTP/1.1 %d No\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, length, body))
	return func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 {
			http1(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(length))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		if len(body) < length {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}
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

// bomb is a little more than a success may have, zipped.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(make([]byte, 11<<20))
	_ = z.Close()
	return b.Bytes()
})

// switching makes another protocol of the connection, though nobody asked for one.
func switching(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n")
	_, _ = io.Copy(io.Discard, conn) // until the client closes it
	_ = conn.Close()
}

// successOf is the status of a success, other than 204, which has no body to be wrong.
func successOf(r *http.Request) int {
	if r.Method == http.MethodPost {
		return http.StatusCreated
	}
	return http.StatusOK
}

func statusFault(status int) fault {
	f := fault{status: status, name: strconv.Itoa(status), answer: answer(status, `{"title":"No."}`), want: sentinelOf(status)}
	f.unknown = status == http.StatusRequestTimeout || status >= 500 || status < 400
	f.undone = status == http.StatusTooManyRequests
	f.repeat = status == http.StatusRequestTimeout || status >= 500 || f.undone
	f.mends = status == http.StatusUnauthorized
	return f
}

func sentinelOf(status int) error {
	switch {
	case status < 400:
		return facade.ErrUnexpectedResponse
	case status >= 500:
		return facade.ErrServer
	}
	sentinel, ok := map[int]error{
		400: facade.ErrBadRequest, 401: facade.ErrUnauthorized, 403: facade.ErrForbidden, 404: facade.ErrNotFound, 429: facade.ErrTooManyRequests,
	}[status]
	if !ok {
		return errAny
	}
	return sentinel
}

// bodyFaults are bodies that nobody can use under each status.
func bodyFaults() []fault {
	var list []fault
	for _, status := range []int{200, 201, 202, 204, 206, 300, 302, 304, 308, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 425, 429, 500, 502, 503, 504, 599} {
		for name, answer := range map[string]http.HandlerFunc{"HTML": sized(status, 6, "<html>"), "empty": sized(status, 0, ""), "cut": sized(status, 1000, "{")} {
			if name != "empty" && (status == http.StatusNoContent || status == http.StatusNotModified) {
				continue // they have none
			}
			f := statusFault(status)
			f.name += ", " + name
			f.answer = answer
			f.unknown = f.unknown || status < 300
			f.repeat = f.repeat || status < 300 && name == "cut"
			list = append(list, f)
		}
	}
	return list
}

func redirectFault(status int, to string) fault {
	return fault{name: fmt.Sprintf("%d to %s", status, to), unknown: true, want: facade.ErrUnexpectedResponse, answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	}}
}

func tooMany(header, wait string, repeat bool) fault {
	f := statusFault(http.StatusTooManyRequests)
	f.name, f.repeat = "429, wait "+wait, repeat
	f.answer = answerWith(http.StatusTooManyRequests, `{"title":"Too many requests."}`, header, wait)
	return f
}

func faults() []fault {
	const broken = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	list := []fault{
		{name: "reset after the request", answer: reset, repeat: true, unknown: true, want: errAny, moreBelow: true},
		{name: "closed after the request", answer: raw(""), repeat: true, unknown: true, want: errAny, http1: true, moreBelow: true},
		{name: "closed within the headers", answer: raw("HTTP/1.1 200 OK\r\nContent-"), repeat: true, unknown: true, want: errAny, http1: true},
		{name: "no HTTP", answer: raw("SSH-2.0-OpenSSH_9.9\r\n"), repeat: true, unknown: true, want: errAny, http1: true},
		{name: "closed within the body", success: true, answer: raw(broken + "Content-Length: 1000\r\n\r\n{"), repeat: true, unknown: true, want: io.ErrUnexpectedEOF, http1: true},
		{name: "a chunk that is none", success: true, answer: raw(broken + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"), repeat: true, unknown: true, want: facade.ErrUnexpectedResponse, http1: true},
		{name: "101, and then silence that no timeout ends", answer: switching, unknown: true, want: facade.ErrUnexpectedResponse, http1: true},
		{name: "a length shorter than the body", success: true, answer: raw(broken + "Content-Length: 3\r\n\r\n" + webhookJSON(1)), unknown: true, want: facade.ErrUnexpectedResponse, http1: true},
		{name: "two lengths", answer: raw(broken + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}"), repeat: true, unknown: true, want: errAny, http1: true},
		{name: "2 MiB of 1xx", answer: raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 4<<10)+"\r\n\r\n", 512)), repeat: true, unknown: true, want: errAny, http1: true},
		{name: "a header of 2 MiB", answer: raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2<<20)), repeat: true, unknown: true, want: errAny, http1: true},
		{name: "a success without end", success: true, answer: endless(http.StatusOK), large: true, unknown: true, want: facade.ErrUnexpectedResponse},
		{name: "a refusal without end", answer: endless(http.StatusNotFound), want: facade.ErrNotFound},
		{name: "a failure without end", answer: endless(http.StatusBadGateway), repeat: true, unknown: true, want: facade.ErrServer},
		{name: "gzip that is none", success: true, answer: zipped([]byte("garbage")), repeat: true, unknown: true, want: facade.ErrUnexpectedResponse},
		{name: "gzip that swells", success: true, answer: zipped(bomb()), large: true, unknown: true, want: facade.ErrUnexpectedResponse},
		{name: "HTML", success: true, answer: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(successOf(r))
			_, _ = io.WriteString(w, "<html>")
		}, unknown: true, want: facade.ErrUnexpectedResponse},
		tooMany(own, "0", true), tooMany(own, "", true), tooMany(own, "12.5", true), tooMany(own, "-3", true), tooMany(own, "soon", true),
		tooMany(own, "99999999999999999999", true), tooMany(own, "3600", false),
		tooMany(standard, "Fri, 29 Jan 1999 15:46:25 GMT", true), tooMany(standard, "Sun, 01 Jan 2200 00:00:00 GMT", false),
	}
	for _, status := range []int{400, 401, 403, 404, 405, 408, 409, 413, 422, 425, 500, 502, 503, 504} {
		list = append(list, statusFault(status))
	}
	for _, status := range redirects {
		for _, to := range []string{"/elsewhere", "https://other.example/webhooks", "http://other.example/webhooks"} {
			list = append(list, redirectFault(status, to))
		}
	}
	return list
}

// errAny stands for an error that has no sentinel.
var errAny = errors.New("any")

// overHTTP2 is a way with the key, as "basic" is.
const overHTTP2 = "HTTP 2"

// sharedHTTP2 is an HTTP/2 server for many tests at once, because a TLS handshake
// takes time. Each client has its own handler.
type sharedHTTP2 struct {
	url       string
	transport http.RoundTripper
	handlers  sync.Map // http.HandlerFunc by the name of the test
}

func newSharedHTTP2(t *testing.T) *sharedHTTP2 {
	t.Helper()
	s := new(sharedHTTP2)
	s.url, s.transport = newHTTP2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler, ok := s.handlers.Load(r.Header.Get("X-Test")); ok && r.ProtoMajor == 2 {
			handler.(http.HandlerFunc)(w, r)
		}
	}))
	return s
}

// newClient is newClient for this server.
func (s *sharedHTTP2) newClient(t *testing.T, handler http.HandlerFunc, opts ...facade.Option) *facade.Client {
	t.Helper()
	s.handlers.Store(t.Name(), handler)
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("X-Test", t.Name()) // in a copy that contract made
		return s.transport.RoundTrip(r)
	})
	client, err := facade.NewClient(testKey, append([]facade.Option{
		facade.WithBaseURL(s.url), facade.WithHTTPClient(&http.Client{Transport: contract.Requests(t, counted(t, transport))}), once,
	}, opts...)...)
	require.NoError(t, err)
	return client
}

// faultCell is a fault that an operation meets, by key or token or wherever else.
type faultCell struct {
	fault
	op  operation
	way string
}

// faultCells are all faults with all operations in each of these ways.
func faultCells(ways ...string) []faultCell {
	var cells []faultCell
	for _, op := range operations {
		list := faults()
		if op.name == "create" || op.name == "get" { // nothing but their answers differs in the others
			list = append(list, bodyFaults()...)
		}
		for _, f := range list {
			for _, way := range ways {
				if way != overHTTP2 || !f.http1 && !f.large {
					cells = append(cells, faultCell{f, op, way})
				}
			}
		}
	}
	return cells
}

// countCells logs in the end how many cells there were.
func countCells(t *testing.T) *atomic.Int64 {
	t.Helper()
	cells := new(atomic.Int64)
	t.Cleanup(func() { t.Logf("%d cells", cells.Load()) })
	return cells
}

// Each fault with each operation, with a key, with a token and over HTTP/2, always
// and only once.
func TestFaults(t *testing.T) {
	t.Parallel()
	cells, shared := countCells(t), newSharedHTTP2(t)
	for _, c := range faultCells("basic", "bearer", overHTTP2) {
		t.Run(c.name+"/"+c.op.name+"/"+c.way, func(t *testing.T) {
			t.Parallel()
			cells.Add(1)
			attempts := 1
			switch {
			case c.mends && c.way == "bearer":
				attempts = 2
			case c.repeat && (c.op.name != "create" || c.undone):
				attempts = faultAttempts
			}
			requests, err := meet(t, shared, c, -1)
			if c.success && c.op.name == "delete" {
				require.NoError(t, err)
				assert.Equal(t, 1, requests)
				return
			}
			require.Error(t, err)
			if c.moreBelow && c.op.name != "create" {
				assert.GreaterOrEqual(t, requests, attempts)
			} else {
				assert.Equal(t, attempts, requests)
			}
			assert.Equal(t, attempts, asError(t, err).Attempts)
			if !errors.Is(c.want, errAny) {
				require.ErrorIs(t, err, c.want)
			}
			assert.Equal(t, c.op.name == "create" && c.unknown, errors.Is(err, facade.ErrUnconfirmed), err)

			if attempts == 1 {
				return
			}
			cells.Add(1)
			requests, err = meet(t, shared, c, 1)
			require.NoError(t, err, "it passed")
			assert.Equal(t, 2, requests)
		})
	}
}

// meet lets an operation meet a fault so many times, and returns what came of
// it and how many requests the server saw, exchanges aside.
func meet(t *testing.T, shared *sharedHTTP2, c faultCell, times int64) (int, error) {
	t.Helper()
	var requests atomic.Int64
	var logged syncBuffer
	service := &tokenService{}
	open := newClient
	if c.way == overHTTP2 {
		open = shared.newClient
	}
	client := open(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/auth/") {
			service.ServeHTTP(w, r)
			return
		}
		if n := requests.Add(1); times < 0 || n <= times {
			c.answer(w, r)
			return
		}
		service.ServeHTTP(w, r)
	}, faultOptions(c.way == "bearer", &logged)...)
	start := time.Now()
	err := c.op.call(t.Context(), client)
	assert.Less(t, time.Since(start), 30*time.Second, "nothing waits for its timeout")
	checkQuiet(t, err, &logged)
	return int(requests.Load()), err
}

func faultOptions(tokens bool, log io.Writer) []facade.Option {
	opts := []facade.Option{
		facade.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		facade.WithRetry(facade.RetryPolicy{MaxAttempts: faultAttempts, MinDelay: time.Nanosecond, MaxDelay: time.Second}),
	}
	if tokens {
		opts = append(opts, facade.WithTokenExchange())
	}
	return opts
}

// checkQuiet holds that neither the error, if there is one, nor the log tells a secret.
func checkQuiet(t *testing.T, err error, logged *syncBuffer) {
	t.Helper()
	if err != nil {
		checkText(t, err)
	}
	text := fmt.Sprintln(err) + logged.String()
	assert.Contains(t, text, "apivideo: request")
	for _, secret := range []string{testKey, strings.TrimPrefix(basicKey, "Basic "), "access1", "access2", "refresh1", "refresh2", "sig_sec_"} {
		assert.NotContains(t, text, secret)
	}
}

// Each fault in the exchange of the key and of a refresh token. The request
// itself was never sent then, so that a create is repeated like all else, and
// none is unconfirmed.
func TestFaultsOfTheExchange(t *testing.T) {
	t.Parallel()
	cells := countCells(t)
	for _, c := range faultCells("/auth/api-key", "/auth/refresh") {
		if c.large && c.op.name != "create" && c.op.name != "get" {
			continue // an exchange is read alike, whatever waits for it
		}
		t.Run(c.name+c.way+"/"+c.op.name, func(t *testing.T) {
			t.Parallel()
			cells.Add(1)
			var exchanges, others atomic.Int64
			var logged syncBuffer
			refresh := c.way == "/auth/refresh"
			service := &tokenService{reject: func(token string) bool { return refresh && token == "access1" }}
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == c.way:
					exchanges.Add(1)
					c.answer(w, asGet(r))
					return
				case !strings.HasPrefix(r.URL.Path, "/auth/"):
					others.Add(1)
				}
				service.ServeHTTP(w, r)
			}, faultOptions(true, &logged)...)
			start := time.Now()
			err := c.op.call(t.Context(), client)
			assert.Less(t, time.Since(start), 30*time.Second, "nothing waits for its timeout")
			checkQuiet(t, err, &logged)
			require.NotErrorIs(t, err, facade.ErrUnconfirmed)
			if refresh && !errors.Is(c.want, facade.ErrTooManyRequests) {
				require.NoError(t, err, "the key is as good")
				assert.EqualValues(t, 1, exchanges.Load())
				assert.EqualValues(t, 2, others.Load())
				return
			}
			require.Error(t, err)
			if !errors.Is(c.want, errAny) {
				require.ErrorIs(t, err, c.want)
			}
			attempts := 1
			if c.repeat {
				attempts = faultAttempts
			}
			assert.EqualValues(t, attempts, exchanges.Load())
			if refresh {
				attempts++ // with the rejected token
			}
			assert.Equal(t, attempts, asError(t, err).Attempts)
			if refresh {
				assert.Equal(t, "RefreshAccessToken", asError(t, err).Op, "the key isn't used to get around a 429")
				assert.EqualValues(t, 1, others.Load())
			} else {
				assert.Equal(t, "CreateAccessToken", asError(t, err).Op)
				assert.Zero(t, others.Load(), "nothing goes out without a token")
			}
		})
	}
}

// asGet is a request that is answered with 200, as an exchange is, where a create
// would be answered with 201.
func asGet(r *http.Request) *http.Request {
	get := *r
	get.Method = http.MethodGet
	return &get
}

// Faults before a request is read. Unless a byte of it was written, all
// operations are repeated then, and no create is unconfirmed.
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
	resetting := httptest.NewUnstartedServer(http.NotFoundHandler())
	resetting.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateActive { // bytes have come, so that the dial succeeded
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}
	resetting.Start()
	t.Cleanup(resetting.Close)
	trusted := secure.Client().Transport.(*http.Transport).TLSClientConfig
	port := func(s *httptest.Server) string { return s.URL[strings.LastIndexByte(s.URL, ':'):] }
	cells := countCells(t)
	for _, f := range []struct {
		name, url, want string
		written         bool
		tls             *tls.Config
		dial            func(context.Context, string, string) (net.Conn, error)
	}{
		{name: "connection refused", url: closed.URL, want: "refused"},
		{name: "name not resolved", url: "https://api.invalid", want: "no such host", dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "api.invalid", IsNotFound: true}
		}},
		{name: "no TLS on the other side", url: "https://127.0.0.1" + port(plain), want: "HTTP response to HTTPS client"},
		{name: "a reset in the handshake", url: "https://127.0.0.1" + port(resetting), want: "https://127.0.0.1"},
		{name: "a certificate nobody vouches for", url: secure.URL, want: "unknown authority"},
		{name: "a certificate of another host", url: "https://localhost" + port(secure), want: "not localhost", tls: trusted},
		{name: "a reset while the request is read", url: resetting.URL, want: resetting.URL, written: true},
	} {
		for _, op := range operations {
			for _, auth := range []string{"basic", "bearer"} {
				t.Run(f.name+"/"+op.name+"/"+auth, func(t *testing.T) {
					t.Parallel()
					cells.Add(1)
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
					client, err := facade.NewClient(testKey, append(faultOptions(auth == "bearer", &logged),
						facade.WithBaseURL(f.url), facade.WithHTTPClient(&http.Client{Transport: counted(t, transport)}))...)
					require.NoError(t, err)
					err = op.call(t.Context(), client)
					require.ErrorContains(t, err, f.want)
					attempts, unconfirmed := faultAttempts, false
					if f.written && op.name == "create" && auth == "basic" { // else it was an exchange that was written
						attempts, unconfirmed = 1, true
					}
					assert.Equal(t, unconfirmed, errors.Is(err, facade.ErrUnconfirmed))
					assert.EqualValues(t, attempts, dials.Load())
					assert.Equal(t, attempts, asError(t, err).Attempts)
					checkQuiet(t, err, &logged)
				})
			}
		}
	}
}

// A server that sends less than a timeout can wait for, byte by byte.
func TestFaultsOfTime(t *testing.T) {
	t.Parallel()
	const timeout = 30 * time.Second
	cells := countCells(t)
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
			for _, way := range []string{"basic", "bearer", "/auth/api-key", "/auth/refresh"} {
				if f.name == "a body that trickles" && op.name == "delete" && way[0] != '/' {
					continue // the status is sufficient for a delete
				}
				t.Run(f.name+"/"+op.name+"/"+way, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						cells.Add(1)
						var logged syncBuffer
						service := &tokenService{reject: func(token string) bool { return way == "/auth/refresh" && token == "access1" }}
						client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
							switch exchange := strings.HasPrefix(r.URL.Path, "/auth/"); {
							case r.URL.Path == way:
								_, _ = io.Copy(io.Discard, r.Body)
								f.trickle(w, asGet(r))
							case exchange || way[0] == '/':
								service.ServeHTTP(w, r)
							default:
								_, _ = io.Copy(io.Discard, r.Body)
								f.trickle(w, r)
							}
						}, append(faultOptions(way != "basic", &logged), facade.WithTimeout(timeout))...)
						start := time.Now()
						err := op.call(t.Context(), client)
						checkQuiet(t, err, &logged)
						attempts, unconfirmed := faultAttempts, false
						switch {
						case way == "/auth/refresh":
							require.NoError(t, err, "the key is as good")
							attempts = 1
						case op.name == "create" && way[0] != '/':
							attempts, unconfirmed = 1, true
							fallthrough
						default:
							require.ErrorIs(t, err, context.DeadlineExceeded)
							assert.Equal(t, attempts, asError(t, err).Attempts)
						}
						assert.Equal(t, unconfirmed, errors.Is(err, facade.ErrUnconfirmed))
						assert.InDelta(t, time.Duration(attempts)*timeout, time.Since(start), float64(time.Millisecond))
						<-time.After(2 * time.Second) // the server notices
					})
				})
			}
		}
	}
}

// Each form of the wait that a 429 asks for, in time that is exact.
func TestFaultsThatAskToWait(t *testing.T) {
	t.Parallel()
	const jitter = 100 * time.Millisecond // and that of the first wait which nobody prescribes
	cells := countCells(t)
	for _, wait := range []struct {
		name, header, value string
		low                 time.Duration // -1: too long to be waited for
	}{
		{"zero", own, "0", 0},
		{"seconds", own, "20", 20 * time.Second},
		{"seconds, as a proxy asks", standard, "20", 20 * time.Second},
		{"an hour", own, "3600", -1},
		{"negative", own, "-3", 0},
		{"a fraction", own, "12.5", 0},
		{"garbage", own, "soon", 0},
		{"absent", "X-Other", "", 0},
		{"beyond 64 bits", own, "99999999999999999999", 0},
		{"a date in the past", standard, "Fri, 29 Jan 1999 15:46:25 GMT", 0},
		{"a date in the future, for bubbles begin in 2000", standard, "Sat, 01 Jan 2000 00:00:50 GMT", 50 * time.Second},
		{"a date that is far", standard, "Sun, 01 Jan 2200 00:00:00 GMT", -1},
	} {
		for _, op := range operations {
			for _, way := range []string{"basic", "bearer", "exchange"} {
				for _, times := range []int{1, faultAttempts} {
					t.Run(fmt.Sprintf("%s/%s/%s/%d", wait.name, op.name, way, times), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							cells.Add(1)
							var logged syncBuffer
							service, refusals := &tokenService{}, 0
							client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
								if strings.HasPrefix(r.URL.Path, "/auth/") == (way == "exchange") && refusals < times {
									refusals++
									answerWith(http.StatusTooManyRequests, "", wait.header, wait.value)(w, r)
									return
								}
								service.ServeHTTP(w, r)
							}, append(faultOptions(way != "basic", &logged), facade.WithRetry(facade.RetryPolicy{MaxAttempts: faultAttempts, MinDelay: jitter}))...)
							start := time.Now()
							err := op.call(t.Context(), client)
							took := time.Since(start)
							checkQuiet(t, err, &logged)
							require.NotErrorIs(t, err, facade.ErrUnconfirmed)
							if wait.low < 0 {
								require.ErrorIs(t, err, facade.ErrTooManyRequests)
								assert.Zero(t, took)
								assert.Equal(t, 1, refusals)
								return
							}
							assert.Equal(t, times, refusals)
							assert.GreaterOrEqual(t, took, wait.low)
							if times == 1 {
								require.NoError(t, err)
								assert.LessOrEqual(t, took, wait.low*11/10+jitter)
							} else {
								require.ErrorIs(t, err, facade.ErrTooManyRequests)
								assert.LessOrEqual(t, took, 2*(wait.low*11/10)+3*jitter)
							}
						})
					})
				}
			}
		}
	}
}

// The caller gives up, in each phase of a call.
func TestFaultsOfTheCaller(t *testing.T) {
	t.Parallel()
	trailing := func(start string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(conn, start)
			_, _ = io.Copy(io.Discard, conn) // until the caller leaves
			_ = conn.Close()
		}
	}
	cells := countCells(t)
	for _, phase := range []struct {
		name    string
		after   time.Duration
		written bool
		dial    func(context.Context) (net.Conn, error)
		answer  http.HandlerFunc
		tokens  time.Duration // how long an exchange takes
	}{
		{name: "before the call"},
		{name: "while dialing", after: time.Second, dial: func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}},
		{name: "while waiting for a token", after: time.Second, tokens: time.Minute},
		{name: "while the headers are written", after: time.Second, dial: func(context.Context) (net.Conn, error) {
			conn, _ := net.Pipe()
			return conn, nil
		}},
		{name: "after the request", after: time.Second, written: true, answer: trailing("")},
		{name: "within the headers", after: time.Second, written: true, answer: trailing("HTTP/1.1 200 OK\r\nContent-")},
		{name: "within the body", after: time.Second, written: true, answer: trailing("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")},
		{name: "in the wait between attempts", after: time.Second, answer: answerWith(http.StatusTooManyRequests, "", standard, "30")},
	} {
		for _, op := range operations {
			for _, auth := range []string{"basic", "bearer"} {
				if phase.tokens > 0 && auth == "basic" || phase.name == "within the body" && op.name == "delete" {
					continue // the status is sufficient for a delete
				}
				t.Run(phase.name+"/"+op.name+"/"+auth, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						cells.Add(1)
						var armed atomic.Bool
						var requests atomic.Int64
						var logged syncBuffer
						service := &tokenService{delay: phase.tokens}
						transport := newBubbleTransport(t, func(w http.ResponseWriter, r *http.Request) {
							if !armed.Load() || strings.HasPrefix(r.URL.Path, "/auth/") {
								service.ServeHTTP(w, r)
								return
							}
							requests.Add(1)
							phase.answer(w, r)
						})
						dial := transport.DialContext
						transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
							if armed.Load() && phase.dial != nil {
								return phase.dial(ctx)
							}
							return dial(ctx, network, address)
						}
						client, err := facade.NewClient(testKey, append(faultOptions(auth == "bearer", &logged), facade.WithBaseURL("http://localhost"),
							facade.WithRetry(facade.RetryPolicy{}), facade.WithHTTPClient(&http.Client{Transport: counted(t, transport)}))...)
						require.NoError(t, err)
						if auth == "bearer" && phase.tokens == 0 {
							require.NoError(t, getOne(t.Context(), client)) // so that there is a token
							synctest.Wait()
							transport.CloseIdleConnections()
						}
						armed.Store(true)

						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						if phase.after == 0 {
							cancel()
						}
						start := time.Now()
						time.AfterFunc(phase.after, cancel)
						err = op.call(ctx, client)
						assert.Equal(t, phase.after, time.Since(start), "at that very moment")
						require.ErrorIs(t, err, context.Canceled)
						assert.Equal(t, phase.written && op.name == "create", errors.Is(err, facade.ErrUnconfirmed), err)
						checkQuiet(t, err, &logged)
						<-time.After(2 * time.Minute)
						if phase.answer != nil {
							assert.EqualValues(t, 1, requests.Load(), "none comes later")
						} else {
							assert.Zero(t, requests.Load())
						}
					})
				})
			}
		}
	}
}
