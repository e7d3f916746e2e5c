package facade_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// newLargeFake returns a fake without limits that has n webhooks, a client, and the
// IDs.
func newLargeFake(t *testing.T, n int, opts ...facadetest.Option) (*facadetest.Server, *facade.Client, []string) {
	t.Helper()
	server := facadetest.NewServer(append(opts, facadetest.WithWebhookLimit(0), facadetest.WithRateLimit(0, 0))...)
	t.Cleanup(server.Close)
	client := server.Client(facade.WithHTTPClient(&http.Client{Transport: counted(t, inMemory(server))}))
	return server, client, create(t, client, n)
}

// create creates n webhooks.
func create(t *testing.T, client *facade.Client, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		wh, err := client.CreateWebhook(t.Context(), validParams)
		require.NoError(t, err)
		ids[i] = wh.ID
	}
	return ids
}

// lists returns the number of list requests.
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

// sortOrders are the two possible orders of a list.
var sortOrders = map[string][]facadetest.Option{"oldest first": nil, "newest first": {facadetest.WithNewestFirst()}}

func TestListWebhooks(t *testing.T) {
	t.Parallel()
	server, client := newFake(t, facadetest.WithWebhookLimit(0), facadetest.WithRateLimit(0, 0))
	ids := create(t, client, 30)
	tests := []struct {
		opts  facade.ListOptions
		query string
		want  []string
		page  facade.Page
	}{
		{facade.ListOptions{}, "", ids[:25], facade.Page{Number: 1, Size: 25, TotalPages: 2, TotalItems: 30}},
		{facade.ListOptions{Page: 3, PageSize: 14}, "currentPage=3&pageSize=14", ids[28:], facade.Page{Number: 3, Size: 14, TotalPages: 3, TotalItems: 30}},
		{
			facade.ListOptions{Event: facade.EventVideoSourceRecorded, Page: 1, PageSize: 100},
			"currentPage=1&events=video.source.recorded&pageSize=100",
			[]string{},
			facade.Page{Number: 1, Size: 100, TotalPages: 1},
		},
		{facade.ListOptions{Page: 9}, "currentPage=9", []string{}, facade.Page{Number: 9, Size: 25, TotalPages: 2, TotalItems: 30}},
	}
	for _, test := range tests {
		page, err := client.ListWebhooks(t.Context(), test.opts)
		require.NoError(t, err)
		requests := server.Requests()
		assert.Equal(t, test.query, requests[len(requests)-1].Query.Encode())
		assert.Equal(t, test.want, idsOf(page.Webhooks))
		page.Webhooks = nil
		assert.Equal(t, test.page, *page)
	}
	sent := len(server.Requests())
	for _, opts := range []facade.ListOptions{{Page: -1}, {PageSize: -1}, {PageSize: 101}, {Event: "video.encoding.completed"}} {
		_, err := client.ListWebhooks(t.Context(), opts)
		require.ErrorIs(t, err, facade.ErrInvalidArgument)
		_, err = facade.Collect(client.Webhooks(t.Context(), opts))
		require.ErrorIs(t, err, facade.ErrInvalidArgument)
	}
	assert.Len(t, server.Requests(), sent)
}

func TestWebhooks_unchangedList(t *testing.T) {
	t.Parallel()
	tests := []struct {
		webhooks, requests int
		opts               facade.ListOptions
	}{
		{0, 1, facade.ListOptions{}},
		{1, 1, facade.ListOptions{}},
		{100, 4, facade.ListOptions{}},
		{101, 4, facade.ListOptions{}},
		{10, 8, facade.ListOptions{PageSize: 3}},
		{10, 6, facade.ListOptions{PageSize: 3, Page: 2}},
		{10, 1, facade.ListOptions{PageSize: 3, Page: 4}},
		{10, 1, facade.ListOptions{PageSize: 3, Page: 9}},
	}
	for _, test := range tests {
		for _, beyondEnd := range []int{http.StatusOK, http.StatusBadRequest} {
			name := fmt.Sprintf("%d webhooks, page %d of %d, %d beyond the end", test.webhooks, test.opts.Page, test.opts.PageSize, beyondEnd)
			server, client, ids := newLargeFake(t, test.webhooks, facadetest.WithPageBeyondEnd(beyondEnd))
			all, err := facade.Collect(client.Webhooks(t.Context(), test.opts))
			if test.opts.Page == 9 && beyondEnd == http.StatusBadRequest {
				require.ErrorIs(t, err, facade.ErrBadRequest, name)
				require.NotErrorIs(t, err, facade.ErrUnexpectedResponse, name)
			} else {
				require.NoError(t, err, name)
			}
			assert.Equal(t, ids[min(len(ids), max(0, test.opts.Page-1)*test.opts.PageSize):], idsOf(all), name)
			assert.Equal(t, test.requests, lists(server), name)
		}
	}
}

func TestWebhooks_event(t *testing.T) {
	t.Parallel()
	_, client, _ := newLargeFake(t, 5)
	wh, err := client.CreateWebhook(t.Context(), newParams(validParams.URL, facade.EventVideoSourceRecorded))
	require.NoError(t, err)
	all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{Event: facade.EventVideoSourceRecorded}))
	require.NoError(t, err)
	assert.Equal(t, []string{wh.ID}, idsOf(all))
}

func TestWebhooks_loops(t *testing.T) {
	t.Parallel()
	server, client, ids := newLargeFake(t, 7)
	webhooks := client.Webhooks(t.Context(), facade.ListOptions{PageSize: 3})
	for wh, err := range webhooks {
		require.NoError(t, err)
		if wh.ID == ids[3] {
			break
		}
	}
	assert.Equal(t, 2, lists(server), "nothing is fetched ahead")
	for range 2 {
		all, err := facade.Collect(webhooks)
		require.NoError(t, err)
		assert.Equal(t, ids, idsOf(all))
	}
}

func TestWebhooks_bodyDeletes(t *testing.T) {
	t.Parallel()
	for _, beyondEnd := range []int{http.StatusOK, http.StatusBadRequest, http.StatusNotFound} {
		for _, order := range sortOrders {
			server, client, ids := newLargeFake(t, 33, append(order, facadetest.WithPageBeyondEnd(beyondEnd))...)
			var yielded []string
			for wh, err := range client.Webhooks(t.Context(), facade.ListOptions{PageSize: 5}) {
				require.NoError(t, err)
				yielded = append(yielded, wh.ID)
				require.NoError(t, client.DeleteWebhook(t.Context(), wh.ID))
			}
			assert.ElementsMatch(t, ids, yielded)
			assert.Empty(t, server.Webhooks())
		}
	}
}

// assertYielded checks that each webhook was yielded once, and all ids.
func assertYielded(t *testing.T, ids []string, yielded map[string]int) {
	t.Helper()
	for _, id := range ids {
		assert.Equal(t, 1, yielded[id], id)
	}
	for id, n := range yielded {
		assert.Equal(t, 1, n, id)
	}
}

// Concurrent clients create and delete webhooks between the requests of an iteration, at
// random. Some changes keep the count.
func TestWebhooks_concurrentChanges(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		if raceEnabled && seed%10 != 0 {
			continue
		}
		random := rand.New(rand.NewPCG(seed, 0))
		opts := []facadetest.Option{facadetest.WithPageBeyondEnd([]int{200, 400, 404}[random.IntN(3)])}
		if random.IntN(2) == 0 {
			opts = append(opts, facadetest.WithNewestFirst())
		}
		server, other, ids := newLargeFake(t, random.IntN(40), opts...)
		stays := make(map[string]bool) // during the whole iteration
		for _, id := range ids {
			stays[id] = true
		}
		remove := func(id string) {
			require.NoError(t, other.DeleteWebhook(t.Context(), id))
			delete(stays, id)
		}
		changes := random.IntN(8) // requests until the list is stable
		isSwap := random.IntN(2) == 0
		change := func() {
			if all := server.Webhooks(); isSwap && len(all) > 0 { // keeps the count
				remove(all[random.IntN(len(all))].ID)
				create(t, other, 1)
				return
			}
			for _, wh := range server.Webhooks() {
				if random.IntN(10) == 0 {
					remove(wh.ID)
				}
			}
			create(t, other, random.IntN(6))
		}
		requests := 0
		client := server.Client(facade.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if requests++; requests > 1 && requests <= changes {
				change()
			}
			return serve(server, r)
		})}))
		yielded := make(map[string]int)
		for wh, err := range client.Webhooks(t.Context(), facade.ListOptions{PageSize: 1 + random.IntN(9)}) {
			require.NoError(t, err, seed)
			yielded[wh.ID]++
		}
		assertYielded(t, slices.Collect(maps.Keys(stays)), yielded)
		require.False(t, t.Failed(), seed)
	}
}

func TestWebhooks_inconsistentServer(t *testing.T) {
	t.Parallel()
	one, two := webhookJSON(1), webhookJSON(1)+","+webhookJSON(2)
	tests := []struct {
		name        string
		page        func(request, number int) string
		webhooks    int // -1: an error
		maxRequests int
	}{
		{"ignores the page number", func(_, _ int) string { return pageJSON(two, 1, 2, 3, 6) }, -1, 20},
		{"ignores the page number of 2^30 pages", func(_, number int) string { return pageJSON(one, number, 1, 1<<30, 1<<30) }, -1, 20},
		{"repeats a full page beyond the end", func(_, _ int) string { return pageJSON(two, 1, 2, 1, 2) }, 2, 4},
		{"other webhooks in each response", func(request, number int) string { return pageJSON(webhookJSON(request), number, 1, 2, request) }, -1, 30},
		{"one more page in each response", func(request, number int) string {
			return pageJSON(webhookJSON(request), number, 1, request+1, request+1)
		}, -1, 1 << 12},
		{"another webhook on each page, without end", func(_, number int) string { return pageJSON(webhookJSON(number), number, 1, number+1, number+1) }, 3, 6},
		{"one page with fewer webhooks than counted", func(_, _ int) string { return pageJSON(one, 1, 25, 1, 2) }, 1, 1},
		{"one page with more webhooks than counted", func(_, _ int) string { return pageJSON(two, 1, 25, 1, 1) }, 2, 1},
		{"a webhook created after the count of an empty list", func(_, _ int) string { return pageJSON(one, 1, 25, 0, 0) }, 1, 1},
		{"one webhook on two pages", func(_, number int) string {
			return pageJSON(webhookJSON(number)+","+webhookJSON(number+1), number, 2, 2, 3)
		}, -1, 30},
		{"one webhook twice on a page", func(_, _ int) string { return pageJSON(one+","+one, 1, 25, 1, 2) }, 1, 1},
		{"empty pages", func(_, number int) string { return pageJSON("", number, 1, 5, 5) }, 0, 2},
		{"numbers with a fraction", func(_, _ int) string { return pageJSON(one, "1.0", "25.0", "1.0", "1.0") }, 1, 1},
		{"numbers as exponents", func(_, _ int) string { return pageJSON(one, "1e0", "2.5e1", "1E0", "1e+0") }, 1, 1},
		{"negative counts", func(_, number int) string { return pageJSON(one, number, 1, -5, -5) }, -1, 1},
		{"counts of 64 bits", func(_, number int) string { return pageJSON(one, number, 25, 1, int64(1)<<62) }, 1, 1},
		{"counts as text", func(_, number int) string { return pageJSON(one, number, 1, `"1"`, `"1"`) }, -1, 1},
		{"links as text", func(_, _ int) string { return pageJSON(one, 1, 25, 1, `1,"links":"none"`) }, 1, 1},
		{"links as object", func(_, _ int) string { return pageJSON(one, 1, 25, 1, `1,"links":{"next":{"uri":"/webhooks"}}`) }, 1, 1},
		{"a link to another server", func(_, _ int) string {
			return pageJSON(one, 1, 25, 1, `1,"links":[{"rel":"next","uri":"https://elsewhere.example/webhooks?currentPage=2"}]`)
		}, 1, 1},
	}
	for _, test := range tests {
		if raceEnabled && test.maxRequests > 1000 {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				requests++
				number, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
				respond(http.StatusOK, test.page(requests, number))(w, r)
			})
			yielded := make(map[string]int)
			var errs []error
			for wh, err := range client.Webhooks(t.Context(), facade.ListOptions{}) {
				if err != nil {
					assert.Equal(t, "ListWebhooks", asError(t, err).Op)
					assert.Nil(t, wh)
					errs = append(errs, err)
					continue
				}
				assert.Empty(t, errs, "after the error")
				yielded[wh.ID]++
			}
			assertYielded(t, nil, yielded)
			assert.LessOrEqual(t, requests, test.maxRequests)
			if test.webhooks < 0 {
				require.Len(t, errs, 1)
				require.ErrorIs(t, errs[0], facade.ErrUnexpectedResponse)
				return
			}
			require.Empty(t, errs)
			assert.Len(t, yielded, test.webhooks)
		})
	}
}

func TestWebhooks_pageAlwaysRefused(t *testing.T) {
	t.Parallel()
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("currentPage") != "1" {
			respond(http.StatusBadRequest, `{"title":"A query parameter is invalid.","name":"currentPage"}`)(w, r)
			return
		}
		respond(http.StatusOK, listJSON(1, 1, 2))(w, r)
	})
	all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{}))
	require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
	require.ErrorIs(t, err, facade.ErrBadRequest, "the reason")
	assert.Len(t, all, 1)
}

func TestWebhooks_errorOnSecondPage(t *testing.T) {
	t.Parallel()
	server, client, ids := newLargeFake(t, 7)
	server.Inject(facadetest.Fault{
		Match:  func(r *http.Request) bool { return r.URL.Query().Get("currentPage") == "2" },
		Times:  4 + 3, // all attempts of a call, and three of the next call
		Status: http.StatusInternalServerError,
	})
	webhooks := client.Webhooks(t.Context(), facade.ListOptions{PageSize: 3})
	all, err := facade.Collect(webhooks)
	require.ErrorIs(t, err, facade.ErrServer)
	assert.Equal(t, ids[:3], idsOf(all))
	all, err = facade.Collect(webhooks)
	require.NoError(t, err, "each page has all attempts")
	assert.Equal(t, ids, idsOf(all))
}

// The response of the service for a page beyond the end is unknown. It may be the last
// page.
func TestWebhooks_lastPageForPageBeyondEnd(t *testing.T) {
	t.Parallel()
	for _, page := range []int{3, 9, math.MaxInt} {
		full := webhookJSON(2) + "," + webhookJSON(3)
		for _, body := range []string{listJSON(2, 2, 3), pageJSON(full, 1, 2, 9, 18), pageJSON(full, page, 2, 2, 4)} {
			server := newScript(respond(http.StatusOK, body))
			all, err := facade.Collect(newClient(t, server.ServeHTTP).Webhooks(t.Context(), facade.ListOptions{Page: page, PageSize: 2}))
			require.NoError(t, err)
			assert.Empty(t, all)
			assert.Equal(t, 1, server.requests())
		}
	}
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
	failed := errors.New("failed")
	all, err := facade.Collect(func(yield func(int, error) bool) {
		_ = yield(1, nil) && yield(2, nil) && yield(3, failed) && yield(4, nil)
	})
	assert.Equal(t, []int{1, 2}, all)
	require.ErrorIs(t, err, failed)
	all, err = facade.Collect(func(func(int, error) bool) {})
	assert.Nil(t, all)
	require.NoError(t, err)
}

// The list has one webhook per page. Each state is the list during one request. A
// webhook W exists during all requests.
func TestWebhooks_listChangesBetweenRequests(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, states string }{
		{"a deletion", "A W, W"},
		{"a creation in front", "A W, N A W"},
		{"a deletion and a creation behind", "A W, W N"},
		{"a deletion in each of two scans", "A B W, B W, B W, B W, W"},
		{"a deletion in each scan, the second scan a subset", "A B W, A B W, B W, B W, W"},
		{"a creation and its deletion, and a deletion", "A W, N A W, A W, W"},
		{"a creation and its deletion in two scans", "A W, N A W, A W, M A W, A W"},
		{"a deletion between two scans", "A B W, A B W, A B W, A B W, B W, W"},
		{"the deletion of everything else", "A B C D W, B C D W, C D W, D W, W"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			states, requests := strings.Split(test.states, ", "), 0
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				all := strings.Fields(states[min(requests, len(states)-1)])
				requests++
				page, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
				data := ""
				if page <= len(all) {
					data = `{"webhookId":"` + all[page-1] + `"}`
				}
				respond(http.StatusOK, fmt.Sprintf(`{"data":[%s],"pagination":{"currentPage":%d,"pageSize":1,"pagesTotal":%d,"itemsTotal":%d}}`, data, page, len(all), len(all)))(w, r)
			})
			found := make(map[string]int)
			for wh, err := range client.Webhooks(t.Context(), facade.ListOptions{PageSize: 1}) {
				require.NoError(t, err)
				found[wh.ID]++
			}
			assert.Equal(t, 1, found["W"], found)
			for id, n := range found {
				assert.Equal(t, 1, n, id)
			}
		})
	}
}
