package facade_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

// The three ways to make a call that the benchmarks put side by side, against
// the same server in the same run: by hand, with the raw client, which is the
// generated one behind the facade's chain, and with the facade. benchstat makes columns of what follows "via=".
const (
	viaFloor  = "via=floor"
	viaRaw    = "via=raw"
	viaFacade = "via=facade"
)

func BenchmarkGet(b *testing.B) {
	server := newBenchServer(b)
	b.Run(viaFloor, func(b *testing.B) {
		floor := newFloor(server.URL)
		bench(b, func() error {
			var wh floorWebhook
			return floor.do(b.Context(), http.MethodGet, "/webhooks/webhook_0000000000000000000000", nil, http.StatusOK, &wh)
		})
	})
	b.Run(viaRaw, func(b *testing.B) {
		raw := newBenchClient(b, server.URL).Raw()
		bench(b, func() error {
			r, err := raw.GetWebhookWithResponse(b.Context(), "webhook_0000000000000000000000")
			if err == nil && r.JSON200 == nil {
				err = errors.New(r.Status())
			}
			return err
		})
	})
	b.Run(viaFacade, func(b *testing.B) {
		client := newBenchClient(b, server.URL)
		bench(b, func() error {
			_, err := client.GetWebhook(b.Context(), "webhook_0000000000000000000000")
			return err
		})
	})
}

func BenchmarkCreate(b *testing.B) {
	server := newBenchServer(b)
	b.Run(viaFloor, func(b *testing.B) {
		floor := newFloor(server.URL)
		bench(b, func() error {
			var wh floorWebhook
			in := floorCreation{URL: "https://hooks.example.com/apivideo", Events: []string{"video.encoding.quality.completed"}}
			return floor.do(b.Context(), http.MethodPost, "/webhooks", in, http.StatusCreated, &wh)
		})
	})
	b.Run(viaRaw, func(b *testing.B) {
		raw := newBenchClient(b, server.URL).Raw()
		bench(b, func() error {
			r, err := raw.CreateWebhookWithResponse(b.Context(), gen.WebhookCreation{
				URL:    "https://hooks.example.com/apivideo",
				Events: []gen.EventType{gen.EventTypeVideoEncodingQualityCompleted},
			})
			if err == nil && r.JSON201 == nil {
				err = errors.New(r.Status())
			}
			return err
		})
	})
	b.Run(viaFacade, func(b *testing.B) {
		client := newBenchClient(b, server.URL)
		bench(b, func() error {
			_, err := client.CreateWebhook(b.Context(), facade.CreateWebhookParams{
				URL:    "https://hooks.example.com/apivideo",
				Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
			})
			return err
		})
	})
}

func BenchmarkList100(b *testing.B) {
	server := newBenchServer(b)
	b.Run(viaFloor, func(b *testing.B) {
		floor := newFloor(server.URL)
		bench(b, func() error {
			var list floorList
			err := floor.do(b.Context(), http.MethodGet, "/webhooks?currentPage=1&pageSize=100", nil, http.StatusOK, &list)
			if err == nil && len(list.Data) != 100 {
				err = fmt.Errorf("%d webhooks", len(list.Data))
			}
			return err
		})
	})
	b.Run(viaRaw, func(b *testing.B) {
		raw := newBenchClient(b, server.URL).Raw()
		page, size := 1, 100
		bench(b, func() error {
			r, err := raw.ListWebhooksWithResponse(b.Context(), &gen.ListWebhooksParams{CurrentPage: &page, PageSize: &size})
			if err == nil && (r.JSON200 == nil || len(r.JSON200.Data) != 100) {
				err = errors.New(r.Status())
			}
			return err
		})
	})
	b.Run(viaFacade, func(b *testing.B) {
		client := newBenchClient(b, server.URL)
		bench(b, func() error {
			page, err := client.ListWebhooks(b.Context(), facade.ListOptions{Page: 1, PageSize: 100})
			if err == nil && len(page.Webhooks) != 100 {
				err = fmt.Errorf("%d webhooks", len(page.Webhooks))
			}
			return err
		})
	})
}

// A walk over 1,000 webhooks. live-B/webhook is what it keeps alive of each one
// at its end: its id, 30 bytes, and the id's place in a map.
func BenchmarkWalk1000(b *testing.B) {
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

// liveBytes is what is reachable on the heap, measured while the clock stands.
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

// What a token costs once it is there.
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

// 64 goroutines on one client, with a connection for each.
func BenchmarkParallelGet(b *testing.B) {
	server := newBenchServer(b)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(transport.CloseIdleConnections)
	parallel := func(b *testing.B, call func() error) {
		b.Helper()
		b.SetParallelism((64 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := call(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.Run(viaFloor, func(b *testing.B) {
		floor := newFloor(server.URL)
		floor.client.Transport = transport
		parallel(b, func() error {
			var wh floorWebhook
			return floor.do(b.Context(), http.MethodGet, "/webhooks/webhook_0000000000000000000000", nil, http.StatusOK, &wh)
		})
	})
	b.Run(viaFacade, func(b *testing.B) {
		client := newBenchClient(b, server.URL, facade.WithHTTPClient(&http.Client{Transport: transport}))
		parallel(b, func() error {
			_, err := client.GetWebhook(b.Context(), "webhook_0000000000000000000000")
			return err
		})
	})
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
	var lists []string // pages of 1,000; the first is also what BenchmarkList100 asks for
	for page := range 10 {
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

// floor is what a careful caller would write by hand: a timeout, a bounded
// read, and the status told apart.
type floor struct {
	client http.Client
	url    string
}

type floorCreation struct {
	URL    string   `json:"url"`
	Events []string `json:"events"`
}

type floorWebhook struct {
	WebhookID       string    `json:"webhookId"`
	CreatedAt       time.Time `json:"createdAt"`
	Events          []string  `json:"events"`
	URL             string    `json:"url"`
	SignatureSecret string    `json:"signatureSecret"`
}

type floorList struct {
	Data       []floorWebhook `json:"data"`
	Pagination struct {
		CurrentPage int `json:"currentPage"`
		PageSize    int `json:"pageSize"`
		PagesTotal  int `json:"pagesTotal"`
		ItemsTotal  int `json:"itemsTotal"`
	} `json:"pagination"`
}

func newFloor(url string) *floor {
	return &floor{client: http.Client{Timeout: 30 * time.Second}, url: url}
}

func (f *floor) do(ctx context.Context, method, path string, in any, want int, out any) error {
	var body io.Reader
	if in != nil {
		buf, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(buf)
	}
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, body)
	if err != nil {
		return err
	}
	req.SetBasicAuth("key", "")
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	buf, err := io.ReadAll(io.LimitReader(resp.Body, 10<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s: %s", resp.Status, buf)
	}
	return json.Unmarshal(buf, out)
}
