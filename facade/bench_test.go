package facade_test

import (
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"github.com/apivideo-community/webhooks-go/facade"
)

// BenchmarkIterate1000 iterates over 1,000 webhooks without a network. live-B/webhook is the
// memory per webhook at the end, an ID of 30 bytes in a map. The folder bench of the
// repository compares calls with plain code and with the generated client.
func BenchmarkIterate1000(b *testing.B) {
	var pages []string
	for page := range 11 { // one beyond the end
		pages = append(pages, listJSON(page+1, 100, 1000))
	}
	requests := 0
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		requests++
		page, err := strconv.Atoi(r.URL.Query().Get("currentPage"))
		return newResponse(http.StatusOK, pages[page-1], nil), err
	})
	client, err := facade.NewClient(testKey, facade.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		b.Fatal(err)
	}
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

// BenchmarkWarmGet gets a webhook with the API key or with a cached token, without a network.
func BenchmarkWarmGet(b *testing.B) {
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/auth/api-key" {
			return newResponse(http.StatusOK, `{"token_type":"Bearer","expires_in":3600,"access_token":"a","refresh_token":"r"}`, nil), nil
		}
		return newResponse(http.StatusOK, webhookJSON(0), nil), nil
	})
	for name, opts := range map[string][]facade.Option{"auth=basic": nil, "auth=bearer": {facade.WithTokenExchange()}} {
		b.Run(name, func(b *testing.B) {
			client, err := facade.NewClient(testKey, append(opts, facade.WithHTTPClient(&http.Client{Transport: transport}))...)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.GetWebhook(b.Context(), "webhook_0"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
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
