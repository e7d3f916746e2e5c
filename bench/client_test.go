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
	total      = 1000 // webhooks in the account
	pageSize   = 100
)

// client is the same client made one way.
type client interface {
	get(ctx context.Context) (url string, err error)
	create(ctx context.Context) (url string, err error)
	list(ctx context.Context) (n int, err error) // the first page
	walk(ctx context.Context) (n int, err error) // all pages
}

// makers make a client that sends with a transport, or with net/http's own if
// that is nil.
var makers = []struct {
	via string
	new func(url string, transport http.RoundTripper) (client, error)
}{
	{viaFloor, newFloor},
	{viaGen, newGenerated},
	{viaFacade, newFacade},
}

func BenchmarkGet(b *testing.B) {
	eachClient(b, newServer(b, 0), nil, func(b *testing.B, c client) {
		b.Helper()
		one(b, func() error { return got(c.get(b.Context())) })
	})
}

func BenchmarkCreate(b *testing.B) {
	eachClient(b, newServer(b, 0), nil, func(b *testing.B, c client) {
		b.Helper()
		one(b, func() error { return got(c.create(b.Context())) })
	})
}

func BenchmarkList100(b *testing.B) {
	eachClient(b, newServer(b, 0), nil, func(b *testing.B, c client) {
		b.Helper()
		one(b, func() error { return counted(c.list(b.Context()))(pageSize) })
	})
}

// 64 goroutines on one client, with a connection for each.
func BenchmarkGet64(b *testing.B) {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(transport.CloseIdleConnections)
	eachClient(b, newServer(b, 0), transport, func(b *testing.B, c client) {
		b.Helper()
		parallel64(b, func() error { return got(c.get(b.Context())) })
	})
}

// The first call of a fresh client, its connection included.
func BenchmarkColdGet(b *testing.B) {
	url := newServer(b, 0)
	for _, maker := range makers {
		b.Run(maker.via, func(b *testing.B) {
			one(b, func() error {
				transport := new(http.Transport)
				defer transport.CloseIdleConnections()
				c, err := maker.new(url, transport)
				if err != nil {
					return err
				}
				return got(c.get(b.Context()))
			})
		})
	}
}

// All webhooks of a server that takes 50 ms for each page. The facade scans the list
// twice, and asks for the page after a full one.
func BenchmarkIterate1000(b *testing.B) {
	eachClient(b, newServer(b, 50*time.Millisecond), nil, func(b *testing.B, c client) {
		b.Helper()
		one(b, func() error { return counted(c.walk(b.Context()))(total) })
	})
}

func eachClient(b *testing.B, url string, transport http.RoundTripper, run func(*testing.B, client)) {
	b.Helper()
	for _, maker := range makers {
		b.Run(maker.via, func(b *testing.B) {
			c, err := maker.new(url, transport)
			require.NoError(b, err)
			run(b, c)
		})
	}
}

func got(url string, err error) error {
	if err == nil && url != webhookURL {
		err = errors.New(url)
	}
	return err
}

func counted(n int, err error) func(want int) error {
	return func(want int) error {
		if err == nil && n != want {
			err = fmt.Errorf("%d webhooks", n)
		}
		return err
	}
}

// generated is the generated client alone.
type generated struct{ *gen.ClientWithResponses }

func newGenerated(url string, transport http.RoundTripper) (client, error) {
	c, err := gen.NewClientWithResponses(url,
		gen.WithHTTPClient(&http.Client{Transport: transport, Timeout: 30 * time.Second}),
		gen.WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
			req.SetBasicAuth("key", "")
			return nil
		}))
	return generated{c}, err
}

func (c generated) get(ctx context.Context) (string, error) {
	r, err := c.GetWebhookWithResponse(ctx, webhookID)
	if err != nil {
		return "", err
	}
	if r.JSON200 == nil {
		return "", errors.New(r.Status())
	}
	return r.JSON200.URL, nil
}

func (c generated) create(ctx context.Context) (string, error) {
	r, err := c.CreateWebhookWithResponse(ctx, gen.WebhookCreation{URL: webhookURL, Events: []gen.EventType{gen.EventTypeVideoEncodingQualityCompleted}})
	if err != nil {
		return "", err
	}
	if r.JSON201 == nil {
		return "", errors.New(r.Status())
	}
	return r.JSON201.URL, nil
}

func (c generated) list(ctx context.Context) (int, error) {
	list, err := c.page(ctx, 1)
	if err != nil {
		return 0, err
	}
	return len(list.Data), nil
}

func (c generated) walk(ctx context.Context) (int, error) {
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

func (c generated) page(ctx context.Context, number int) (*gen.WebhookList, error) {
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

// facaded is this module's client.
type facaded struct{ *facade.Client }

func newFacade(url string, transport http.RoundTripper) (client, error) {
	c, err := facade.NewClient("key", facade.WithBaseURL(url), facade.WithHTTPClient(&http.Client{Transport: transport}))
	return facaded{c}, err
}

func (c facaded) get(ctx context.Context) (string, error) {
	wh, err := c.GetWebhook(ctx, webhookID)
	if err != nil {
		return "", err
	}
	return wh.URL, nil
}

func (c facaded) create(ctx context.Context) (string, error) {
	wh, err := c.CreateWebhook(ctx, facade.CreateWebhookParams{URL: webhookURL, Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted}})
	if err != nil {
		return "", err
	}
	return wh.URL, nil
}

func (c facaded) list(ctx context.Context) (int, error) {
	page, err := c.ListWebhooks(ctx, facade.ListOptions{Page: 1, PageSize: pageSize})
	if err != nil {
		return 0, err
	}
	return len(page.Webhooks), nil
}

func (c facaded) walk(ctx context.Context) (int, error) {
	n := 0
	for _, err := range c.Webhooks(ctx, facade.ListOptions{}) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// newServer answers from memory, so that little else than the client's side is
// measured, after so much latency.
func newServer(b *testing.B, latency time.Duration) string {
	b.Helper()
	var pages []string
	for page := range total/pageSize + 1 { // one beyond the end
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
		answer := webhookJSON(0)
		switch {
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusCreated)
		case r.URL.Path == "/webhooks":
			page, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
			answer = pages[page-1]
		}
		_, _ = io.WriteString(w, answer)
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
	for i := (page - 1) * pageSize; i < min(page*pageSize, total); i++ {
		items = append(items, webhookJSON(i))
	}
	return fmt.Sprintf(`{"data":[%s],"pagination":{"currentPage":%d,"currentPageItems":%d,"pageSize":%d,"pagesTotal":%d,"itemsTotal":%d,"links":[{"rel":"self","uri":"/webhooks"}]}}`,
		strings.Join(items, ","), page, len(items), pageSize, total/pageSize, total)
}
