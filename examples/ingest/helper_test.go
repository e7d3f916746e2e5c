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

// The service's patience: a delivery and three more, so long after one another.
const (
	serviceTries = 4
	servicePause = 3 * time.Second
)

// subscribe returns a webhook of a fake api.video, and the source of its secret as
// a receiver has it.
func subscribe(tb testing.TB) (*facade.Webhook, secretSource) {
	tb.Helper()
	fake := facadetest.NewServer()
	tb.Cleanup(fake.Close)
	wh, err := fake.Client().CreateWebhook(tb.Context(), facade.CreateWebhookParams{
		URL: "https://hooks.example.com/apivideo", Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
	})
	require.NoError(tb, err)
	return wh, notification.ClientSecrets(fake.Client())
}

// A balancer sends to receivers in turn, and to the next one if nobody listens
// there: a load balancer with health checks.
type balancer struct {
	urls    []string
	webhook *facade.Webhook
	client  *http.Client
	turn    atomic.Uint64

	mu        sync.Mutex
	latencies []time.Duration // of what was answered 202
	statuses  map[int]int     // of all answers, 0 for none
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

// deliver sends a notification with the service's retries and returns the last
// answer's status, or 0.
func (b *balancer) deliver(ctx context.Context, body []byte, secret facade.Secret) (status int) {
	for try := range serviceTries {
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
		if status == http.StatusAccepted || status == http.StatusUnauthorized { // the forged aren't worth the wait
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

// percentile returns what so many percent of the latencies are below of.
func percentile(latencies []time.Duration, percent int) time.Duration {
	if len(latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(latencies))
	return sorted[(len(sorted)-1)*percent/100].Round(10 * time.Microsecond)
}

// A running receiver or worker, which can be stopped and started again.
type running struct {
	stop func()
}

// start starts something that runs until it is stopped.
func start(tb testing.TB, do func(context.Context) error) *running {
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
	return &running{stop: stop}
}

// listen listens on a port, again if need be.
func listen(tb testing.TB, address string) net.Listener {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", address)
	require.NoError(tb, err)
	return l
}

func testWorker(tb testing.TB, s *streams, handle func(context.Context, event) error) *worker {
	tb.Helper()
	return &worker{
		streams: s, handle: handle, concurrency: 4, maxDeliver: 3, backoff: durations{50 * time.Millisecond},
		ackWait: 10 * time.Second, timeout: time.Minute, grace: 10 * time.Second,
		telemetry: noTelemetry(tb), logger: testLogger(),
	}
}

func testReceiver(tb testing.TB, s *streams, secrets secretSource) *receiver {
	tb.Helper()
	return &receiver{streams: s, secrets: secrets, path: "/apivideo", telemetry: noTelemetry(tb), logger: testLogger()}
}

func noTelemetry(tb testing.TB) *telemetry {
	tb.Helper()
	tel, err := instrument(noopmetric.NewMeterProvider(), nooptrace.NewTracerProvider())
	require.NoError(tb, err)
	return tel
}

// testLogger says nothing, unless asked to.
func testLogger() *slog.Logger {
	if os.Getenv("INGEST_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}
