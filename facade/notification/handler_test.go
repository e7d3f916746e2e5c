package notification_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// failOnCall returns a function that fails the test.
func failOnCall(t *testing.T) func(context.Context, *notification.Notification) error {
	t.Helper()
	return func(context.Context, *notification.Notification) error {
		t.Error("the function was called")
		return nil
	}
}

func TestNewHandler_accepted(t *testing.T) {
	t.Parallel()
	logger, log := newLog(t)
	trace := new(httptrace.ClientTrace) // a value in the context of the request
	var got *notification.Notification
	handler := notification.NewHandler(newVerifier(t), func(ctx context.Context, n *notification.Notification) error {
		assert.Same(t, trace, httptrace.ContextClientTrace(ctx))
		got = n
		return nil
	}, notification.WithHandlerLogger(logger))
	r := httptest.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodPost, "/", strings.NewReader(vectorBody))
	r.Header = signedHeader(webhookID, vectorBody, secret)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	assert.Equal(t, http.StatusAccepted, w.Code)
	assert.Equal(t, "Accepted\n", w.Body.String())
	require.NotNil(t, got)
	assert.Equal(t, webhookID, got.WebhookID)
	assert.IsType(t, &notification.VideoEncodingQualityCompleted{}, got.Event)
	assert.Empty(t, log.String())
}

func TestNewHandler_rejections(t *testing.T) {
	t.Parallel()
	source := func(secrets []facade.Secret, err error) notification.SecretSource {
		return sourceFunc(func(context.Context, string) ([]facade.Secret, error) { return secrets, err })
	}
	vector := source([]facade.Secret{secret}, nil)
	forged := signedHeader(webhookID, vectorBody, facade.NewSecret("sig_sec_1"))
	twice := signedHeader(webhookID, vectorBody, secret)
	twice.Add(notification.HeaderSignature, vectorSignature)
	unsigned := signedHeader(webhookID, vectorBody, secret)
	unsigned.Del(notification.HeaderSignature)
	tests := map[string]struct {
		source notification.SecretSource
		header http.Header
		body   string
		status int
		text   string
		level  string
		reason string
	}{
		"forgery":       {vector, forged, vectorBody, 401, "Unauthorized", "INFO", "bad signature: it matches no secret (secrets: 1, bytes: 195)"},
		"changed bit":   {vector, signedHeader(webhookID, vectorBody, secret), strings.Replace(vectorBody, "720p", "724p", 1), 401, "Unauthorized", "INFO", "bad signature: it matches no secret"},
		"truncated":     {vector, signedHeader(webhookID, vectorBody, secret), vectorBody[:100], 401, "Unauthorized", "INFO", "(secrets: 1, bytes: 100)"},
		"empty":         {vector, signedHeader(webhookID, vectorBody, secret), "", 401, "Unauthorized", "INFO", "bad signature: the body is empty"},
		"unsigned":      {vector, unsigned, vectorBody, 401, "Unauthorized", "INFO", "unsigned"},
		"two headers":   {vector, twice, vectorBody, 401, "Unauthorized", "INFO", "more than once"},
		"stale":         {vector, signedHeader(webhookID, vectorBody, secret), vectorBody, 401, "Unauthorized", "INFO", "stale"},
		"no secret":     {source(nil, nil), signedHeader(webhookID, vectorBody, secret), vectorBody, 401, "Unauthorized", "INFO", "no signature secret"},
		"signed HTML":   {vector, signedHeader(webhookID, "<html>", secret), "<html>", 400, "Bad Request", "WARN", "malformed notification: invalid character"},
		"sealed secret": {source(nil, errSource), signedHeader(webhookID, vectorBody, secret), vectorBody, 503, "Service Unavailable", "ERROR", "the vault is sealed"},
		"panic":         {sourceFunc(func(context.Context, string) ([]facade.Secret, error) { panic("in the source") }), forged, vectorBody, 500, "Internal Server Error", "ERROR", `"reason":"panic: in the source"`},
		"too large":     {vector, signedHeader(webhookID, vectorBody, secret), strings.Repeat("x", 1<<20+1), 413, "Request Entity Too Large", "INFO", "1048577 bytes, the limit is 1048576"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := notification.NewVerifier(tt.source, notification.WithMaxAge(time.Hour))
			require.NoError(t, err)
			logger, log := newLog(t)
			w := post(notification.NewHandler(v, failOnCall(t), notification.WithHandlerLogger(logger)), tt.header, tt.body)
			assert.Equal(t, tt.status, w.Code)
			assert.Equal(t, tt.text+"\n", w.Body.String())
			assert.Equal(t, http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}}, w.Header())
			line := log.String()
			assert.Contains(t, line, `"level":"`+tt.level+`"`)
			assert.Contains(t, line, fmt.Sprintf(`"status":%d,"webhook_id":%q`, tt.status, webhookID))
			assert.Contains(t, line, tt.reason)
			assert.Equal(t, 1, strings.Count(line, "\n"))
		})
	}
}

func TestNewHandler_method(t *testing.T) {
	t.Parallel()
	logger, log := newLog(t)
	handler := notification.NewHandler(newVerifier(t), failOnCall(t), notification.WithHandlerLogger(logger))
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, "post", "POST2"} {
		r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(vectorBody))
		r.Header = signedHeader(webhookID, vectorBody, secret)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
		assert.Equal(t, []string{"POST"}, w.Header()["Allow"])
	}
	assert.Contains(t, log.String(), "the method is not POST")
}

// The client receives the response before it has sent the whole body.
func TestNewHandler_endlessBodyOverTCP(t *testing.T) {
	t.Parallel()
	server := newServer(t, notification.NewHandler(newVerifier(t), failOnCall(t)))
	for name, head := range map[string]string{
		"64 MiB":  fmt.Sprintf("Content-Length: %d\r\n\r\n", 64<<20),
		"endless": "Transfer-Encoding: chunked\r\n\r\n",
	} {
		conn := dial(t, server)
		_, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\n"+head)
		require.NoError(t, err)
		var sent atomic.Int64
		var sender sync.WaitGroup
		sender.Go(func() {
			chunk := []byte(strings.Repeat("x", 1<<16))
			if name == "endless" {
				chunk = []byte("10000\r\n" + string(chunk) + "\r\n")
			}
			for {
				n, err := conn.Write(chunk)
				sent.Add(int64(n))
				if err != nil || sent.Load() > 64<<20 {
					return
				}
			}
		})
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, name)
		assert.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode, name)
		assert.True(t, resp.Close, "the connection is closed")
		resp.Body.Close()
		conn.Close()
		sender.Wait()
		assert.Less(t, sent.Load(), int64(64<<20), name)
	}
}

func newServer(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

type failingReader struct{ err error }

func (f *failingReader) Read([]byte) (int, error) { return 0, f.err }

func TestWithHandlerLogger_longID(t *testing.T) {
	t.Parallel()
	logger, log := newLog(t)
	handler := notification.NewHandler(newVerifier(t), accept, notification.WithHandlerLogger(logger))
	header := signedHeader("w\x1b[31m"+strings.Repeat("x", 1<<16), vectorBody, facade.NewSecret("another"))
	assert.Equal(t, http.StatusUnauthorized, post(handler, header, vectorBody).Code)
	assert.Less(t, len(log.String()), 500)
	assert.NotContains(t, log.String(), `\u001b`)
}

// nilError is an error with a method that panics for a nil pointer.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func TestNewHandler_failures(t *testing.T) {
	t.Parallel()
	returns := func(err error) func() error { return func() error { return err } }
	panics := func(value any) func() error { return func() error { panic(value) } }
	for name, tt := range map[string]struct {
		handle func() error
		status int
		reason string
	}{
		"long error":       {returns(fmt.Errorf("%w: line\x1b[31m\n%s", errHandling, strings.Repeat("é", 5000))), 500, "handling failed: line"},
		"ErrUnavailable":   {returns(fmt.Errorf("%w: no quorum", notification.ErrUnavailable)), 503, "no quorum"},
		"ErrBadSignature":  {returns(notification.ErrBadSignature), 500, "bad signature"},
		"nil pointer":      {returns((*nilError)(nil)), 500, "<nil>\""},
		"panic, string":    {panics("a word"), 500, "panic: a word"},
		"panic, error":     {panics(errHandling), 500, "panic: handling failed"},
		"panic, int slice": {panics([]int{1}), 500, "panic: [1]"},
		"panic, function":  {panics(func() {}), 500, "panic: 0x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logger, log := newLog(t)
			d := notification.NewMemoryDeduplicator(time.Hour, 10)
			handler := notification.NewHandler(newVerifier(t), func(context.Context, *notification.Notification) error { return tt.handle() },
				notification.WithHandlerLogger(logger), notification.WithDeduplicator(d))
			w := post(handler, signedHeader(webhookID, vectorBody, secret), vectorBody)
			assert.Equal(t, tt.status, w.Code)
			assert.Equal(t, http.StatusText(tt.status)+"\n", w.Body.String())
			line, stack, _ := strings.Cut(log.String(), `,"stack"`)
			assert.Contains(t, line, `"level":"ERROR"`)
			assert.Contains(t, line, fmt.Sprintf(`"status":%d`, tt.status))
			assert.Contains(t, line, tt.reason)
			assert.NotContains(t, line, `\u001b`)
			assert.Less(t, len(line), 3000)
			assert.Equal(t, 1, strings.Count(log.String(), "\n"))
			assert.Equal(t, strings.HasPrefix(name, "panic"), strings.Contains(stack, "TestNewHandler_failures"))
			assert.Zero(t, notification.Entries(d), "the claim was removed")
		})
	}
}

func TestNewHandler_abort(t *testing.T) {
	t.Parallel()
	logger, log := newLog(t)
	d := notification.NewMemoryDeduplicator(time.Hour, 10)
	handler := notification.NewHandler(newVerifier(t), func(context.Context, *notification.Notification) error {
		panic(http.ErrAbortHandler)
	}, notification.WithHandlerLogger(logger), notification.WithDeduplicator(d))
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { post(handler, signedHeader(webhookID, vectorBody, secret), vectorBody) })
	assert.Zero(t, notification.Entries(d))
	assert.Empty(t, log.String())
}

// For example t.FailNow ends the goroutine.
func TestNewHandler_goexit(t *testing.T) {
	t.Parallel()
	d := notification.NewMemoryDeduplicator(time.Hour, 10)
	handler := notification.NewHandler(newVerifier(t), func(context.Context, *notification.Notification) error {
		runtime.Goexit()
		return nil
	}, notification.WithDeduplicator(d))
	var wg sync.WaitGroup
	wg.Go(func() { post(handler, signedHeader(webhookID, vectorBody, secret), vectorBody) })
	wg.Wait()
	assert.Zero(t, notification.Entries(d))
}

// The context of the function is canceled. The deduplicator has another context.
func TestWithDeduplicator_requestCanceledDuringCall(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]error{"the function fails": context.Canceled, "the function finishes": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started, recorded := make(chan struct{}), make(chan string, 1)
			d := &fakeDeduplicator{begin: notification.StateNew, record: func(ctx context.Context, outcome string) error {
				if deadline, ok := ctx.Deadline(); !ok || ctx.Err() != nil || time.Until(deadline) > 5*time.Second {
					outcome = "wrong context"
				}
				recorded <- outcome
				return nil
			}}
			server := newServer(t, notification.NewHandler(newVerifier(t), func(ctx context.Context, _ *notification.Notification) error {
				close(started)
				<-ctx.Done()
				if want == nil {
					return nil
				}
				return ctx.Err()
			}, notification.WithDeduplicator(d)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, strings.NewReader(vectorBody))
			require.NoError(t, err)
			r.Header = signedHeader(webhookID, vectorBody, secret)
			go func() {
				<-started
				cancel()
			}()
			_, err = server.Client().Do(r)
			require.ErrorIs(t, err, context.Canceled)
			if want == nil {
				assert.Equal(t, "done", <-recorded)
			} else {
				assert.Equal(t, "forgotten", <-recorded)
			}
		})
	}
}

// slowDeduplicator claims at once, and returns after a second.
type slowDeduplicator struct{ notification.Deduplicator }

func (d slowDeduplicator) Begin(ctx context.Context, key, owner string, ttl time.Duration) (notification.State, error) {
	state, err := d.Deduplicator.Begin(ctx, key, owner, ttl)
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(time.Second):
		return state, err
	}
}

// A claim without a call would make a duplicate of each redelivery.
func TestWithDeduplicator_requestCanceledDuringBegin(t *testing.T) {
	t.Parallel()
	for name, checksContext := range map[string]bool{"the function checks the context": true, "the function ignores the context": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				handled := 0
				d := slowDeduplicator{notification.NewMemoryDeduplicator(time.Hour, 10)}
				handler := notification.NewHandler(newVerifier(t), func(ctx context.Context, _ *notification.Notification) error {
					if checksContext && ctx.Err() != nil {
						return ctx.Err()
					}
					handled++
					return nil
				}, notification.WithDeduplicator(d))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
				defer cancel()
				r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(vectorBody))
				r.Header = signedHeader(webhookID, vectorBody, secret)
				handler.ServeHTTP(httptest.NewRecorder(), r)
				assert.Equal(t, http.StatusAccepted, post(handler, signedHeader(webhookID, vectorBody, secret), vectorBody).Code)
				assert.Equal(t, 1, handled)
			})
		})
	}
}

func TestWithDeduplicator_beginTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDeduplicator{wait: true}
		handler := notification.NewHandler(newVerifier(t), failOnCall(t), notification.WithDeduplicator(d))
		start := time.Now()
		assert.Equal(t, http.StatusServiceUnavailable, post(handler, signedHeader(webhookID, vectorBody, secret), vectorBody).Code)
		assert.Equal(t, 5*time.Second, time.Since(start))
	})
}

// The client caused the failure, so the level is info.
func TestNewHandler_requestCanceledBeforeCall(t *testing.T) {
	t.Parallel()
	logger, log := newLog(t)
	v, err := notification.NewVerifier(sourceFunc(func(ctx context.Context, _ string) ([]facade.Secret, error) { return nil, ctx.Err() }))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(vectorBody))
	r.Header = signedHeader(webhookID, vectorBody, secret)
	w := httptest.NewRecorder()
	notification.NewHandler(v, failOnCall(t), notification.WithHandlerLogger(logger)).ServeHTTP(w, r)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Contains(t, log.String(), `"level":"INFO"`)
}

// fakeDeduplicator has fixed results.
type fakeDeduplicator struct {
	begin  notification.State
	err    error // of Begin
	wait   bool  // Begin waits for its context
	record func(ctx context.Context, outcome string) error
	key    string
	owners []string
	ttl    time.Duration
}

func (d *fakeDeduplicator) Begin(ctx context.Context, key, owner string, ttl time.Duration) (notification.State, error) {
	d.key, d.owners, d.ttl = key, append(d.owners, owner), ttl
	if d.wait {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return d.begin, d.err
}

func (d *fakeDeduplicator) Done(ctx context.Context, key, owner string) error {
	return d.finish(ctx, key, owner, "done")
}

func (d *fakeDeduplicator) Forget(ctx context.Context, key, owner string) error {
	return d.finish(ctx, key, owner, "forgotten")
}

func (d *fakeDeduplicator) finish(ctx context.Context, key, owner, outcome string) error {
	if key != d.key || owner != d.owners[len(d.owners)-1] {
		return errors.New("another claim")
	}
	return d.record(ctx, outcome)
}

func TestWithDeduplicator_errorsAndStates(t *testing.T) {
	t.Parallel()
	errStore := errors.New("the store is down")
	fails := func(context.Context, string) error { return errStore }
	panics := func(context.Context, string) error { panic("in the deduplicator") }
	tests := map[string]struct {
		dedup  *fakeDeduplicator
		handle error
		status int
		level  string
		reason []string
	}{
		"error of Begin":  {&fakeDeduplicator{err: errStore}, nil, 503, "ERROR", []string{"the deduplicator failed: the store is down"}},
		"state 0":         {&fakeDeduplicator{}, nil, 503, "ERROR", []string{"the invalid state 0"}},
		"state 99":        {&fakeDeduplicator{begin: 99}, nil, 503, "ERROR", []string{"the invalid state 99"}},
		"error of Done":   {&fakeDeduplicator{begin: notification.StateNew, record: fails}, nil, 202, "ERROR", []string{"did not record the outcome: the store is down"}},
		"error of Forget": {&fakeDeduplicator{begin: notification.StateNew, record: fails}, errHandling, 500, "ERROR", []string{"handling failed", "the store is down"}},
		"panic of Done":   {&fakeDeduplicator{begin: notification.StateNew, record: panics}, nil, 500, "ERROR", []string{"panic: in the deduplicator", "fakeDeduplicator).Done"}},
		"StateHandled":    {&fakeDeduplicator{begin: notification.StateHandled}, nil, 202, "INFO", []string{"a duplicate of a handled notification"}},
		"StateInProgress": {&fakeDeduplicator{begin: notification.StateInProgress}, nil, 503, "INFO", []string{"a duplicate of a notification in progress"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logger, log := newLog(t)
			called := false
			handler := notification.NewHandler(newVerifier(t), func(context.Context, *notification.Notification) error {
				called = true
				return tt.handle
			}, notification.WithDeduplicator(tt.dedup), notification.WithHandlerLogger(logger))
			assert.Equal(t, tt.status, post(handler, signedHeader(webhookID, vectorBody, secret), vectorBody).Code)
			assert.Equal(t, tt.dedup.record != nil, called)
			assert.Contains(t, log.String(), `"level":"`+tt.level+`"`)
			for _, reason := range tt.reason {
				assert.Contains(t, log.String(), reason)
			}
		})
	}
}

func TestWithDeduplicator_keyOwnerAndTTL(t *testing.T) {
	t.Parallel()
	d := &fakeDeduplicator{begin: notification.StateHandled}
	handler := notification.NewHandler(newVerifier(t), failOnCall(t), notification.WithDeduplicator(d))
	n, err := notification.Decode(webhookID, []byte(vectorBody))
	require.NoError(t, err)
	for range 100 {
		post(handler, signedHeader(webhookID, vectorBody, secret), vectorBody)
		assert.Equal(t, n.ID(), d.key)
		assert.Equal(t, 5*time.Second, d.ttl)
	}
	slices.Sort(d.owners)
	assert.Len(t, slices.Compact(d.owners), 100, "each call has its own owner")
	for _, owner := range d.owners {
		assert.Regexp(t, "^[A-Z2-7]{26}$", owner)
	}
}

// The service sends and retries concurrent deliveries. A tenth of them are duplicates,
// and the first attempt of every twentieth notification fails.
func TestWithDeduplicator_everyEventOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const deliveries, events, senders = 1000, 900, 500
		var mu sync.Mutex
		attempts, handled := make(map[string]int), make(map[string]int)
		handler := notification.NewHandler(newVerifier(t), func(_ context.Context, n *notification.Notification) error {
			<-time.After(100 * time.Millisecond)
			e := n.Event.(*notification.VideoSummaryGenerated)
			id := e.VideoID
			mu.Lock()
			defer mu.Unlock()
			if attempts[id]++; attempts[id] == 1 && e.SummaryID == "fails" {
				return errHandling
			}
			handled[id]++
			return nil
		}, notification.WithDeduplicator(notification.NewMemoryDeduplicator(time.Hour, 2000)))
		var lost, inProgress atomic.Int64
		var all sync.WaitGroup
		for sender := range senders {
			all.Go(func() {
				var order []int
				for i := sender; i < deliveries; i += senders {
					order = append(order, i)
				}
				if sender%2 == 0 {
					slices.Reverse(order) // for concurrent duplicates
				}
				for _, i := range order {
					summary := "works"
					if i%events%20 == 0 {
						summary = "fails"
					}
					body := fmt.Sprintf(`{"type":"video.summary.generated","emittedAt":%q,"videoId":"vi%d","summaryId":%q}`, vectorTime, i%events, summary)
					header := signedHeader(webhookID, body, secret)
					accepted := false
					for attempt := 0; attempt < 4 && !accepted; attempt++ {
						if attempt > 0 {
							<-time.After(3 * time.Second)
						}
						status := post(handler, header, body).Code
						accepted = status == http.StatusAccepted
						if status == http.StatusServiceUnavailable {
							inProgress.Add(1)
						}
					}
					if !accepted {
						lost.Add(1)
					}
				}
			})
		}
		all.Wait()
		failed := 0
		assert.Positive(t, inProgress.Load())
		for id, n := range handled {
			if n != 1 {
				t.Errorf("%s was handled %d times", id, n)
			}
			if attempts[id] == 2 {
				failed++
			}
		}
		assert.Zero(t, lost.Load())
		assert.Len(t, handled, events)
		assert.Equal(t, events/20, failed)
	})
}

func TestNewHandler_nilArguments(t *testing.T) {
	t.Parallel()
	v := newVerifier(t)
	for name, call := range map[string]func(){
		"verifier":     func() { notification.NewHandler(nil, accept) },
		"function":     func() { notification.NewHandler(v, nil) },
		"option":       func() { notification.NewHandler(v, accept, nil) },
		"logger":       func() { notification.WithHandlerLogger(nil) },
		"deduplicator": func() { notification.WithDeduplicator(nil) },
	} {
		assert.Panics(t, call, name)
	}
}
