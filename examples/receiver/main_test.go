package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// A buffer is safe for concurrent use.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// summary is a recent event, and printed is its line in the output.
var (
	summary = summaryAt(time.Now())
	printed = lineAt(summary.EmittedAt)
)

func summaryAt(t time.Time) *notification.VideoSummaryGenerated {
	return &notification.VideoSummaryGenerated{EmittedAt: t, VideoID: "vi1", SummaryID: "summary1"}
}

func lineAt(t time.Time) string {
	return "  " + t.UTC().Format(time.DateTime) + " video `vi1` has the summary `summary1`\n"
}

func newReceiver(t *testing.T, out io.Writer) (*receiver, *facadetest.Server) {
	t.Helper()
	server := facadetest.NewServer(facadetest.WithDeliveryRetries(0, 0))
	t.Cleanup(server.Close)
	return &receiver{addr: "127.0.0.1:0", out: out, logger: slog.New(slog.DiscardHandler)}, server
}

func TestDemo(t *testing.T) {
	t.Parallel()
	var out buffer
	r := &receiver{out: &out, logger: slog.New(slog.NewTextHandler(&out, nil))}
	require.NoError(t, r.run(t.Context(), ""))

	var lines []string
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSpace(line)
		if _, rest, ok := strings.Cut(line, " video "); ok {
			line = "video " + rest // without the time
		}
		if _, _, ok := strings.Cut(line, "other event"); ok {
			line = "other event"
		}
		lines = append(lines, line)
	}
	assert.Equal(t, []string{
		"APIVIDEO_API_KEY is not set. This demo uses a fake server in memory.",
		"", "An event:", "video `vi1` is available as `hls` in `720p`", "response status: 202",
		"", "A duplicate of the event, acknowledged without printing:", "response status: 202",
		"", "An event of an unknown type, because the service adds types over time:", "other event", "response status: 202",
		"", "A forged notification with the signature of another secret, rejected:", "response status: 401",
	}, lines, "the output without log lines")
}

func TestRun_invalid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		key, url, addr string
		want           string
	}{
		"invalid key":     {"a key with spaces", "https://hooks.example.com", "127.0.0.1:0", "the API key"},
		"missing URL":     {"key", "", "127.0.0.1:0", "-url is missing"},
		"relative URL":    {"key", "hooks.example.com", "127.0.0.1:0", "absolute"},
		"invalid address": {"key", "https://hooks.example.com", "127.0.0.1:http:", "127.0.0.1:http:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &receiver{addr: test.addr, url: test.url, out: new(buffer), logger: slog.New(slog.DiscardHandler)}
			require.ErrorContains(t, r.run(t.Context(), test.key), test.want)
		})
	}
}

func TestReceive_untilCanceled(t *testing.T) {
	t.Parallel()
	var out buffer
	r, server := newReceiver(t, &out)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	err := r.receive(ctx, server.Client(), func(ctx context.Context, wh *facade.Webhook) error {
		assert.Equal(t, []facade.Webhook{*wh}, server.Webhooks())
		listings := len(server.Requests())
		assert.True(t, server.Deliver(ctx, summary)[0].OK())
		assert.Len(t, server.Requests(), listings, "a listing for the first notification")
		cancel()
		<-ctx.Done()
		return nil
	}, facade.EventVideoSummaryGenerated)

	require.NoError(t, err)
	assert.Len(t, server.Webhooks(), 1, "the webhook stays for the next start")
	assert.Equal(t, printed, out.String())
}

// Ten crashes with a new webhook each would fill the account.
func TestReceive_restart(t *testing.T) {
	t.Parallel()
	crash := errors.New("crash")
	r, server := newReceiver(t, new(buffer))
	r.url = "https://hooks.example.com/apivideo?a=b"
	for range 11 {
		err := r.receive(t.Context(), server.Client(), func(_ context.Context, wh *facade.Webhook) error {
			assert.Equal(t, r.url, wh.URL)
			return crash
		}, facade.EventVideoSummaryGenerated)
		require.ErrorIs(t, err, crash)
	}

	assert.Len(t, server.Webhooks(), 1)
}

func TestReceive_failedRequest(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]facadetest.Fault{
		"create":  {Match: func(r *http.Request) bool { return r.Method == http.MethodPost }, Status: http.StatusForbidden},
		"list":    {Status: http.StatusForbidden},
		"refresh": {Match: func(r *http.Request) bool { return r.Method == http.MethodGet }, Status: http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, server := newReceiver(t, new(buffer))
			if name == "refresh" {
				server.Inject(facadetest.Fault{}, facadetest.Fault{}) // of EnsureWebhook
			}
			server.Inject(fault)

			err := r.receive(t.Context(), server.Client(), func(context.Context, *facade.Webhook) error {
				assert.Fail(t, "the receiver started")
				return nil
			}, facade.EventVideoSummaryGenerated)

			require.ErrorIs(t, err, facade.ErrForbidden)
		})
	}
}

// A blockedWriter blocks each Write until it is opened.
type blockedWriter struct {
	buffer

	reached, open chan struct{}
}

func (b *blockedWriter) Write(p []byte) (int, error) {
	close(b.reached)
	<-b.open
	return b.buffer.Write(p)
}

func TestReceive_shutdownWaits(t *testing.T) {
	t.Parallel()
	out := &blockedWriter{reached: make(chan struct{}), open: make(chan struct{})}
	r, server := newReceiver(t, out)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var group sync.WaitGroup
	var got []facadetest.Delivery
	err := r.receive(ctx, server.Client(), func(ctx context.Context, wh *facade.Webhook) error {
		group.Go(func() { got = server.Deliver(t.Context(), summary) })
		<-out.reached
		group.Go(func() {
			address := strings.TrimPrefix(wh.URL, "http://")
			assert.Eventually(t, func() bool { return refused(t, address) }, 10*time.Second, time.Millisecond)
			assert.Empty(t, out.String())
			close(out.open)
		})
		cancel()
		<-ctx.Done()
		return nil
	}, facade.EventVideoSummaryGenerated)
	assert.Equal(t, printed, out.String(), "the output of the notification in flight")
	group.Wait()

	require.NoError(t, err)
	require.Len(t, got, 1)
	assert.Equal(t, []facadetest.Attempt{{Status: http.StatusAccepted}}, got[0].Attempts)
}

// refused reports whether the address refuses connections.
func refused(t *testing.T, address string) bool {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return true
	}
	_ = conn.Close()
	return false
}

func TestPrint_oneLine(t *testing.T) {
	t.Parallel()
	var out buffer
	r := &receiver{out: &out}
	n, err := notification.Decode("webhook_1", []byte("{\n\"type\":\"video.new\", \"a\":\"\u009b\"\r\n}"))
	require.NoError(t, err)

	require.NoError(t, r.print(t.Context(), n))

	assert.Equal(t, `  0001-01-01 00:00:00 other event: "{\n\"type\":\"video.new\", \"a\":\"\u009b\"\r\n}"`+"\n", out.String())
}

// hook is the webhook of the tests without an API.
var hook = &facade.Webhook{ID: "webhook_1", SignatureSecret: facade.NewSecret("sig_sec_1")}

// hookSecrets has the secret of the hook only, as ClientSecrets has.
type hookSecrets struct{}

func (hookSecrets) Secrets(_ context.Context, webhookID string) ([]facade.Secret, error) {
	if webhookID != hook.ID {
		return nil, nil
	}
	return []facade.Secret{hook.SignatureSecret}, nil
}

func newServer(t *testing.T, out io.Writer) *http.Server {
	t.Helper()
	r := &receiver{out: out, logger: slog.New(slog.DiscardHandler)}
	server, err := r.newServer(hookSecrets{})
	require.NoError(t, err)
	return server
}

// The deduplicator drops a notification while its age permits a replay.
func TestReceiver_replay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		server := newServer(t, &out)
		event := summaryAt(time.Now())
		send := func(id string) int {
			w := httptest.NewRecorder()
			server.Handler.ServeHTTP(w, facadetest.NewNotificationRequest(t.Context(), "/", id, hook.SignatureSecret, event))
			return w.Code
		}
		for range 2 {
			assert.Equal(t, http.StatusAccepted, send(hook.ID))
		}
		for _, id := range []string{"", "webhook_2", hook.ID + "1"} {
			assert.Equal(t, http.StatusUnauthorized, send(id), id)
		}
		<-time.After(maxAge)
		assert.Equal(t, http.StatusAccepted, send(hook.ID))
		<-time.After(1)
		assert.Equal(t, http.StatusUnauthorized, send(hook.ID))
		assert.Equal(t, 1, strings.Count(out.String(), "\n"), "the event is printed once")
	})
}

// pipeListener is a listener in memory. A socket would stop the time of a bubble.
type pipeListener struct{ conns chan net.Conn }

func (p pipeListener) Accept() (net.Conn, error) {
	if conn, ok := <-p.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

// Close is called once by the server.
func (p pipeListener) Close() error {
	close(p.conns)
	return nil
}

func (p pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// closeHook is a connection that calls close before it is closed.
type closeHook struct {
	net.Conn

	close func()
}

func (w *closeHook) Close() error {
	w.close()
	return w.Conn.Close()
}

func TestReceiver_slowClients(t *testing.T) {
	t.Parallel()
	emittedAt := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // the start of a bubble
	printed := lineAt(emittedAt)
	var request bytes.Buffer
	require.NoError(t, facadetest.NewNotificationRequest(t.Context(), "/", hook.ID, hook.SignatureSecret, summaryAt(emittedAt)).Write(&request))
	header, body, ok := strings.Cut(request.String(), "\r\n\r\n")
	require.True(t, ok)
	header += "\r\n\r\n"

	for name, test := range map[string]struct {
		start   string        // sent at the beginning
		slow    string        // sent after start, one byte per second
		read    bool          // reports whether the client reads the response
		within  time.Duration // the time until the connection is closed
		status  int           // of the response, 0 means no response
		printed string
	}{
		"slow body":         {header, body, true, 5 * time.Second, http.StatusBadRequest, ""},
		"slow header":       {"", header + body, true, 5 * time.Second, http.StatusBadRequest, ""},
		"half a body":       {header + body[:7], "", true, 5 * time.Second, http.StatusBadRequest, ""},
		"no request":        {"", "", true, 5 * time.Second, 0, ""},
		"unread response":   {header + body, "", false, 10 * time.Second, 0, printed},
		"idle connection":   {header + body, "", true, time.Minute, http.StatusAccepted, printed},
		"oversized headers": {"POST / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 32<<10), "", true, 0, http.StatusRequestHeaderFieldsTooLarge, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out buffer
				server, listener := newServer(t, &out), pipeListener{make(chan net.Conn)}
				go func() { assert.ErrorIs(t, server.Serve(listener), http.ErrServerClosed) }()
				near, far := net.Pipe()
				begin, closed := time.Now(), make(chan struct{})
				listener.conns <- &closeHook{Conn: far, close: sync.OnceFunc(func() { close(closed) })}

				var group sync.WaitGroup
				var response []byte
				if test.read {
					group.Go(func() { response, _ = io.ReadAll(near) })
				}
				_, err := io.WriteString(near, test.start)
				for i := 0; i < len(test.slow) && err == nil; i++ {
					<-time.After(time.Second)
					_, err = io.WriteString(near, test.slow[i:i+1])
				}

				<-closed
				// net/http waits half a second between the response and the close.
				assert.WithinRange(t, time.Now(), begin.Add(test.within), begin.Add(test.within+time.Second))
				group.Wait()
				require.NoError(t, server.Close())
				assert.Equal(t, test.printed, out.String())
				if test.status == 0 {
					assert.Empty(t, response)
				} else {
					assert.Contains(t, string(response), fmt.Sprintf("HTTP/1.1 %d", test.status))
				}
			})
		})
	}
}
