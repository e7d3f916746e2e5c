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

// BenchmarkReceive measures the time from a request to its 202, with one sender
// and with many: without a stream, with a server in the process that writes each
// message to the disk, and with a cluster of three in the process. Nobody works.
func BenchmarkReceive(b *testing.B) {
	for _, via := range []struct {
		name    string
		streams func(b *testing.B) *streams
	}{
		{"none", func(*testing.B) *streams { return nil }},
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
			r := testReceiver(b, via.streams(b), nil)
			store := r.store
			if r.streams == nil {
				store = func(context.Context, *notification.Notification) error { return nil }
			} else {
				require.NoError(b, r.streams.ensure(b.Context()))
			}
			wh, secrets := subscribe(b)
			r.secrets = secrets
			handler, err := r.handler(store)
			require.NoError(b, err)
			server := httptest.NewServer(handler)
			b.Cleanup(server.Close)
			var next atomic.Int64
			for _, senders := range []int{1, 32} {
				b.Run(map[int]string{1: "senders=1", 32: "senders=32"}[senders], func(b *testing.B) {
					lb := newBalancer(wh, server.URL+r.path)
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
