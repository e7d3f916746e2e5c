package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// BenchmarkReceive measures the time from a request to the 202, without a worker. The
// handler stores nothing. POSTGRES_FSYNC=on scripts/with-postgres syncs each commit.
func BenchmarkReceive(b *testing.B) {
	for _, via := range []string{"handler", "SQLite", "PostgreSQL"} {
		b.Run("via="+via, func(b *testing.B) {
			s := newSystem(b, via)
			if via == "handler" {
				verifier, err := notification.NewVerifier(notification.StaticSecrets(s.webhook.SignatureSecret))
				require.NoError(b, err)
				server := httptest.NewServer(notification.NewHandler(verifier, func(context.Context, *notification.Notification) error { return nil }))
				b.Cleanup(server.Close)
				s.addr = server.Listener.Addr().String()
			} else {
				receiveInProcess(b, s)
			}
			var next atomic.Int64
			for _, senders := range []int{1, 32} {
				b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
					client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
					defer client.CloseIdleConnections()
					var left, accepted atomic.Int64
					left.Store(int64(b.N))
					b.ResetTimer()
					begin := time.Now()
					var group sync.WaitGroup
					for range senders {
						group.Go(func() {
							for left.Add(-1) >= 0 {
								body := videoBody(fmt.Sprintf("vi-%d", next.Add(1)))
								if s.postBody(b.Context(), client, body) == http.StatusAccepted {
									accepted.Add(1)
								}
							}
						})
					}
					group.Wait()
					b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "notifications/s")
					b.ReportMetric(0, "ns/op")
					require.EqualValues(b, b.N, accepted.Load())
				})
			}
		})
	}
}

// receiveInProcess runs a receiver in this process until the end of the benchmark.
func receiveInProcess(b *testing.B, s *system) {
	b.Helper()
	file := ""
	for _, pair := range s.env {
		switch name, value, _ := strings.Cut(pair, "="); name {
		case "QUEUE_TEST_FILE":
			file = value
		case "DATABASE_URL", "APIVIDEO_API_KEY", "QUEUE_TEST_API":
			b.Setenv(name, value)
		}
	}
	var logs output
	c := &config{
		logger: slog.New(slog.NewTextHandler(&logs, nil)),
		client: []facade.Option{facade.WithBaseURL(os.Getenv("QUEUE_TEST_API"))},
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
	done := make(chan error, 1)
	go func() { done <- c.run(ctx, []string{"-file", file, "-addr", s.addr, "receive"}) }()
	b.Cleanup(func() {
		stop()
		assert.NoError(b, <-done)
	})
	require.Eventually(b, func() bool { return strings.Contains(logs.String(), "msg=receiving") }, 30*time.Second, 10*time.Millisecond)
}
