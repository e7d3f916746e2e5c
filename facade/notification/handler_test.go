package notification_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
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
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// fakeDedup is a Deduplicator whose Done and Forget call record with the new state.
type fakeDedup struct {
	begin  func(ctx context.Context, key, owner string, ttl time.Duration) (notification.State, error)
	record func(ctx context.Context, state notification.State) error
}

func (d fakeDedup) Begin(ctx context.Context, key, owner string, ttl time.Duration) (notification.State, error) {
	return d.begin(ctx, key, owner, ttl)
}

func (d fakeDedup) Done(ctx context.Context, _, _ string) error {
	return d.record(ctx, notification.StateHandled)
}

func (d fakeDedup) Forget(ctx context.Context, _, _ string) error {
	return d.record(ctx, notification.StateNew)
}

// delivery is a request to a handler.
type delivery struct {
	method string                    // empty: POST
	header http.Header               // nil: of the vector
	body   string                    // empty: of the vector
	source notification.SecretSource // nil: with the secret of the vector
	dedup  notification.Deduplicator // nil: in memory
	handle func() error              // nil: must not be called
}

// nilError is an error whose method panics for a nil pointer.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func TestNewHandler_responses(t *testing.T) {
	t.Parallel()
	returns := func(err error) func() error { return func() error { return err } }
	panics := func(value any) func() error { return func() error { panic(value) } }
	source := func(err error) notification.SecretSource {
		return sourceFunc(func(context.Context, string) ([]facade.Secret, error) { return nil, err })
	}
	begin := func(state notification.State, err error, record func() error) fakeDedup {
		return fakeDedup{
			func(context.Context, string, string, time.Duration) (notification.State, error) { return state, err },
			func(context.Context, notification.State) error { return record() },
		}
	}
	accepts, fails, long := returns(nil), returns(errHandling), strings.Repeat("é", 2000)
	isNew, inProgress, handled := notification.StateNew, notification.StateInProgress, notification.StateHandled
	for name, test := range map[string]struct {
		delivery
		status int
		level  string // of the log line
		want   string // part of the log line
	}{
		"valid":           {delivery{handle: accepts}, 202, "", ""},
		"GET":             {delivery{method: "GET"}, 405, "INFO", "the method is not POST"},
		"lower-case post": {delivery{method: "post"}, 405, "INFO", "the method is not POST"},
		"forgery":         {delivery{header: signedHeader("w", "{}", secret)}, 401, "INFO", `"webhook_id":"w","reason":`},
		"truncated":       {delivery{body: "{"}, 401, "INFO", "bad signature: it matches no secret (secrets: 1, bytes: 1)"},
		"too large":       {delivery{body: strings.Repeat("x", 1<<20+1)}, 413, "INFO", "the limit is 1048576"},
		"malformed":       {delivery{header: signedHeader("w", "5", secret), body: "5"}, 400, "WARN", "malformed"},
		"long ID":         {delivery{header: http.Header{"X-Api-Video-Webhookid": {"\x1b" + long}}}, 401, "INFO", `" ` + long[:198] + `…"`},
		"no secret":       {delivery{source: source(nil)}, 401, "INFO", "no signature secret"},
		"source fails":    {delivery{source: source(errSource)}, 503, "ERROR", "the vault is sealed"},
		"long error":      {delivery{handle: returns(errors.New("\n" + long))}, 500, "ERROR", `" ` + long[:1998] + `…"`},
		"ErrUnavailable":  {delivery{handle: returns(notification.ErrUnavailable)}, 503, "ERROR", "unavailable"},
		"ErrBadSignature": {delivery{handle: returns(notification.ErrBadSignature)}, 500, "ERROR", "bad signature"},
		"nil pointer":     {delivery{handle: returns((*nilError)(nil))}, 500, "ERROR", `"<nil>"`},
		"panic, error":    {delivery{handle: panics(errHandling)}, 500, "ERROR", "panic: handling failed"},
		"panic, slice":    {delivery{handle: panics([]int{1})}, 500, "ERROR", "panic: [1]"},
		"StateHandled":    {delivery{dedup: begin(handled, nil, nil)}, 202, "INFO", "a duplicate of a handled notification"},
		"StateInProgress": {delivery{dedup: begin(inProgress, nil, nil)}, 503, "INFO", "a duplicate of a notification in progress"},
		"state 0":         {delivery{dedup: begin(0, nil, nil)}, 503, "ERROR", "the invalid state 0"},
		"state 99":        {delivery{dedup: begin(99, nil, nil)}, 503, "ERROR", "the invalid state 99"},
		"Begin fails":     {delivery{dedup: begin(0, errSource, nil)}, 503, "ERROR", "the deduplicator failed: the vault"},
		"Done fails":      {delivery{dedup: begin(isNew, nil, fails), handle: accepts}, 202, "ERROR", "did not record the outcome: handling"},
		"Forget fails":    {delivery{dedup: begin(isNew, nil, fails), handle: returns(errSource)}, 500, "ERROR", "sealed the deduplicator did"},
		"panic, Done":     {delivery{dedup: begin(isNew, nil, panics("text")), handle: accepts}, 500, "ERROR", "panic: text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, body := cmp.Or(test.method, http.MethodPost), cmp.Or(test.body, vectorBody)
			r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
			if r.Header = test.header; test.header == nil {
				r.Header = vectorHeader()
			}
			memory, called := notification.NewMemoryDeduplicator(time.Hour, 10), false
			handle := func(ctx context.Context, n *notification.Notification) error {
				called = true
				assert.True(t, ctx == r.Context() && n.WebhookID == webhookID)
				return test.handle()
			}
			logger, log := newLog(t)
			w := httptest.NewRecorder()
			notification.NewHandler(verifierWith(t, cmp.Or(test.source, notification.StaticSecrets(secret))), handle,
				notification.WithHandlerLogger(logger),
				notification.WithDeduplicator(cmp.Or[notification.Deduplicator](test.dedup, memory)),
			).ServeHTTP(w, r)

			assert.Equal(t, test.handle != nil, called)
			assert.Equal(t, test.status, w.Code)
			assert.Equal(t, http.StatusText(test.status)+"\n", w.Body.String())
			header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}}
			if test.status == http.StatusMethodNotAllowed {
				header["Allow"] = []string{"POST"}
			}
			assert.Equal(t, header, w.Header())
			if test.level == "" {
				assert.Empty(t, log.String())
				return
			}
			assert.Zero(t, notification.Entries(memory), "the claim was removed")
			line, stack, _ := strings.Cut(log.String(), `,"stack"`)
			assert.Contains(t, line, fmt.Sprintf(`"level":%q,"msg":"apivideo: notification response"`, test.level))
			assert.Contains(t, line, fmt.Sprintf(`"status":%d,"webhook_id":"`, test.status))
			assert.Contains(t, line, test.want)
			assert.Equal(t, 1, strings.Count(log.String(), "\n"))
			assert.Equal(t, strings.HasPrefix(name, "panic"), strings.Contains(stack, "TestNewHandler_responses"))
		})
	}
}

// http.ErrAbortHandler and runtime.Goexit end the goroutine of the request.
func TestNewHandler_abort(t *testing.T) {
	t.Parallel()
	for want, end := range map[any]func(){http.ErrAbortHandler: func() { panic(http.ErrAbortHandler) }, nil: runtime.Goexit} {
		logger, log := newLog(t)
		d := notification.NewMemoryDeduplicator(time.Hour, 10)
		handler := notification.NewHandler(newVerifier(t), func(context.Context, *notification.Notification) error {
			end()
			return nil
		}, notification.WithHandlerLogger(logger), notification.WithDeduplicator(d))
		var request sync.WaitGroup
		request.Go(func() {
			defer func() { assert.Equal(t, want, recover()) }()
			deliver(handler, vectorHeader(), vectorBody)
		})
		request.Wait()
		assert.Zero(t, notification.Entries(d), "the claim was removed")
		assert.Empty(t, log.String())
	}
}

// The client receives the response before it has sent the whole body.
func TestNewHandler_endlessBodyOverTCP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(notification.NewHandler(newVerifier(t), accept))
	t.Cleanup(server.Close)
	const size = 64 << 20
	for head, chunk := range map[string]string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n", size): strings.Repeat("x", 1<<16),
		"Transfer-Encoding: chunked\r\n\r\n":            "10000\r\n" + strings.Repeat("x", 1<<16) + "\r\n",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\n"+head)
		require.NoError(t, err)
		sent := 0
		var sender sync.WaitGroup
		sender.Go(func() {
			for err := error(nil); err == nil && sent < size; sent += len(chunk) {
				_, err = io.WriteString(conn, chunk)
			}
		})
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
		assert.True(t, resp.Close, "the connection is closed")
		require.NoError(t, resp.Body.Close())
		require.NoError(t, conn.Close())
		sender.Wait()
		assert.Less(t, sent, size)
	}
}

// A request ends during a call of the deduplicator or of the function, and is delivered
// again. A canceled call of the deduplicator would lose the event or cause a duplicate.
func TestWithDeduplicator_canceledRequest(t *testing.T) {
	t.Parallel()
	for _, end := range []time.Duration{time.Second / 2, 3 * time.Second / 2} {
		for _, functionFails := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				state, calls := notification.StateNew, 0
				d := fakeDedup{
					begin: func(ctx context.Context, _, _ string, _ time.Duration) (notification.State, error) {
						<-time.After(time.Second)
						return state, ctx.Err()
					},
					record: func(ctx context.Context, after notification.State) error {
						state = after
						return ctx.Err()
					},
				}
				logger, log := newLog(t)
				handler := notification.NewHandler(newVerifier(t), func(ctx context.Context, _ *notification.Notification) error {
					calls++
					<-time.After(time.Second)
					if functionFails {
						return ctx.Err()
					}
					return nil
				}, notification.WithDeduplicator(d), notification.WithHandlerLogger(logger))
				ctx, cancel := context.WithTimeout(t.Context(), end)
				defer cancel()
				r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(vectorBody))
				r.Header = vectorHeader()
				handler.ServeHTTP(httptest.NewRecorder(), r)
				assert.Equal(t, http.StatusAccepted, deliver(handler, vectorHeader(), vectorBody).Code)
				assert.Equal(t, functionFails, calls == 2)
				assert.NotContains(t, log.String(), "the deduplicator")
			})
		}
	}
}

// The client caused the failure, so the level is info.
func TestNewHandler_canceledBeforeCall(t *testing.T) {
	t.Parallel()
	logger, log := newLog(t)
	source := sourceFunc(func(ctx context.Context, _ string) ([]facade.Secret, error) { return nil, ctx.Err() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(vectorBody))
	r.Header = vectorHeader()
	notification.NewHandler(verifierWith(t, source), accept, notification.WithHandlerLogger(logger)).
		ServeHTTP(httptest.NewRecorder(), r)
	assert.Contains(t, log.String(), `"level":"INFO"`)
	assert.Contains(t, log.String(), `"status":503`)
}

func TestWithDeduplicator_arguments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, err := notification.Decode(webhookID, []byte(vectorBody))
		require.NoError(t, err)
		owners := make(map[string]bool)
		d := fakeDedup{begin: func(ctx context.Context, key, owner string, ttl time.Duration) (notification.State, error) {
			assert.Equal(t, n.ID(), key)
			assert.Equal(t, 5*time.Second, ttl)
			assert.Regexp(t, "^[A-Z2-7]{26}$", owner)
			owners[owner] = true
			<-ctx.Done()
			return 0, ctx.Err()
		}}
		handler := notification.NewHandler(newVerifier(t), accept, notification.WithDeduplicator(d))
		start := time.Now()
		for range 100 {
			assert.Equal(t, http.StatusServiceUnavailable, deliver(handler, vectorHeader(), vectorBody).Code)
		}
		assert.Equal(t, 100*5*time.Second, time.Since(start), "the context expires after 5 seconds")
		assert.Len(t, owners, 100, "each call has its own owner")
	})
}

// The service delivers each event twice at the same time and retries. The first call for
// every fourth event fails.
func TestWithDeduplicator_everyEventOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls [100]atomic.Int64 // by event
		handler := notification.NewHandler(newVerifier(t), func(_ context.Context, n *notification.Notification) error {
			<-time.After(time.Second)
			i, err := strconv.Atoi(n.Event.(*notification.VideoSummaryGenerated).VideoID)
			if calls[i].Add(1) == 1 && i%4 == 0 {
				return errHandling
			}
			return err
		}, notification.WithDeduplicator(notification.NewMemoryDeduplicator(time.Hour, len(calls))))
		var all sync.WaitGroup
		for i := range 2 * len(calls) {
			all.Go(func() {
				body := fmt.Sprintf(`{"type":"video.summary.generated","videoId":"%d"}`, i%len(calls))
				var statuses []int
				for range 4 {
					statuses = append(statuses, deliver(handler, signedHeader(webhookID, body, secret), body).Code)
					<-time.After(3 * time.Second)
				}
				assert.Equal(t, http.StatusAccepted, statuses[3])
			})
		}
		all.Wait()
		for i := range calls {
			assert.Equal(t, i%4 == 0, calls[i].Load() == 2, "event %d", i)
			assert.LessOrEqual(t, calls[i].Load(), int64(2))
		}
	})
}

func TestNilArguments_panic(t *testing.T) {
	t.Parallel()
	v := newVerifier(t)
	for name, call := range map[string]func(){
		"NewHandler, verifier": func() { notification.NewHandler(nil, accept) },
		"NewHandler, function": func() { notification.NewHandler(v, nil) },
		"NewHandler, option":   func() { notification.NewHandler(v, accept, nil) },
		"WithHandlerLogger":    func() { notification.WithHandlerLogger(nil) },
		"WithDeduplicator":     func() { notification.WithDeduplicator(nil) },
		"ClientSecrets":        func() { notification.ClientSecrets(nil) },
		"memory without age":   func() { notification.NewMemoryDeduplicator(0, 1) },
		"memory without space": func() { notification.NewMemoryDeduplicator(1, 0) },
	} {
		assert.Panics(t, call, name)
	}
}
