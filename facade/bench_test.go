package facade_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// What only the facade has. Its calls beside plain code and the generated client
// are measured in the folder bench of the repository.

// An iteration over 1,000 webhooks. live-B/webhook is the memory of each one
// at its end: its ID, 30 bytes, and its place in a map.
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
	runtime.GC() // empties the pools as well
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// A get with a cached token.
func BenchmarkWarmGet(b *testing.B) {
	server := newBenchServer(b)
	for name, opts := range map[string][]facade.Option{"auth=basic": nil, "auth=bearer": {facade.WithTokenExchange()}} {
		b.Run(name, func(b *testing.B) {
			client := newBenchClient(b, server.URL, opts...)
			bench(b, func() error {
				_, err := client.GetWebhook(b.Context(), "webhook_0000000000000000000000")
				return err
			})
		})
	}
}

func bench(b *testing.B, call func() error) {
	b.Helper()
	require.NoError(b, call()) // the connection is up before the clock runs
	b.ReportAllocs()
	for b.Loop() {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
}

func newBenchClient(b *testing.B, url string, opts ...facade.Option) *facade.Client {
	b.Helper()
	client, err := facade.NewClient("key", append(opts, facade.WithBaseURL(url))...)
	require.NoError(b, err)
	return client
}

// newBenchServer answers from memory, so that little else than the client's
// side is measured.
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
		switch {
		case r.URL.Path == "/auth/api-key":
			_, _ = io.WriteString(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"token","refresh_token":"refresh"}`)
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, one)
		case r.URL.Path == "/webhooks":
			page, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
			_, _ = io.WriteString(w, lists[page-1])
		default:
			_, _ = io.WriteString(w, one)
		}
	}))
	b.Cleanup(server.Close)
	return server
}

func webhookJSON(n int) string {
	return fmt.Sprintf(`{"webhookId":"webhook_%022d","createdAt":"2024-08-08T14:12:18+00:00",`+
		`"events":["video.encoding.quality.completed","video.source.recorded"],`+
		`"url":"https://hooks.example.com/apivideo/%d","signatureSecret":"sig_sec_%022d"}`, n, n, n)
}

// listJSON is a page of a list of so many webhooks.
func listJSON(page, size, total int) string {
	var items []string
	for i := (page - 1) * size; i < min(page*size, total); i++ {
		items = append(items, webhookJSON(i))
	}
	return fmt.Sprintf(`{"data":[%s],"pagination":{"currentPage":%d,"currentPageItems":%d,"pageSize":%d,"pagesTotal":%d,"itemsTotal":%d,"links":[{"rel":"self","uri":"/webhooks"}]}}`,
		strings.Join(items, ","), page, len(items), size, (total+size-1)/size, total)
}
