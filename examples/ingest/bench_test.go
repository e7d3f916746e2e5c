package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// BenchmarkReceive measures the time from a request to the 202, without a worker. The
// handler stores nothing. The embedded server syncs each message. The cluster has
// three servers in the process.
func BenchmarkReceive(b *testing.B) {
	for _, via := range []struct {
		name    string
		streams func(b *testing.B) *streams
	}{
		{"handler", nil}, // stores nothing
		{"embedded", func(b *testing.B) *streams {
			b.Helper()
			return connect(b, "apivideo", "", nats.InProcessServer(newEmbedded(b, b.TempDir())))
		}},
		{"cluster", func(b *testing.B) *streams {
			b.Helper()
			nodes := newNodes(b)
			for _, n := range nodes {
				n.start(b)
			}
			return connect(b, "apivideo", urls(nodes))
		}},
	} {
		b.Run("via="+via.name, func(b *testing.B) {
			wh, secrets := subscribe(b)
			const path = "/apivideo"
			var handler http.Handler
			var err error
			if via.streams == nil {
				verifier, err := notification.NewVerifier(secrets)
				require.NoError(b, err)
				handler = notification.NewHandler(verifier, func(context.Context, *notification.Notification) error { return nil })
			} else {
				r := testReceiver(b, via.streams(b), secrets)
				require.NoError(b, r.ensure(b.Context()))
				handler, err = r.handler()
				require.NoError(b, err)
			}
			server := httptest.NewServer(handler)
			b.Cleanup(server.Close)
			var next atomic.Int64
			for _, senders := range []int{1, 32} {
				b.Run(map[int]string{1: "senders=1", 32: "senders=32"}[senders], func(b *testing.B) {
					lb := newBalancer(wh, server.URL+path)
					defer lb.client.CloseIdleConnections()
					var left atomic.Int64
					left.Store(int64(b.N))
					b.ResetTimer()
					begin := time.Now()
					var group sync.WaitGroup
					for range senders {
						group.Go(func() {
							for left.Add(-1) >= 0 {
								lb.deliver(b.Context(), loadBody(int(next.Add(1))), wh.SignatureSecret)
							}
						})
					}
					group.Wait()
					b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "events/s")
					b.ReportMetric(float64(percentile(lb.latencies, 50).Microseconds())/1000, "p50-ms")
					b.ReportMetric(float64(percentile(lb.latencies, 99).Microseconds())/1000, "p99-ms")
					b.ReportMetric(0, "ns/op")
					require.Equal(b, map[int]int{http.StatusAccepted: b.N}, lb.statuses)
				})
			}
		})
	}
}
