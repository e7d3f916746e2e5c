package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// A page is written and read by many.
type page struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// summary is an event of this moment, because an older one is refused, and printed
// the line it makes.
var (
	summary = summaryAt(time.Now())
	printed = line(&notification.Notification{
		Type: facade.EventVideoSummaryGenerated, EmittedAt: summary.EmittedAt, Event: summary,
	}) + "\n"
)

func summaryAt(t time.Time) *notification.VideoSummaryGenerated {
	return &notification.VideoSummaryGenerated{EmittedAt: t, VideoID: "vi1", SummaryID: "summary1"}
}

// newReceiver returns a receiver, and a server to receive from.
func newReceiver(t *testing.T, out io.Writer) (*receiver, *facadetest.Server) {
	t.Helper()
	server := facadetest.NewServer(facadetest.WithDeliveryRetries(0, 0))
	t.Cleanup(server.Close)
	return &receiver{
		addr:   "127.0.0.1:0",
		events: []facade.EventType{facade.EventVideoSummaryGenerated},
		out:    out,
		logger: slog.New(slog.DiscardHandler),
	}, server
}

func TestDemo(t *testing.T) {
	t.Parallel()
	var out, logs page
	require.NoError(t, run(t.Context(), &out, &logs, "", nil))
	for _, event := range allEvents {
		assert.Equal(t, 1, strings.Count(out.String(), "  "+event), event)
	}
	for _, part := range []string{
		"video.encoding.quality.completed  20",
		"vi4k0jvEUuaTdRAEjQ4Jfrgz hls 720p\n",
		`  {"type":"video.of.tomorrow"`,
		"forged\n  answered 401\n",
	} {
		assert.Contains(t, out.String(), part)
	}
	assert.Equal(t, 8, strings.Count(out.String(), "answered 202"))
	for _, part := range []string{"subscribed", "duplicate", "bad signature", "unsubscribed", "stopped"} {
		assert.Contains(t, logs.String(), part)
	}
	assert.NotContains(t, out.String()+logs.String(), "sig_sec_")
}

// What the webhook isn't subscribed to isn't announced.
func TestDemoOfSomeEvents(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		events string
		taken  int
		again  bool
	}{
		"one of them":      {"live-stream.broadcast.ended", 3, true},
		"two, in disorder": {"video.summary.generated,live-stream.broadcast.started", 4, true},
		"none":             {"video.new", 1, false},
		"a later one":      {"video.of.tomorrow", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, logs page
			require.NoError(t, run(t.Context(), &out, &logs, "", []string{"-events", test.events}))
			assert.Equal(t, test.taken, strings.Count(out.String(), "answered 202"))
			assert.Equal(t, test.again, strings.Contains(out.String(), "One event of each type"))
			assert.Equal(t, test.again, strings.Contains(out.String(), "The last one again"))
			assert.Equal(t, test.again, strings.Contains(logs.String(), "duplicate"))
		})
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		key  string
		args []string
		want string
	}{
		"a bad key":       {"a key with spaces", []string{"-url", "https://hooks.example.com"}, "the API key"},
		"no url":          {"key", nil, "-url is missing"},
		"a url, no key":   {"", []string{"-url", "https://hooks.example.com"}, "-url needs APIVIDEO_API_KEY"},
		"half a url":      {"key", []string{"-addr", "127.0.0.1:0", "-url", "hooks.example.com"}, "must be an absolute http or https one"},
		"no url at all":   {"key", []string{"-addr", "127.0.0.1:0", "-url", "https://[::"}, "missing ']'"},
		"no events":       {"", []string{"-events", ""}, `"" is no event`},
		"no such flag":    {"", []string{"-port", "8080"}, "-port"},
		"no flag":         {"", []string{"8080"}, `"8080" is no flag`},
		"no such address": {"key", []string{"-addr", "127.0.0.1:http:", "-url", "https://hooks.example.com"}, "127.0.0.1:http:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, run(t.Context(), new(page), new(page), test.key, test.args), test.want)
		})
	}
}

func TestRunHelps(t *testing.T) {
	t.Parallel()
	var logs page
	require.NoError(t, run(t.Context(), new(page), &logs, "", []string{"-h"}))
	assert.Contains(t, logs.String(), "-addr address")
}

func TestReceiveUntilInterrupted(t *testing.T) {
	t.Parallel()
	var out page
	r, server := newReceiver(t, &out)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()

	err := r.receive(ctx, server.Client(), func(ctx context.Context, wh *facade.Webhook) error {
		assert.Equal(t, []facade.Webhook{*wh}, server.Webhooks())
		assert.True(t, server.Deliver(ctx, summary)[0].OK())
		interrupt()
		<-ctx.Done()
		return nil
	})

	require.NoError(t, err)
	assert.Empty(t, server.Webhooks())
	assert.Equal(t, printed, out.String())
}

func TestReceiveByAPublicURL(t *testing.T) {
	t.Parallel()
	r, server := newReceiver(t, new(page))
	r.url = "https://hooks.example.com/apivideo?a=b"

	err := r.receive(t.Context(), server.Client(), func(_ context.Context, wh *facade.Webhook) error {
		u, err := url.Parse(wh.URL)
		assert.Equal(t, "b", u.Query().Get("a"))
		assert.Equal(t, "hooks.example.com/apivideo", u.Host+u.Path)
		return err
	})

	require.NoError(t, err)
}

// A gate is a writer that is slow.
type gate struct {
	page
	reached chan struct{}
	open    chan struct{}
}

func (g *gate) Write(b []byte) (int, error) {
	close(g.reached)
	<-g.open
	return g.page.Write(b)
}

func TestShutdownLetsADeliveryEnd(t *testing.T) {
	t.Parallel()
	out := &gate{reached: make(chan struct{}), open: make(chan struct{})}
	r, server := newReceiver(t, out)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()

	var group sync.WaitGroup
	var got []facadetest.Delivery
	err := r.receive(ctx, server.Client(), func(ctx context.Context, wh *facade.Webhook) error {
		group.Go(func() { got = server.Deliver(t.Context(), summary) })
		<-out.reached
		group.Go(func() {
			// Nothing new comes any more, but what is under way isn't over.
			assert.Eventually(t, func() bool { return refused(t, wh.URL) }, 10*time.Second, time.Millisecond)
			assert.Empty(t, server.Webhooks(), "the webhook goes before the listener")
			assert.Empty(t, out.String())
			close(out.open)
		})
		interrupt()
		<-ctx.Done()
		return nil
	})
	assert.Equal(t, printed, out.String(), "receive has waited")
	group.Wait()

	require.NoError(t, err)
	require.Len(t, got, 1)
	assert.Equal(t, []facadetest.Attempt{{Status: http.StatusAccepted}}, got[0].Attempts)
}

// refused tells whether nobody listens at a url any more.
func refused(t *testing.T, rawURL string) bool {
	t.Helper()
	u, err := url.Parse(rawURL)
	require.NoError(t, err)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		return true
	}
	_ = conn.Close()
	return false
}

func isPost(r *http.Request) bool   { return r.Method == http.MethodPost }
func isGet(r *http.Request) bool    { return r.Method == http.MethodGet }
func isDelete(r *http.Request) bool { return r.Method == http.MethodDelete }

// forgetful is a transport that loses the secrets in answers that have a webhook.
type forgetful struct {
	next   http.RoundTripper
	always bool // or only in the answer to a create
}

func (f forgetful) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := f.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusCreated && (!f.always || resp.StatusCode != http.StatusOK) {
		return resp, err
	}
	defer resp.Body.Close()
	var webhook map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&webhook); err != nil {
		return nil, err
	}
	delete(webhook, "signatureSecret")
	body, err := json.Marshal(webhook)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, err
}

func TestReceiveLeavesNoWebhook(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	forgetting := func(always bool) []facade.Option {
		transport := forgetful{next: &http.Transport{DisableKeepAlives: true}, always: always}
		return []facade.Option{facade.WithHTTPClient(&http.Client{Transport: transport})}
	}
	lost := facadetest.Fault{Match: isPost, Process: true, Reset: facadetest.ResetAfterRead}
	for name, test := range map[string]struct {
		faults  []facadetest.Fault
		options []facade.Option
		until   error
		want    error // nil: all goes well
	}{
		"after a failure":           {until: broken, want: broken},
		"that it can't verify with": {options: forgetting(true), want: errNoSecret},
		"whose secret comes late":   {options: forgetting(false)},
		"that it can't ask for":     {options: forgetting(false), faults: []facadetest.Fault{{Match: isGet, Status: http.StatusForbidden}}, want: facade.ErrForbidden},
		"whose creation got lost":   {faults: []facadetest.Fault{lost}},
		"that wasn't created":       {faults: []facadetest.Fault{{Match: isPost, Status: http.StatusInternalServerError}}, want: facade.ErrUnconfirmed},
		"that is hard to delete":    {faults: []facadetest.Fault{{Match: isDelete, Times: 2, Status: http.StatusBadGateway}}},
		"that somebody deleted":     {faults: []facadetest.Fault{{Match: isDelete, Status: http.StatusNotFound, Process: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out page
			r, server := newReceiver(t, &out)
			server.Inject(test.faults...)
			err := r.receive(t.Context(), server.Client(test.options...), func(ctx context.Context, _ *facade.Webhook) error {
				assert.True(t, server.Deliver(ctx, summary)[0].OK())
				return test.until
			})
			require.ErrorIs(t, err, test.want)
			assert.Empty(t, server.Webhooks())
			assert.Equal(t, test.want == nil || test.until != nil, out.String() == printed)
		})
	}
}

func TestReceiveLeavesNoWebhookWhenInterruptedWhileSubscribing(t *testing.T) {
	t.Parallel()
	r, server := newReceiver(t, new(page))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	server.Inject(facadetest.Fault{Match: isPost, Delay: time.Hour})
	go func() {
		assert.Eventually(t, func() bool { return len(server.Webhooks()) == 1 }, 10*time.Second, time.Millisecond)
		interrupt()
	}()

	err := r.receive(ctx, server.Client(), func(ctx context.Context, _ *facade.Webhook) error {
		return ctx.Err()
	})

	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, server.Webhooks())
}

func TestReceiveTellsWhatItLeaves(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults []facadetest.Fault
		want   func(facade.Webhook) string
	}{
		"because it can't be deleted": {
			[]facadetest.Fault{{Match: isDelete, Status: http.StatusForbidden}},
			func(wh facade.Webhook) string { return "the webhook " + wh.ID + " is left" },
		},
		"because it can't be found": {
			[]facadetest.Fault{
				{Match: isPost, Status: http.StatusBadGateway, Process: true},
				{Match: isGet, Status: http.StatusForbidden},
			},
			func(wh facade.Webhook) string { return "there may be a webhook left of the url " + wh.URL },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, server := newReceiver(t, new(page))
			server.Inject(test.faults...)
			err := r.receive(t.Context(), server.Client(), func(context.Context, *facade.Webhook) error { return nil })
			require.Len(t, server.Webhooks(), 1)
			require.ErrorContains(t, err, test.want(server.Webhooks()[0]))
			require.ErrorIs(t, err, facade.ErrForbidden)
		})
	}
}

func TestLineIsOneLine(t *testing.T) {
	t.Parallel()
	got := line(&notification.Notification{Type: "a\nb", Raw: json.RawMessage("{\n\"\u009b\" : 1\r\n}")})
	assert.Equal(t, `  a b                               0001-01-01 00:00:00  { " " : 1  }`, got)
}

// Who has recorded a notification can't send it under another webhook's id, which
// would make it another one to the deduplicator, nor when it has become old.
func TestAReplayIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out page
		r := &receiver{out: &out, logger: slog.New(slog.DiscardHandler)}
		server, err := r.newServer(hook)
		require.NoError(t, err)
		event := summaryAt(time.Now())
		send := func(id string) int {
			w := httptest.NewRecorder()
			server.Handler.ServeHTTP(w, facadetest.NewNotificationRequest(t.Context(), "/", id, hook.SignatureSecret, event))
			return w.Code
		}
		for _, id := range []string{hook.ID, hook.ID} {
			assert.Equal(t, http.StatusAccepted, send(id))
		}
		for _, id := range []string{"", "webhook_2", hook.ID + " "} {
			assert.Equal(t, http.StatusUnauthorized, send(id), id)
		}
		<-time.After(5 * time.Minute)
		assert.Equal(t, http.StatusAccepted, send(hook.ID))
		<-time.After(1)
		assert.Equal(t, http.StatusUnauthorized, send(hook.ID))
		assert.Equal(t, 1, strings.Count(out.String(), "\n"), "it is printed once")
	})
}

// hook is a webhook that nobody has created.
var hook = &facade.Webhook{ID: "webhook_1", SignatureSecret: facade.NewSecret("sig_sec_1")}

// pipes is a listener in memory, because time passes quickly only for those who
// don't wait for a network.
type pipes struct{ conns chan net.Conn }

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

// Close is called once, by the server.
func (p pipes) Close() error {
	close(p.conns)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// serve starts a receiver's server in memory. It must be shut down or closed.
func serve(t *testing.T, out io.Writer) (*http.Server, pipes) {
	t.Helper()
	r := &receiver{out: out, logger: slog.New(slog.DiscardHandler)}
	server, err := r.newServer(hook)
	require.NoError(t, err)
	listener := pipes{make(chan net.Conn)}
	go func() { assert.ErrorIs(t, server.Serve(listener), http.ErrServerClosed) }()
	return server, listener
}

// signed returns a notification of a bubble's beginning as it goes over the wire.
func signed(t *testing.T) string {
	t.Helper()
	var request bytes.Buffer
	event := summaryAt(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	r := facadetest.NewNotificationRequest(t.Context(), "/", hook.ID, hook.SignatureSecret, event)
	require.NoError(t, r.Write(&request))
	return request.String()
}

func TestShutdownDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &gate{reached: make(chan struct{}), open: make(chan struct{})}
		server, listener := serve(t, out)
		near, far := net.Pipe()
		listener.conns <- far
		_, err := io.WriteString(near, signed(t))
		require.NoError(t, err)
		<-out.reached

		begin := time.Now()
		err = shutdown(t.Context(), server)

		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, shutdownTimeout, time.Since(begin))
		_, err = near.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
		close(out.open)
	})
}

// watched is a connection that tells when it is closed.
type watched struct {
	net.Conn

	close func()
}

func (w *watched) Close() error {
	w.close()
	return w.Conn.Close()
}

func TestServerCutsTheSlowOff(t *testing.T) {
	t.Parallel()
	const printed = "  video.summary.generated           2000-01-01 00:00:00  vi1 summary1\n"
	header, body, ok := strings.Cut(signed(t), "\r\n\r\n")
	require.True(t, ok)
	header += "\r\n\r\n"

	for name, test := range map[string]struct {
		atOnce  string        // what is sent at the beginning
		trickle string        // what follows, a byte each second
		read    bool          // whether the answer is read
		within  time.Duration // how long it takes until the connection is closed
		status  int           // what is answered, if anything
		printed string
	}{
		"a body that trickles":       {header, body, true, readTimeout, http.StatusBadRequest, ""},
		"a header that trickles":     {"", header + body, true, readHeaderTimeout, http.StatusBadRequest, ""},
		"half a body":                {header + body[:7], "", true, readTimeout, http.StatusBadRequest, ""},
		"silence":                    {"", "", true, readHeaderTimeout, 0, ""},
		"an answer that isn't read":  {header + body, "", false, writeTimeout, 0, printed},
		"a connection that is kept":  {header + body, "", true, idleTimeout, http.StatusAccepted, printed},
		"a header that is too large": {"POST / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 2*maxHeaderBytes), "", true, 0, http.StatusRequestHeaderFieldsTooLarge, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out page
				server, listener := serve(t, &out)
				near, far := net.Pipe()
				begin, closed := time.Now(), make(chan struct{})
				listener.conns <- &watched{Conn: far, close: sync.OnceFunc(func() { close(closed) })}

				var group sync.WaitGroup
				var answer []byte
				if test.read {
					group.Go(func() { answer, _ = io.ReadAll(near) })
				}
				_, err := io.WriteString(near, test.atOnce)
				for i := 0; i < len(test.trickle) && err == nil; i++ {
					<-time.After(time.Second)
					_, err = io.WriteString(near, test.trickle[i:i+1])
				}

				<-closed
				// net/http leaves an answer half a second to arrive before it closes.
				assert.WithinRange(t, time.Now(), begin.Add(test.within), begin.Add(test.within+time.Second))
				group.Wait()
				require.NoError(t, server.Close())
				assert.Equal(t, test.printed, out.String())
				if test.status == 0 {
					assert.Empty(t, answer)
				} else {
					assert.Contains(t, string(answer), fmt.Sprintf("HTTP/1.1 %d", test.status))
				}
			})
		})
	}
}
