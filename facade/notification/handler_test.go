package notification_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
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

// nilError is an error whose method panics for a nil pointer.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// unclosed is a body that panics if it is closed, because the server closes it.
type unclosed struct{ io.Reader }

func (unclosed) Close() error { panic("the body was closed") }

// delivery is a request to a handler. The zero value is a valid request.
type delivery struct {
	method string                    // empty: POST
	header http.Header               // nil: of the vector
	body   io.Reader                 // nil: of the vector
	length int64                     // 0: unknown
	gone   bool                      // the client has canceled the request
	source notification.SecretSource // nil: with the secret of the vector
	dedup  notification.Deduplicator // nil: in memory
	handle func() error              // nil: must not be called
}

func TestNewHandler_responses(t *testing.T) {
	t.Parallel()
	body := func(text string) io.Reader { return strings.NewReader(text) }
	fails := func(err error) io.Reader { return iotest.ErrReader(err) }
	middleware := http.MaxBytesReader(nil, io.NopCloser(body(vectorBody)), 5)
	returns := func(err error) func() error { return func() error { return err } }
	panics := func(value any) func() error { return func() error { panic(value) } }
	source := func(err error) notification.SecretSource {
		return sourceFunc(func(context.Context, string) ([]facade.Secret, error) { return nil, err })
	}
	panicSource := sourceFunc(func(context.Context, string) ([]facade.Secret, error) { panic("text") })
	begin := func(state notification.State, err error, record func() error) fakeDedup {
		return fakeDedup{
			func(context.Context, string, string, time.Duration) (notification.State, error) { return state, err },
			func(context.Context, notification.State) error { return record() },
		}
	}
	isNew, inProgress, handled := notification.StateNew, notification.StateInProgress, notification.StateHandled
	const noMatch = "bad signature: it matches no secret (secrets: 1, bytes: 195)"
	const unsigned = "unsigned: the X-Api-Video-Signature header is missing or empty"
	const noType = "the body is not a JSON object with a type"
	const empty = "the body is empty; a middleware may have read it before"
	const sealed = "the signature secret is unavailable: the vault is sealed"
	const unrecorded, failed = "the deduplicator did not record the outcome: the vault is sealed", "ERROR handling failed "
	long := strings.Repeat("é", 2000)
	for name, test := range map[string]struct {
		delivery
		status int
		want   string // the level and the reason in the log line
	}{
		"valid":          {delivery{handle: returns(nil)}, 202, ""},
		"exact length":   {delivery{length: 195, handle: returns(nil)}, 202, ""},
		"GET":            {delivery{method: "GET"}, 405, "INFO the method is not POST"},
		"PUT":            {delivery{method: "PUT"}, 405, "INFO the method is not POST"},
		"HEAD":           {delivery{method: "HEAD"}, 405, "INFO the method is not POST"},
		"OPTIONS":        {delivery{method: "OPTIONS"}, 405, "INFO the method is not POST"},
		"post":           {delivery{method: "post"}, 405, "INFO the method is not POST"},
		"forgery":        {delivery{header: signedHeader("w", "{}", secret)}, 401, "INFO " + noMatch},
		"long ID":        {delivery{header: http.Header{"X-Api-Video-Webhookid": {"\x1b" + long}}}, 401, "INFO " + unsigned},
		"malformed":      {delivery{header: signedHeader("w", "5", secret), body: body("5")}, 400, "WARN malformed notification: " + noType},
		"196 bytes":      {delivery{body: body(vectorBody + " ")}, 413, "INFO notification too large: more than 195 bytes"},
		"length of 196":  {delivery{body: fails(errSource), length: 196}, 413, "INFO notification too large: 196 bytes, the limit is 195"},
		"middleware":     {delivery{body: middleware}, 413, "INFO notification too large: more than 5 bytes"},
		"incomplete":     {delivery{body: fails(io.ErrUnexpectedEOF)}, 400, "INFO the body is incomplete: unexpected EOF"},
		"body was read":  {delivery{body: body("")}, 401, "INFO bad signature: " + empty},
		"body is closed": {delivery{body: fails(http.ErrBodyReadAfterClose)}, 500, "ERROR a middleware has read and closed the body"},
		"no secret":      {delivery{source: source(nil)}, 401, "INFO no signature secret for this webhook"},
		"source fails":   {delivery{source: source(errSource)}, 503, "ERROR " + sealed},
		"panic, source":  {delivery{source: panicSource}, 500, "ERROR panic: text"},
		"client is gone": {delivery{source: source(errSource), gone: true}, 503, "INFO " + sealed},

		"long error":      {delivery{handle: returns(errors.New("\n" + long))}, 500, "ERROR  " + long[:1998] + "…"},
		"ErrUnavailable":  {delivery{handle: returns(notification.ErrUnavailable)}, 503, "ERROR unavailable"},
		"ErrBadSignature": {delivery{handle: returns(notification.ErrBadSignature)}, 500, "ERROR bad signature"},
		"nil pointer":     {delivery{handle: returns((*nilError)(nil))}, 500, "ERROR <nil>"},
		"panic, error":    {delivery{handle: panics(errHandling)}, 500, "ERROR panic: handling failed"},
		"panic, slice":    {delivery{handle: panics([]int{1})}, 500, "ERROR panic: [1]"},

		"StateHandled":    {delivery{dedup: begin(handled, nil, nil)}, 202, "INFO a duplicate of a handled notification"},
		"StateInProgress": {delivery{dedup: begin(inProgress, nil, nil)}, 503, "INFO a duplicate of a notification in progress"},
		"state 0":         {delivery{dedup: begin(0, nil, nil)}, 503, "ERROR the deduplicator returned the invalid state 0"},
		"state 99":        {delivery{dedup: begin(99, nil, nil)}, 503, "ERROR the deduplicator returned the invalid state 99"},
		"Begin fails":     {delivery{dedup: begin(0, errSource, nil)}, 503, "ERROR the deduplicator failed: the vault is sealed"},
		"Done fails":      {delivery{dedup: begin(isNew, nil, returns(errSource)), handle: returns(nil)}, 202, "ERROR " + unrecorded},
		"Forget fails":    {delivery{dedup: begin(isNew, nil, returns(errSource)), handle: returns(errHandling)}, 500, failed + unrecorded},
		"panic, Done":     {delivery{dedup: begin(isNew, nil, panics("text")), handle: returns(nil)}, 500, "ERROR panic: text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.gone {
				cancel()
			}
			r := httptest.NewRequestWithContext(ctx, cmp.Or(test.method, http.MethodPost), "/", nil)
			r.Body, r.ContentLength = unclosed{cmp.Or(test.body, body(vectorBody))}, cmp.Or(test.length, -1)
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
			source := cmp.Or(test.source, notification.StaticSecrets(secret))
			verifier := verifierWith(t, source, notification.WithMaxBody(1), notification.WithMaxBody(195)) // the later counts
			w := httptest.NewRecorder()
			notification.NewHandler(verifier, handle, notification.WithHandlerLogger(logger),
				notification.WithDeduplicator(cmp.Or[notification.Deduplicator](test.dedup, memory))).ServeHTTP(w, r)

			assert.Equal(t, test.handle != nil, called)
			assert.Equal(t, test.status, w.Code)
			assert.Equal(t, http.StatusText(test.status)+"\n", w.Body.String())
			header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}}
			if test.status == http.StatusMethodNotAllowed {
				header["Allow"] = []string{"POST"}
			}
			assert.Equal(t, header, w.Header())
			if test.want == "" {
				assert.Empty(t, log.String())
				return
			}
			if test.handle != nil {
				assert.Zero(t, notification.Entries(memory), "the claim was removed")
			}
			var line map[string]any
			require.NoError(t, json.Unmarshal(log.Bytes(), &line))
			reason, stack := fmt.Sprint(line["reason"]), fmt.Sprint(line["stack"])
			assert.Equal(t, test.want, fmt.Sprint(line["level"], " ", strings.TrimPrefix(reason, "apivideo: ")))
			assert.Equal(t, "apivideo: notification response", line["msg"])
			assert.InDelta(t, test.status, line["status"], 0)
			assert.Equal(t, strings.HasPrefix(name, "panic"), strings.Contains(stack, "TestNewHandler_responses"))
			id := r.Header.Get(notification.HeaderWebhookID)
			if name == "long ID" {
				id = " " + long[:198] + "…"
			}
			assert.Equal(t, id, line["webhook_id"])
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
	id := decode(t, vectorBody).ID()
	for _, end := range []time.Duration{time.Second / 2, 3 * time.Second / 2} {
		for _, functionErr := range []error{nil, errHandling} {
			synctest.Test(t, func(t *testing.T) {
				state, owners, calls := notification.StateNew, make(map[string]bool), 0
				checkContext := func(ctx context.Context) {
					deadline, _ := ctx.Deadline()
					assert.Equal(t, 5*time.Second, time.Until(deadline))
				}
				d := fakeDedup{
					func(ctx context.Context, key, owner string, ttl time.Duration) (notification.State, error) {
						checkContext(ctx)
						assert.Equal(t, id, key)
						assert.Equal(t, 5*time.Second, ttl)
						assert.Regexp(t, "^[A-Z2-7]{26}$", owner)
						owners[owner] = true
						<-time.After(time.Second)
						return state, ctx.Err()
					},
					func(ctx context.Context, after notification.State) error {
						checkContext(ctx)
						state = after
						return nil
					},
				}
				handle := func(ctx context.Context, _ *notification.Notification) error {
					<-time.After(time.Second)
					if calls++; calls == 1 {
						assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
						return functionErr
					}
					return nil
				}
				handler := notification.NewHandler(newVerifier(t), handle, notification.WithDeduplicator(d))
				ctx, cancel := context.WithTimeout(t.Context(), end)
				defer cancel()
				r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(vectorBody))
				r.Header = vectorHeader()
				handler.ServeHTTP(httptest.NewRecorder(), r)
				assert.Equal(t, http.StatusAccepted, deliver(handler, vectorHeader(), vectorBody).Code)
				assert.Equal(t, functionErr != nil, calls == 2, "%d calls", calls)
				assert.Len(t, owners, 2, "each call has its own owner")
			})
		}
	}
}

// The service delivers each event twice at the same time, and retries. The first call for an
// event fails.
func TestWithDeduplicator_everyEventOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls sync.Map // by body
		handler := notification.NewHandler(newVerifier(t), func(_ context.Context, n *notification.Notification) error {
			<-time.After(time.Second)
			if _, again := calls.LoadOrStore(string(n.Raw), 1); !again {
				return errHandling
			}
			assert.True(t, calls.CompareAndSwap(string(n.Raw), 1, 2), "the second call is the last")
			return nil
		}, notification.WithDeduplicator(notification.NewMemoryDeduplicator(time.Hour, 100)))
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				body := fmt.Sprintf(`{"type":"video.summary.generated","videoId":"%d"}`, i%100)
				status := 0
				for attempt := 0; attempt < 4 && status != http.StatusAccepted; attempt++ {
					status = deliver(handler, signedHeader(webhookID, body, secret), body).Code
					<-time.After(3 * time.Second)
				}
				assert.Equal(t, http.StatusAccepted, status)
			})
		}
		all.Wait()
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
		"memory, age 0":        func() { notification.NewMemoryDeduplicator(0, 1) },
		"memory, age -1":       func() { notification.NewMemoryDeduplicator(-1, 1) },
		"memory, 0 entries":    func() { notification.NewMemoryDeduplicator(1, 0) },
		"memory, -1 entries":   func() { notification.NewMemoryDeduplicator(1, -1) },
	} {
		func() {
			defer func() { assert.Contains(t, fmt.Sprint(recover()), "apivideo", name) }()
			call()
		}()
	}
}

// The handler calls the function for signed bodies only, and every status is documented.
func FuzzNewHandler(f *testing.F) {
	f.Add("POST", []byte(vectorBody), webhookID, vectorSignature, int64(-1), uint8(1))
	f.Add("GET", []byte(vectorBody), "\n", "", int64(1<<40), uint8(2))
	f.Fuzz(func(t *testing.T, method string, body []byte, id, signature string, length int64, way uint8) {
		right := notification.Sign(body, secret)
		if way%4 == 0 {
			signature = right
		}
		calls := 0
		handle := func(_ context.Context, n *notification.Notification) error {
			calls++
			assert.Equal(t, right, strings.ToLower(signature))
			assert.Equal(t, string(body), string(n.Raw))
			if way%3 == 0 {
				return errHandling
			}
			return nil
		}
		handler := notification.NewHandler(newVerifier(t, notification.WithMaxBody(4096)), handle,
			notification.WithDeduplicator(notification.NewMemoryDeduplicator(time.Hour, 1)))
		for range 2 {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
			r.Method, r.ContentLength = method, length
			r.Header = http.Header{"X-Api-Video-Webhookid": {id}, "X-Api-Video-Signature": {signature}}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			assert.Contains(t, []int{202, 400, 401, 405, 413, 500}, w.Code)
			assert.Equal(t, http.StatusText(w.Code)+"\n", w.Body.String())
			assert.Equal(t, method != http.MethodPost, w.Code == http.StatusMethodNotAllowed)
			assert.False(t, w.Code == http.StatusAccepted && calls != 1, "the second delivery is a duplicate")
		}
	})
}
