package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// The retries of the service.
const (
	serviceAttempts = 4
	servicePause    = 3 * time.Second
)

// subscribe returns a webhook of a fake api.video and the source of the secret.
func subscribe(tb testing.TB) (*facade.Webhook, *notification.CachedSecrets) {
	tb.Helper()
	fake := facadetest.NewServer()
	tb.Cleanup(fake.Close)
	wh, err := fake.Client().CreateWebhook(tb.Context(), facade.CreateWebhookParams{
		URL: "https://hooks.example.com/apivideo", Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
	})
	require.NoError(tb, err)
	return wh, notification.ClientSecrets(fake.Client())
}

// balancer sends to receivers in turn. After a refused connection it tries the next.
type balancer struct {
	urls    []string
	webhook *facade.Webhook
	client  *http.Client
	turn    atomic.Uint64

	mu        sync.Mutex
	latencies []time.Duration // of responses with 202
	statuses  map[int]int     // of all responses, 0 for none
}

func newBalancer(wh *facade.Webhook, urls ...string) *balancer {
	return &balancer{
		urls: urls, webhook: wh, statuses: map[int]int{},
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: 256},
			Timeout:   10 * time.Second,
		},
	}
}

// deliver sends a notification with the retries of the service. It returns the last
// status, or 0.
func (b *balancer) deliver(ctx context.Context, body []byte, secret facade.Secret) (status int) {
	for try := range serviceAttempts {
		if try > 0 && !wait(ctx, servicePause) {
			return status
		}
		begin := time.Now()
		status = b.try(ctx, body, secret)
		b.mu.Lock()
		b.statuses[status]++
		if status == http.StatusAccepted {
			b.latencies = append(b.latencies, time.Since(begin))
		}
		b.mu.Unlock()
		if status == http.StatusAccepted || status == http.StatusUnauthorized {
			return status
		}
	}
	return status
}

func (b *balancer) try(ctx context.Context, body []byte, secret facade.Secret) int {
	first := b.turn.Add(1)
	for i := range b.urls {
		status, err := post(ctx, b.client, b.urls[(first+uint64(i))%uint64(len(b.urls))], b.webhook.ID, body, secret)
		if err == nil {
			return status
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return 0
		}
	}
	return 0
}

// post sends a notification once.
func post(ctx context.Context, client *http.Client, url, webhookID string, body []byte, secret facade.Secret) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(notification.HeaderWebhookID, webhookID)
	req.Header.Set(notification.HeaderSignature, notification.Sign(body, secret))
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, nil
}

// percentile returns a percentile of the latencies.
func percentile(latencies []time.Duration, percent int) time.Duration {
	if len(latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(latencies))
	return sorted[(len(sorted)-1)*percent/100].Round(10 * time.Microsecond)
}

// task is a running receiver or a worker.
type task struct {
	stop func()
}

// start runs a function until stop.
func start(tb testing.TB, do func(context.Context) error) *task {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(stop)
	return &task{stop: stop}
}

// listen listens on an address.
func listen(tb testing.TB, address string) net.Listener {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", address)
	require.NoError(tb, err)
	return l
}

func testWorker(tb testing.TB, s *streams, handle func(context.Context, event) error) *worker {
	tb.Helper()
	w := &worker{
		core: testCore(tb, s), handle: handle,
		backoff: []time.Duration{50 * time.Millisecond, 50 * time.Millisecond},
		ackWait: 10 * time.Second, timeout: time.Minute, grace: 10 * time.Second,
	}
	w.concurrency = 4
	return w
}

func testReceiver(tb testing.TB, s *streams, secrets *notification.CachedSecrets) *receiver {
	tb.Helper()
	return &receiver{core: testCore(tb, s), secrets: secrets, refresh: secrets.Refresh, path: "/apivideo"}
}

func testCore(tb testing.TB, s *streams) *core {
	tb.Helper()
	tel := &telemetry{meters: noopmetric.NewMeterProvider(), tracers: nooptrace.NewTracerProvider()}
	tel.instrument()
	return &core{streams: s, telemetry: tel, logger: testLogger()}
}

// testLogger discards, or logs with INGEST_TEST_LOG.
func testLogger() *slog.Logger {
	if os.Getenv("INGEST_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}
