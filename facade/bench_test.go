package facade_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// The folder bench of the repository compares single calls with plain code and with the
// generated client.

// BenchmarkIterate1000 iterates over 1,000 webhooks. live-B/webhook is the memory per
// webhook at the end, an ID of 30 bytes in a map.
func BenchmarkIterate1000(b *testing.B) {
	var requests int
	server := newBenchServer(b)
	client := newBenchClient(b, server.URL, facade.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		requests++
		return http.DefaultTransport.RoundTrip(r)
	})}))
	var live float64
	b.ReportAllocs()
	for b.Loop() {
		requests = 0
		before, n := liveBytes(b), 0
		for _, err := range client.Webhooks(b.Context(), facade.ListOptions{}) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n == 1000 {
				live = float64(liveBytes(b)-before) / 1000
			}
		}
		if n != 1000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(requests), "requests/op")
	b.ReportMetric(live, "live-B/webhook")
}

// liveBytes returns the size of the reachable heap.
func liveBytes(b *testing.B) int64 {
	b.Helper()
	b.StopTimer()
	defer b.StartTimer()
	runtime.GC()
	runtime.GC() // empties the pools, too
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// BenchmarkWarmGet gets a webhook with a cached token.
func BenchmarkWarmGet(b *testing.B) {
	server := newBenchServer(b)
	for name, opts := range map[string][]facade.Option{"auth=basic": nil, "auth=bearer": {facade.WithTokenExchange()}} {
		b.Run(name, func(b *testing.B) {
			client := newBenchClient(b, server.URL, opts...)
			require.NoError(b, getWebhook(b.Context(), client)) // connects
			b.ReportAllocs()
			for b.Loop() {
				if err := getWebhook(b.Context(), client); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func newBenchClient(b *testing.B, url string, opts ...facade.Option) *facade.Client {
	b.Helper()
	client, err := facade.NewClient("key", append(opts, facade.WithBaseURL(url))...)
	require.NoError(b, err)
	return client
}

// newBenchServer returns a server whose responses are in memory, to measure mostly the
// client.
func newBenchServer(b *testing.B) *httptest.Server {
	b.Helper()
	one := webhookJSON(0)
	var lists []string     // pages of 1,000
	for page := range 11 { // one beyond the end
		lists = append(lists, listJSON(page+1, 100, 1000))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-RateLimit-Limit", "100")
		w.Header().Set("X-RateLimit-Remaining", "99")
		w.Header().Set("X-RateLimit-Retry-After", "42")
		switch r.URL.Path {
		case "/auth/api-key":
			_, _ = io.WriteString(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"token","refresh_token":"refresh"}`)
		case "/webhooks":
			page, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
			_, _ = io.WriteString(w, lists[page-1])
		default:
			_, _ = io.WriteString(w, one)
		}
	}))
	b.Cleanup(server.Close)
	return server
}
