package bench_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

const (
	webhookID  = "webhook_0000000000000000000000"
	webhookURL = "https://hooks.example.com/apivideo/0"
	itemsTotal = 1000 // the number of webhooks in the account
	pageSize   = 100
)

// client is the interface of the compared clients.
type client interface {
	get(ctx context.Context) (url string, err error)
	create(ctx context.Context) (url string, err error)
	list(ctx context.Context) (n int, err error)    // counts the first page
	iterate(ctx context.Context) (n int, err error) // counts all pages
}

// variants are the compared clients. A nil transport is the default transport of
// net/http.
var variants = []struct {
	via       string
	newClient func(url string, transport http.RoundTripper) (client, error)
}{
	{viaFloor, newFloorClient},
	{viaGen, newGenClient},
	{viaFacade, newFacadeClient},
}

func BenchmarkGet(b *testing.B) {
	eachClient(b, newServer(b, 0), nil, func(b *testing.B, c client) {
		b.Helper()
		serial(b, func() error { return checkURL(c.get(b.Context())) })
	})
}

func BenchmarkCreate(b *testing.B) {
	eachClient(b, newServer(b, 0), nil, func(b *testing.B, c client) {
		b.Helper()
		serial(b, func() error { return checkURL(c.create(b.Context())) })
	})
}

func BenchmarkList100(b *testing.B) {
	eachClient(b, newServer(b, 0), nil, func(b *testing.B, c client) {
		b.Helper()
		serial(b, func() error { return checkCount(pageSize)(c.list(b.Context())) })
	})
}

// BenchmarkGet64 uses one client in 64 goroutines with a connection each.
func BenchmarkGet64(b *testing.B) {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(transport.CloseIdleConnections)
	eachClient(b, newServer(b, 0), transport, func(b *testing.B, c client) {
		b.Helper()
		parallel64(b, func() error { return checkURL(c.get(b.Context())) })
	})
}

// BenchmarkColdGet measures the first call of a new client with a new connection.
func BenchmarkColdGet(b *testing.B) {
	url := newServer(b, 0)
	for _, variant := range variants {
		b.Run(variant.via, func(b *testing.B) {
			serial(b, func() error {
				transport := new(http.Transport)
				defer transport.CloseIdleConnections()
				c, err := variant.newClient(url, transport)
				if err != nil {
					return err
				}
				return checkURL(c.get(b.Context()))
			})
		})
	}
}

// BenchmarkIterate1000 has a server that needs 50 ms for each page. The facade
// scans the list twice and also requests the page after a full page.
func BenchmarkIterate1000(b *testing.B) {
	eachClient(b, newServer(b, 50*time.Millisecond), nil, func(b *testing.B, c client) {
		b.Helper()
		serial(b, func() error { return checkCount(itemsTotal)(c.iterate(b.Context())) })
	})
}

func eachClient(b *testing.B, url string, transport http.RoundTripper, run func(*testing.B, client)) {
	b.Helper()
	for _, variant := range variants {
		b.Run(variant.via, func(b *testing.B) {
			c, err := variant.newClient(url, transport)
			require.NoError(b, err)
			run(b, c)
		})
	}
}

func checkURL(url string, err error) error {
	if err == nil && url != webhookURL {
		err = errors.New(url)
	}
	return err
}

func checkCount(want int) func(n int, err error) error {
	return func(n int, err error) error {
		if err == nil && n != want {
			err = fmt.Errorf("%d webhooks", n)
		}
		return err
	}
}

// genClient is the generated client.
type genClient struct{ *gen.ClientWithResponses }

func newGenClient(url string, transport http.RoundTripper) (client, error) {
	c, err := gen.NewClientWithResponses(url,
		gen.WithHTTPClient(&http.Client{Transport: transport, Timeout: 30 * time.Second}),
		gen.WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
			req.SetBasicAuth("key", "")
			return nil
		}))
	return genClient{c}, err
}

func (c genClient) get(ctx context.Context) (string, error) {
	r, err := c.GetWebhookWithResponse(ctx, webhookID)
	if err != nil {
		return "", err
	}
	if r.JSON200 == nil {
		return "", errors.New(r.Status())
	}
	return r.JSON200.URL, nil
}

func (c genClient) create(ctx context.Context) (string, error) {
	r, err := c.CreateWebhookWithResponse(ctx, gen.WebhookCreation{URL: webhookURL, Events: []gen.EventType{gen.EventTypeVideoEncodingQualityCompleted}})
	if err != nil {
		return "", err
	}
	if r.JSON201 == nil {
		return "", errors.New(r.Status())
	}
	return r.JSON201.URL, nil
}

func (c genClient) list(ctx context.Context) (int, error) {
	list, err := c.page(ctx, 1)
	if err != nil {
		return 0, err
	}
	return len(list.Data), nil
}

func (c genClient) iterate(ctx context.Context) (int, error) {
	n := 0
	for number, last := 1, 1; number <= last; number++ {
		list, err := c.page(ctx, number)
		if err != nil {
			return n, err
		}
		n += len(list.Data)
		last = int(list.Pagination.PagesTotal)
	}
	return n, nil
}

func (c genClient) page(ctx context.Context, number int) (*gen.WebhookList, error) {
	size := pageSize
	r, err := c.ListWebhooksWithResponse(ctx, &gen.ListWebhooksParams{CurrentPage: &number, PageSize: &size})
	if err != nil {
		return nil, err
	}
	if r.JSON200 == nil {
		return nil, errors.New(r.Status())
	}
	return r.JSON200, nil
}

// facadeClient is the client of this module.
type facadeClient struct{ *facade.Client }

func newFacadeClient(url string, transport http.RoundTripper) (client, error) {
	c, err := facade.NewClient("key", facade.WithBaseURL(url), facade.WithHTTPClient(&http.Client{Transport: transport}))
	return facadeClient{c}, err
}

func (c facadeClient) get(ctx context.Context) (string, error) {
	wh, err := c.GetWebhook(ctx, webhookID)
	if err != nil {
		return "", err
	}
	return wh.URL, nil
}

func (c facadeClient) create(ctx context.Context) (string, error) {
	wh, err := c.CreateWebhook(ctx, facade.CreateWebhookParams{URL: webhookURL, Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted}})
	if err != nil {
		return "", err
	}
	return wh.URL, nil
}

func (c facadeClient) list(ctx context.Context) (int, error) {
	page, err := c.ListWebhooks(ctx, facade.ListOptions{Page: 1, PageSize: pageSize})
	if err != nil {
		return 0, err
	}
	return len(page.Webhooks), nil
}

func (c facadeClient) iterate(ctx context.Context) (int, error) {
	n := 0
	for _, err := range c.Webhooks(ctx, facade.ListOptions{}) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// newServer starts a server and returns its URL. The server responds from memory
// after the latency, so the client dominates the measurement.
func newServer(b *testing.B, latency time.Duration) string {
	b.Helper()
	var pages []string
	for page := range itemsTotal/pageSize + 1 { // one beyond the end
		pages = append(pages, pageJSON(page+1))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if latency > 0 {
			<-time.After(latency)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-RateLimit-Limit", "100")
		w.Header().Set("X-RateLimit-Remaining", "99")
		w.Header().Set("X-RateLimit-Retry-After", "42")
		body := webhookJSON(0)
		switch {
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusCreated)
		case r.URL.Path == "/webhooks":
			page, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
			body = pages[page-1]
		}
		_, _ = io.WriteString(w, body)
	}))
	b.Cleanup(server.Close)
	return server.URL
}

func webhookJSON(n int) string {
	return fmt.Sprintf(`{"webhookId":"webhook_%022d","createdAt":"2024-08-08T14:12:18+00:00",`+
		`"events":["video.encoding.quality.completed","video.source.recorded"],`+
		`"url":"https://hooks.example.com/apivideo/%d","signatureSecret":"sig_sec_%022d"}`, n, n, n)
}

func pageJSON(page int) string {
	var items []string
	for i := (page - 1) * pageSize; i < min(page*pageSize, itemsTotal); i++ {
		items = append(items, webhookJSON(i))
	}
	return fmt.Sprintf(`{"data":[%s],"pagination":{"currentPage":%d,"currentPageItems":%d,"pageSize":%d,"pagesTotal":%d,"itemsTotal":%d,"links":[{"rel":"self","uri":"/webhooks"}]}}`,
		strings.Join(items, ","), page, len(items), pageSize, itemsTotal/pageSize, itemsTotal)
}
