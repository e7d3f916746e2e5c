package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

const body = `{"type":"video.encoding.quality.completed","emittedAt":"2021-01-29T15:46:25.217Z","videoId":"vi1","encoding":"hls","quality":"720p"}`

// serve starts a receiver and returns its address.
func serve(tb testing.TB, r *receiver) (address string, run *task) {
	tb.Helper()
	l := listen(tb, "127.0.0.1:0")
	return l.Addr().String(), start(tb, func(ctx context.Context) error { return r.run(ctx, l) })
}

// send posts a notification and returns the status.
func send(tb testing.TB, address, webhookID, body string, secret facade.Secret) int {
	tb.Helper()
	status, err := post(tb.Context(), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+address+"/apivideo", webhookID, []byte(body), secret)
	require.NoError(tb, err)
	return status
}

// get returns the status of a GET.
func get(tb testing.TB, address, path string) int {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "http://"+address+path, http.NoBody)
	require.NoError(tb, err)
	req.Close = true
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	require.NoError(tb, err)
	require.NoError(tb, resp.Body.Close())
	return resp.StatusCode
}

func TestReceiver_storesOnce(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	wh, secrets := subscribe(t)
	first, _ := serve(t, testReceiver(t, s, secrets))
	second, _ := serve(t, testReceiver(t, s, secrets))

	for _, address := range []string{first, second, first} {
		assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, body, wh.SignatureSecret))
	}
	require.Equal(t, uint64(1), streamState(t, s, "APIVIDEO").Msgs)
	stream, err := s.js.Stream(t.Context(), "APIVIDEO")
	require.NoError(t, err)
	m, err := stream.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "apivideo.video.encoding.quality.completed", m.Subject)
	assert.Equal(t, body, string(m.Data))
	assert.Equal(t, wh.ID, m.Header.Get(headerWebhookID))
	assert.Equal(t, testID(wh.ID, body), m.Header.Get(jetstream.MsgIDHeader))
}

func TestReceiver_concurrentDuplicates(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	wh, secrets := subscribe(t)
	address, _ := serve(t, testReceiver(t, s, secrets))
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, body, wh.SignatureSecret))
		})
	}
	group.Wait()
	assert.Equal(t, uint64(1), streamState(t, s, "APIVIDEO").LastSeq)
}

func TestReceiver_rejections(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	wh, secrets := subscribe(t)
	address, _ := serve(t, testReceiver(t, s, secrets))
	guess := facade.NewSecret("a guess")
	large := `{"type":"x","pad":"` + strings.Repeat("x", maxBody) + `"}`
	for name, test := range map[string]struct {
		id, body string
		secret   facade.Secret
		status   int
	}{
		"forged":             {wh.ID, body, guess, http.StatusUnauthorized},
		"unknown webhook":    {"webhook_unknown", body, wh.SignatureSecret, http.StatusUnauthorized},
		"too large":          {wh.ID, large, wh.SignatureSecret, http.StatusRequestEntityTooLarge},
		"unsigned, not JSON": {wh.ID, "hello", guess, http.StatusUnauthorized},
	} {
		status, err := post(t.Context(), new(http.Client), "http://"+address+"/apivideo", test.id, []byte(test.body), test.secret)
		if name == "too large" && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
			continue // the receiver responds and closes before the sender has sent everything
		}
		require.NoError(t, err, name)
		assert.Equal(t, test.status, status, name)
	}
	assert.Zero(t, streamState(t, s, "APIVIDEO").LastSeq)
}

func TestReceiver_unknownTypes(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	wh, secrets := subscribe(t)
	address, _ := serve(t, testReceiver(t, s, secrets))
	largest := `{"type":"x","pad":"` + strings.Repeat("x", maxBody-25) + `"}`
	for _, test := range []struct{ body, subject string }{
		{`{"type":"video.of.tomorrow"}`, "apivideo.video.of.tomorrow"},
		{`{"type":"video.*"}`, "apivideo.other"},
		{`{"type":"video.>"}`, "apivideo.other"},
		{`{"type":"a b\r\nNats-Msg-Id: c"}`, "apivideo.other"},
		{`{"type":".a..b."}`, "apivideo.other"},
		{`{"type":"` + strings.Repeat("long.", 1000) + `"}`, "apivideo.other"},
		{`{"type":"` + strings.Repeat("x", 70_000) + `"}`, "apivideo.other"},
		{`{"type":"vidéo","emittedAt":"yesterday"}`, "apivideo.other"},
		{largest, "apivideo.x"},
	} {
		assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, test.body, wh.SignatureSecret))
		stream, err := s.js.Stream(t.Context(), "APIVIDEO")
		require.NoError(t, err)
		m, err := stream.GetMsg(t.Context(), stream.CachedInfo().State.LastSeq)
		require.NoError(t, err)
		assert.Equal(t, test.subject, m.Subject)
		assert.Equal(t, test.body, string(m.Data))
		assert.Equal(t, []string{testID(wh.ID, test.body)}, m.Header[jetstream.MsgIDHeader])
	}
}

func TestReceiver_fullStream(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(t *testing.T) *streams{
		"limit of the stream": func(t *testing.T) *streams {
			t.Helper()
			s := connect(t, "apivideo", "", nats.InProcessServer(newEmbedded(t, t.TempDir())))
			s.maxBytes = 64 << 10
			return s
		},
		"limit of the server": func(t *testing.T) *streams {
			t.Helper()
			small := newServer(t, &server.Options{DontListen: true, StoreDir: t.TempDir(), JetStreamMaxStore: 64 << 10})
			return connect(t, "apivideo", "", nats.InProcessServer(small))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := limit(t)
			require.NoError(t, s.ensure(t.Context()))
			fillUp(t, s, 10)
		})
	}
}

// fillUp sends until a receiver responds with 503. Only notifications with a 202 are
// stored. After a worker has emptied the stream, the receiver responds with 202.
func fillUp(t *testing.T, s *streams, limit int) {
	t.Helper()
	wh, secrets := subscribe(t)
	address, _ := serve(t, testReceiver(t, s, secrets))
	accepted, status := uint64(0), 0
	for i := range limit {
		status = send(t, address, wh.ID, `{"type":"x","n":"`+strings.Repeat(string(rune('a'+i%26)), 10_000+i/26)+`"}`, wh.SignatureSecret)
		if status != http.StatusAccepted {
			break
		}
		accepted++
	}
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Positive(t, accepted)
	assert.Equal(t, accepted, streamState(t, s, "APIVIDEO").Msgs)

	book := newBook()
	start(t, testWorker(t, s, book.handle).run)
	require.Eventually(t, func() bool { return streamState(t, s, "APIVIDEO").Msgs == 0 }, 10*time.Second, 20*time.Millisecond)
	assert.Equal(t, int(accepted), book.len())
	assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, body, wh.SignatureSecret))
}

func TestReceiver_noQuorum(t *testing.T) {
	t.Parallel()
	nodes := newNodes(t)
	for _, n := range nodes {
		n.start(t)
	}
	s := connect(t, "apivideo", urls(nodes))
	require.NoError(t, s.ensure(t.Context()))
	wh, secrets := subscribe(t)
	address, _ := serve(t, testReceiver(t, s, secrets))
	require.Equal(t, http.StatusAccepted, send(t, address, wh.ID, body, wh.SignatureSecret))
	require.Equal(t, http.StatusOK, get(t, address, "/readyz"))

	nodes[1].kill()
	nodes[2].kill()
	var group sync.WaitGroup
	for i := range 3 {
		group.Go(func() {
			assert.Equal(t, http.StatusServiceUnavailable, send(t, address, wh.ID, string(loadBody(i)), wh.SignatureSecret))
		})
	}
	group.Wait()
	assert.Eventually(t, func() bool { return get(t, address, "/readyz") == http.StatusServiceUnavailable }, 30*time.Second, 100*time.Millisecond)
	assert.Equal(t, http.StatusOK, get(t, address, "/healthz"))

	nodes[1].start(t)
	assert.Eventually(t, func() bool {
		return send(t, address, wh.ID, string(loadBody(0)), wh.SignatureSecret) == http.StatusAccepted
	}, time.Minute, 100*time.Millisecond, "the quorum is back")
	assert.Eventually(t, func() bool { return get(t, address, "/readyz") == http.StatusOK }, 30*time.Second, 100*time.Millisecond)
}

// blockedSource is a source of secrets. It blocks until release is closed.
type blockedSource struct {
	notification.SecretSource
	entered, release chan struct{}
	once             sync.Once
}

func (h *blockedSource) Secrets(ctx context.Context, id string) ([]facade.Secret, error) {
	h.once.Do(func() { close(h.entered) })
	<-h.release
	return h.SecretSource.Secrets(context.WithoutCancel(ctx), id)
}

func TestReceiver_stopFinishesRequests(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	wh, secrets := subscribe(t)
	source := &blockedSource{SecretSource: secrets, entered: make(chan struct{}), release: make(chan struct{})}
	r := testReceiver(t, s, secrets)
	r.secrets = source
	address, run := serve(t, r)

	var status atomic.Int64
	var group sync.WaitGroup
	group.Go(func() { status.Store(int64(send(t, address, wh.ID, body, wh.SignatureSecret))) })
	<-source.entered
	group.Go(run.stop)
	require.Eventually(t, func() bool { // no new connection is accepted
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 10*time.Second, 10*time.Millisecond)
	close(source.release)
	group.Wait()
	assert.Equal(t, int64(http.StatusAccepted), status.Load())
	assert.Equal(t, uint64(1), streamState(t, s, "APIVIDEO").Msgs)
}

func TestReceiver_unreadyBeforeStop(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	wh, secrets := subscribe(t)
	r := testReceiver(t, s, secrets)
	r.drain = 3 * time.Second
	address, run := serve(t, r)
	require.Equal(t, http.StatusOK, get(t, address, "/readyz"))
	var group sync.WaitGroup
	group.Go(run.stop)
	require.Eventually(t, func() bool { return get(t, address, "/readyz") == http.StatusServiceUnavailable }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, http.StatusOK, get(t, address, "/healthz"))
	assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, body, wh.SignatureSecret))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/healthz", http.NoBody)
	require.NoError(t, err)
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.True(t, resp.Close, "the connection is closed")
	group.Wait()
}

// failingSource is a source whose first listings fail.
type failingSource struct {
	*notification.CachedSecrets
	failures atomic.Int64
}

func (l *failingSource) Secrets(ctx context.Context, id string) ([]facade.Secret, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, facade.ErrServer
	}
	return l.CachedSecrets.Secrets(ctx, id)
}

func (l *failingSource) Refresh(ctx context.Context) error {
	if l.failures.Add(-1) >= 0 {
		return facade.ErrServer
	}
	return l.CachedSecrets.Refresh(ctx)
}

func TestReceiver_unreadyWithoutSecrets(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	wh, secrets := subscribe(t)
	source := &failingSource{CachedSecrets: secrets}
	source.failures.Store(2) // at the start and at the request below
	r := testReceiver(t, s, secrets)
	r.secrets, r.refresh = source, source.Refresh
	address, _ := serve(t, r)
	assert.Equal(t, http.StatusServiceUnavailable, send(t, address, wh.ID, body, wh.SignatureSecret))
	assert.Equal(t, http.StatusServiceUnavailable, get(t, address, "/readyz"))
	require.Eventually(t, func() bool { return get(t, address, "/readyz") == http.StatusOK }, 20*time.Second, 50*time.Millisecond)
	assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, body, wh.SignatureSecret))
}

func TestReceiver_maxAge(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	wh, secrets := subscribe(t)
	r := testReceiver(t, s, secrets)
	r.maxAge = 5 * time.Minute
	address, _ := serve(t, r)
	assert.Equal(t, http.StatusUnauthorized, send(t, address, wh.ID, body, wh.SignatureSecret), "the event is of 2021")
	now := `{"type":"x","emittedAt":"` + time.Now().UTC().Format(time.RFC3339) + `"}`
	assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, now, wh.SignatureSecret))
}

func TestReceiver_disconnectedSender(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	wh, secrets := subscribe(t)
	source := &blockedSource{SecretSource: secrets, entered: make(chan struct{}), release: make(chan struct{})}
	r := testReceiver(t, s, secrets)
	r.secrets = source
	address, _ := serve(t, r)
	ctx, leave := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		_, err := post(ctx, new(http.Client), "http://"+address+"/apivideo", wh.ID, []byte(body), wh.SignatureSecret)
		assert.ErrorIs(t, err, context.Canceled)
	})
	<-source.entered
	leave()
	group.Wait()
	close(source.release)
	assert.Eventually(t, func() bool { return streamState(t, s, "APIVIDEO").Msgs == 1 }, 10*time.Second, 10*time.Millisecond)
}

// An authentic body without a type is stored as a dead letter, once.
func TestReceiver_malformed(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	wh, secrets := subscribe(t)
	r := testReceiver(t, s, secrets)
	reader := sdkmetric.NewManualReader()
	r.telemetry.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	r.telemetry.instrument()
	address, _ := serve(t, r)
	for range 2 {
		assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, "hello", wh.SignatureSecret))
	}
	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &got))
	assert.Equal(t, int64(1), sum(t, got, "ingest.dead", attribute.String("reason", deadMalformed)), "a duplicate is not counted")
	m := onlyDeadLetter(t, s)
	assert.Equal(t, "hello", string(m.Data))
	assert.Equal(t, "apivideo-dead.other", m.Subject)
	assert.Equal(t, wh.ID, m.Header.Get(headerWebhookID))
	assert.Equal(t, testID(wh.ID, "hello"), m.Header.Get(jetstream.MsgIDHeader))
	assert.Contains(t, m.Header.Get(headerDeadReason), "malformed: ")
	assert.Zero(t, streamState(t, s, s.events()).LastSeq)
}

// The metrics have the same size after requests with many Host headers.
func TestReceiver_hostFlood(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	s := newStreams(t)
	_, secrets := subscribe(t)
	r := testReceiver(t, s, secrets)
	r.telemetry = &telemetry{meters: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), tracers: nooptrace.NewTracerProvider()}
	r.telemetry.instrument()
	handler, err := r.handler()
	require.NoError(t, err)
	for i := range 500 {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, r.path, http.NoBody)
		req.Host = fmt.Sprintf("host-%d.example.com:%d", i, 1000+i)
		handler.ServeHTTP(httptest.NewRecorder(), req)
	}
	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &got))
	found := false
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "http.server.request.duration" {
				found = true
				require.Len(t, h.DataPoints, 1)
				assert.Equal(t, uint64(500), h.DataPoints[0].Count)
				status, _ := h.DataPoints[0].Attributes.Value("http.response.status_code")
				assert.Equal(t, int64(http.StatusUnauthorized), status.AsInt64())
			}
		}
	}
	assert.True(t, found)
}
