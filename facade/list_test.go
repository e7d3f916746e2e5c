package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// newLargeFake is a fake without limits that holds n webhooks, and their ids.
func newLargeFake(t *testing.T, n int, opts ...facadetest.Option) (*facadetest.Server, *facade.Client, []string) {
	t.Helper()
	server, client := newFake(t, append(opts, facadetest.WithWebhookLimit(0), facadetest.WithRateLimit(0, 0))...)
	return server, client, fill(t, server.Client(), n)
}

func fill(t *testing.T, client *facade.Client, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		wh, err := client.CreateWebhook(t.Context(), validParams)
		require.NoError(t, err)
		ids[i] = wh.ID
	}
	return ids
}

// lists counts the list requests that the server was sent.
func lists(server *facadetest.Server) int {
	n := 0
	for _, r := range server.Requests() {
		if r.Method == http.MethodGet && r.Path == "/webhooks" {
			n++
		}
	}
	return n
}

func idsOf(webhooks []*facade.Webhook) []string {
	ids := make([]string, len(webhooks))
	for i, wh := range webhooks {
		ids[i] = wh.ID
	}
	return ids
}

func TestListWebhooks(t *testing.T) {
	t.Parallel()
	_, client, ids := newLargeFake(t, 30)

	page, err := client.ListWebhooks(t.Context(), facade.ListOptions{})
	require.NoError(t, err)
	assert.Equal(t, ids[:25], idsOf(page.Webhooks))
	assert.Equal(t, []int{1, 25, 2, 30}, []int{page.Number, page.Size, page.TotalPages, page.TotalItems})

	page, err = client.ListWebhooks(t.Context(), facade.ListOptions{Page: 3, PageSize: 14})
	require.NoError(t, err)
	assert.Equal(t, ids[28:], idsOf(page.Webhooks))
	assert.Equal(t, []int{3, 14, 3, 30}, []int{page.Number, page.Size, page.TotalPages, page.TotalItems})

	page, err = client.ListWebhooks(t.Context(), facade.ListOptions{Event: facade.EventVideoSourceRecorded})
	require.NoError(t, err)
	assert.Empty(t, page.Webhooks)
	assert.Zero(t, page.TotalItems)

	page, err = client.ListWebhooks(t.Context(), facade.ListOptions{Page: 9})
	require.NoError(t, err)
	assert.Empty(t, page.Webhooks, "beyond the end")
}

func TestListWebhooks_query(t *testing.T) {
	t.Parallel()
	server, client := newFake(t)
	for _, opts := range []facade.ListOptions{
		{},
		{Event: facade.EventVideoCaptionGenerated, Page: 1, PageSize: 100},
	} {
		_, err := client.ListWebhooks(t.Context(), opts)
		require.NoError(t, err)
	}
	requests := server.Requests()
	assert.Empty(t, requests[0].Query)
	assert.Equal(t, "currentPage=1&events=video.caption.generated&pageSize=100", requests[1].Query.Encode())
}

func TestListWebhooks_invalidOptions(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]facade.ListOptions{
		"a negative page":      {Page: -1},
		"a negative page size": {PageSize: -1},
		"a page size over 100": {PageSize: 101},
		"an unknown event":     {Event: "video.encoding.completed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := newFake(t)
			_, err := client.ListWebhooks(t.Context(), opts)
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			_, err = facade.Collect(client.Webhooks(t.Context(), opts))
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			assert.Empty(t, server.Requests(), "nothing was sent")
		})
	}
}

func TestWebhooks_links(t *testing.T) {
	t.Parallel()
	for name, links := range map[string]string{
		"an array":            `[{"rel":"next","uri":"https://elsewhere.example/webhooks?currentPage=2"}]`,
		"an object by rel":    `{"next":{"uri":"/webhooks"},"self":"/webhooks"}`,
		"null":                `null`,
		"something different": `"none"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, answer(http.StatusOK, `{"data":[`+webhookJSON(1)+`],"pagination":{"currentPage":1,"pageSize":25,"pagesTotal":1,"itemsTotal":1,"links":`+links+`}}`))
			all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{}))
			require.NoError(t, err)
			assert.Len(t, all, 1)
		})
	}
}

func TestWebhooks_unchangedList(t *testing.T) {
	t.Parallel()
	tests := []struct {
		webhooks, requests int
		opts               facade.ListOptions
	}{
		{0, 1, facade.ListOptions{}},
		{1, 1, facade.ListOptions{}},
		{99, 1, facade.ListOptions{}},
		{100, 4, facade.ListOptions{}},
		{101, 4, facade.ListOptions{}},
		{250, 6, facade.ListOptions{}},
		{1000, 22, facade.ListOptions{}},
		{10, 8, facade.ListOptions{PageSize: 3}},
		{10, 6, facade.ListOptions{PageSize: 3, Page: 2}},
		{10, 1, facade.ListOptions{PageSize: 3, Page: 4}},
		{10, 1, facade.ListOptions{PageSize: 3, Page: 9}},
	}
	for _, test := range tests {
		for _, beyondEnd := range []int{http.StatusOK, http.StatusBadRequest} {
			t.Run(fmt.Sprintf("%d webhooks from page %d by %d, %d beyond the end", test.webhooks, test.opts.Page, test.opts.PageSize, beyondEnd), func(t *testing.T) {
				t.Parallel()
				server, client, ids := newLargeFake(t, test.webhooks, facadetest.WithPageBeyondEnd(beyondEnd))
				want := ids[min(len(ids), max(0, test.opts.Page-1)*test.opts.PageSize):]
				all, err := facade.Collect(client.Webhooks(t.Context(), test.opts))
				if test.opts.Page == 9 && beyondEnd == http.StatusBadRequest {
					require.ErrorIs(t, err, facade.ErrBadRequest)
				} else {
					require.NoError(t, err)
				}
				assert.Equal(t, want, idsOf(all))
				assert.Equal(t, test.requests, lists(server))
			})
		}
	}
}

func TestWebhooks_event(t *testing.T) {
	t.Parallel()
	_, client, _ := newLargeFake(t, 5)
	wh, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: validParams.URL, Events: []facade.EventType{facade.EventVideoSourceRecorded}})
	require.NoError(t, err)
	all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{Event: facade.EventVideoSourceRecorded}))
	require.NoError(t, err)
	assert.Equal(t, []string{wh.ID}, idsOf(all))
}

func TestWebhooks_rangedTwice(t *testing.T) {
	t.Parallel()
	_, client, ids := newLargeFake(t, 7)
	webhooks := client.Webhooks(t.Context(), facade.ListOptions{PageSize: 3})
	for range 2 {
		all, err := facade.Collect(webhooks)
		require.NoError(t, err)
		assert.Equal(t, ids, idsOf(all))
	}
}

func TestWebhooks_break(t *testing.T) {
	t.Parallel()
	server, client, ids := newLargeFake(t, 7)
	for wh, err := range client.Webhooks(t.Context(), facade.ListOptions{PageSize: 3}) {
		require.NoError(t, err)
		if wh.ID == ids[3] {
			break
		}
	}
	assert.Equal(t, 2, lists(server), "nothing is fetched ahead")
}

func TestWebhooks_bodyDeletes(t *testing.T) {
	t.Parallel()
	for _, beyondEnd := range []int{http.StatusOK, http.StatusBadRequest, http.StatusNotFound} {
		for name, order := range map[string][]facadetest.Option{"oldest first": nil, "newest first": {facadetest.WithNewestFirst()}} {
			t.Run(fmt.Sprintf("%s, %d beyond the end", name, beyondEnd), func(t *testing.T) {
				t.Parallel()
				server, _, ids := newLargeFake(t, 230, append(order, facadetest.WithPageBeyondEnd(beyondEnd))...)
				client := server.Client() // openapi.yaml has no 404 for a list
				var met []string
				for wh, err := range client.Webhooks(t.Context(), facade.ListOptions{PageSize: 20}) {
					require.NoError(t, err)
					met = append(met, wh.ID)
					require.NoError(t, client.DeleteWebhook(t.Context(), wh.ID), "yielded once")
				}
				assert.ElementsMatch(t, ids, met)
				assert.Empty(t, server.Webhooks())
			})
		}
	}
}

func TestWebhooks_bodyCreates(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]facadetest.Option{"oldest first": nil, "newest first": {facadetest.WithNewestFirst()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, client, ids := newLargeFake(t, 50, order...)
			old := make(map[string]bool)
			for _, id := range ids {
				old[id] = true
			}
			met := make(map[string]int)
			for wh, err := range client.Webhooks(t.Context(), facade.ListOptions{PageSize: 20}) {
				require.NoError(t, err)
				met[wh.ID]++
				if old[wh.ID] {
					fill(t, client, 1)
				}
			}
			for _, id := range ids {
				assert.Equal(t, 1, met[id])
			}
			for id, n := range met {
				assert.Equal(t, 1, n, id)
			}
		})
	}
}

// Concurrent clients create and delete webhooks between the requests of an
// iteration, at random. Some changes keep the count.
func TestWebhooks_concurrentChanges(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			opts := []facadetest.Option{facadetest.WithPageBeyondEnd([]int{200, 400, 404}[random.IntN(3)])}
			if random.IntN(2) == 0 {
				opts = append(opts, facadetest.WithNewestFirst())
			}
			server, _, ids := newLargeFake(t, random.IntN(40), opts...)
			other := server.Client()
			stays := make(map[string]bool) // from the first request to the last
			for _, id := range ids {
				stays[id] = true
			}
			restless := random.IntN(8) // requests until the list is stable
			swap := random.IntN(2) == 0
			disturb := func() {
				if all := server.Webhooks(); swap && len(all) > 0 { // the count stays the same
					victim := all[random.IntN(len(all))].ID
					require.NoError(t, other.DeleteWebhook(t.Context(), victim))
					delete(stays, victim)
					fill(t, other, 1)
					return
				}
				for _, wh := range server.Webhooks() {
					if random.IntN(10) == 0 {
						require.NoError(t, other.DeleteWebhook(t.Context(), wh.ID))
						delete(stays, wh.ID)
					}
				}
				fill(t, other, random.IntN(6))
			}
			requests, transport := 0, newTransport(t)
			hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if requests++; requests > 1 && requests <= restless {
					disturb()
				}
				return transport.RoundTrip(r)
			})}
			walker := server.Client(facade.WithHTTPClient(hc))
			met := make(map[string]int)
			for wh, err := range walker.Webhooks(t.Context(), facade.ListOptions{PageSize: 1 + random.IntN(9)}) {
				require.NoError(t, err)
				met[wh.ID]++
			}
			for id := range stays {
				assert.Equal(t, 1, met[id], "yielded exactly once: %s", id)
			}
			for id, n := range met {
				assert.Equal(t, 1, n, "never twice: %s", id)
			}
		})
	}
}

func TestWebhooks_concurrentIterations(t *testing.T) {
	t.Parallel()
	_, client, ids := newLargeFake(t, 60)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 10 {
				wh, err := client.CreateWebhook(t.Context(), validParams)
				if assert.NoError(t, err) {
					assert.NoError(t, client.DeleteWebhook(t.Context(), wh.ID))
				}
			}
		})
		group.Go(func() {
			all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{PageSize: 100}))
			if assert.NoError(t, err, "one page is consistent") {
				assert.Subset(t, idsOf(all), ids)
			}
		})
	}
	group.Wait()
}

func TestWebhooks_inconsistentServer(t *testing.T) {
	t.Parallel()
	page := func(data string, number, size, pages, items any) string {
		return fmt.Sprintf(`{"data":[%s],"pagination":{"currentPage":%v,"pageSize":%v,"pagesTotal":%v,"itemsTotal":%v}}`, data, number, size, pages, items)
	}
	one, two := webhookJSON(1), webhookJSON(1)+","+webhookJSON(2)
	tests := []struct {
		name        string
		answer      func(request, number int) string
		webhooks    int // -1: an error
		maxRequests int
	}{
		{"ignores the page number", func(_, _ int) string { return page(two, 1, 2, 3, 6) }, -1, 20},
		{"ignores the page number of 2^30 pages", func(_, number int) string { return page(one, number, 1, 1<<30, 1<<30) }, -1, 20},
		{"repeats a full page beyond the end", func(_, _ int) string { return page(two, 1, 2, 1, 2) }, 2, 4},
		{"other webhooks in each response", func(request, number int) string { return page(webhookJSON(request), number, 1, 2, request) }, -1, 30},
		{"one more page in each response", func(request, number int) string { return page(webhookJSON(request), number, 1, request+1, request+1) }, -1, 1 << 12},
		{"another webhook on each page, without end", func(_, number int) string { return page(webhookJSON(number), number, 1, number+1, number+1) }, 3, 6},
		{"one page with fewer webhooks than counted", func(_, _ int) string { return page(one, 1, 25, 1, 2) }, 1, 1},
		{"one page with more webhooks than counted", func(_, _ int) string { return page(two, 1, 25, 1, 1) }, 2, 1},
		{"a webhook created after the count of an empty list", func(_, _ int) string { return page(one, 1, 25, 0, 0) }, 1, 1},
		{"one webhook on two pages", func(_, number int) string {
			return page(webhookJSON(number)+","+webhookJSON(number+1), number, 2, 2, 3)
		}, -1, 30},
		{"one webhook twice on a page", func(_, _ int) string { return page(one+","+one, 1, 25, 1, 2) }, 1, 1},
		{"empty pages", func(_, number int) string { return page("", number, 1, 5, 5) }, 0, 2},
		{"numbers with a fraction", func(_, _ int) string { return page(one, "1.0", "25.0", "1.0", "1.0") }, 1, 1},
		{"numbers as exponents", func(_, _ int) string { return page(one, "1e0", "2.5e1", "1E0", "1e+0") }, 1, 1},
		{"negative counts", func(_, number int) string { return page(one, number, 1, -5, -5) }, -1, 1},
		{"counts of 64 bits", func(_, number int) string { return page(one, number, 25, 1, int64(1)<<62) }, 1, 1},
		{"counts as text", func(_, number int) string { return page(one, number, 1, `"1"`, `"1"`) }, -1, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				number, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, test.answer(int(requests.Add(1)), number))
			})
			seen := make(map[string]bool)
			var errs []error
			for wh, err := range client.Webhooks(t.Context(), facade.ListOptions{}) {
				if err != nil {
					assert.Equal(t, "ListWebhooks", asError(t, err).Op)
					assert.Nil(t, wh)
					errs = append(errs, err)
					continue
				}
				assert.Empty(t, errs, "after the error")
				assert.False(t, seen[wh.ID], "yielded twice")
				seen[wh.ID] = true
			}
			assert.LessOrEqual(t, int(requests.Load()), test.maxRequests)
			if test.webhooks < 0 {
				require.Len(t, errs, 1)
				require.ErrorIs(t, errs[0], facade.ErrUnexpectedResponse)
				return
			}
			require.Empty(t, errs)
			assert.Len(t, seen, test.webhooks)
		})
	}
}

func TestWebhooks_pageAlwaysRefused(t *testing.T) {
	t.Parallel()
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("currentPage") != "1" {
			answer(http.StatusBadRequest, `{"title":"A query parameter is invalid.","name":"currentPage"}`)(w, r)
			return
		}
		answer(http.StatusOK, listJSON(1, 1, 2))(w, r)
	})
	all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{}))
	require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
	require.ErrorIs(t, err, facade.ErrBadRequest, "the reason")
	assert.Len(t, all, 1, "before the error")
}

func TestWebhooks_errorOnSecondPage(t *testing.T) {
	t.Parallel()
	server, client, ids := newLargeFake(t, 7)
	server.Inject(facadetest.Fault{
		Match:  func(r *http.Request) bool { return r.URL.Query().Get("currentPage") == "2" },
		Times:  -1,
		Status: http.StatusInternalServerError,
	})
	all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{PageSize: 3}))
	require.ErrorIs(t, err, facade.ErrServer)
	assert.Equal(t, ids[:3], idsOf(all))
}

// The response of the service beyond the end is unknown. It may be the last page.
func TestWebhooks_fromBeyondTheEnd(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		answer(http.StatusOK, listJSON(2, 2, 3))(w, r)
	})
	for _, page := range []int{3, 9, math.MaxInt} {
		requests.Store(0)
		all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{Page: page, PageSize: 2}))
		require.NoError(t, err)
		assert.Empty(t, all)
		assert.EqualValues(t, 1, requests.Load())
	}
}

func TestListWebhooks_invalidPagination(t *testing.T) {
	t.Parallel()
	for name, pagination := range map[string]string{
		"webhooks and no page":        `{"currentPage":1,"pageSize":25,"pagesTotal":0,"itemsTotal":1}`,
		"a full page and no counts":   `{"currentPage":1,"pageSize":1}`,
		"negative counts, full page":  `{"currentPage":1,"pageSize":1,"pagesTotal":-1,"itemsTotal":-1}`,
		"page zero":                   `{"currentPage":0,"pageSize":25,"pagesTotal":1,"itemsTotal":1}`,
		"page size zero":              `{"currentPage":1,"pageSize":0,"pagesTotal":1,"itemsTotal":1}`,
		"pagination of another type":  `[]`,
		"numbers of another type":     `{"currentPage":{},"pageSize":[],"pagesTotal":true,"itemsTotal":null}`,
		"a page number below integer": `{"currentPage":0.5,"pageSize":25,"pagesTotal":1,"itemsTotal":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, answer(http.StatusOK, `{"data":[`+webhookJSON(1)+`],"pagination":`+pagination+`}`))
			_, err := client.ListWebhooks(t.Context(), facade.ListOptions{})
			require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
		})
	}
}

func TestWebhooks_firstPageRefused(t *testing.T) {
	t.Parallel()
	server, client, _ := newLargeFake(t, 3, facadetest.WithPageBeyondEnd(http.StatusBadRequest))
	_, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{Page: 2}))
	require.ErrorIs(t, err, facade.ErrBadRequest)
	require.NotErrorIs(t, err, facade.ErrUnexpectedResponse)
	assert.Equal(t, 1, lists(server))
}

func TestWebhooks_contextEnds(t *testing.T) {
	t.Parallel()
	server, client, _ := newLargeFake(t, 7)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var errs []error
	for _, err := range client.Webhooks(ctx, facade.ListOptions{PageSize: 3}) {
		cancel()
		if err != nil {
			errs = append(errs, err)
		}
	}
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], context.Canceled)
	assert.Equal(t, 1, lists(server))
}

func TestCollect(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	all, err := facade.Collect(func(yield func(int, error) bool) {
		_ = yield(1, nil) && yield(2, nil) && yield(3, boom) && yield(4, nil)
	})
	assert.Equal(t, []int{1, 2}, all, "up to the first error")
	require.ErrorIs(t, err, boom)

	all, err = facade.Collect(func(func(int, error) bool) {})
	assert.Nil(t, all)
	require.NoError(t, err)
}
