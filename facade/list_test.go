package facade_test

import (
	"context"
	"errors"
	"fmt"
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

// sortOrders are the two possible orders of a list.
var sortOrders = map[string][]facadetest.Option{"oldest first": nil, "newest first": {facadetest.WithNewestFirst()}}

// equalWebhooks returns the parameters of n equal webhooks.
func equalWebhooks(n int) paramsList { return slices.Repeat(paramsList{validParams}, n) }

// iterate returns the IDs that an iteration yields, and its error. Each webhook is yielded
// once, and the error is the end.
func iterate(t *testing.T, client *facade.Client, opts facade.ListOptions) (ids []string, failed error) {
	t.Helper()
	ids = []string{}
	for wh, err := range client.Webhooks(t.Context(), opts) {
		require.NoError(t, failed, "not the end")
		if err != nil {
			assert.Nil(t, wh)
			failed = err
			continue
		}
		require.False(t, slices.Contains(ids, wh.ID), "%s again", wh.ID)
		ids = append(ids, wh.ID)
	}
	return ids, failed
}

// servePages returns a client of a server with lists. page returns the body for the
// request, counted from 1, of a page. An empty body means a 400.
func servePages(t *testing.T, page func(request, number int) string) (client *facade.Client, requests *int) {
	t.Helper()
	requests = new(int)
	return newClient(t, func(w http.ResponseWriter, r *http.Request) {
		*requests++
		number, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
		if body := page(*requests, number); body != "" {
			respond(http.StatusOK, body)(w, r)
			return
		}
		respond(http.StatusBadRequest, `{"title":"A query parameter is invalid.","name":"currentPage"}`)(w, r)
	}), requests
}

func TestListWebhooks(t *testing.T) {
	t.Parallel()
	account := newAccount(t, equalWebhooks(30))
	tests := []struct {
		opts  facade.ListOptions
		query string
		want  []string
		page  facade.Page
	}{
		{facade.ListOptions{}, "", account.ids[:25], facade.Page{Number: 1, Size: 25, TotalPages: 2, TotalItems: 30}},
		{
			facade.ListOptions{Page: 3, PageSize: 14},
			"currentPage=3&pageSize=14",
			account.ids[28:],
			facade.Page{Number: 3, Size: 14, TotalPages: 3, TotalItems: 30},
		},
		{
			facade.ListOptions{Event: facade.EventVideoSourceRecorded, Page: 1, PageSize: 100},
			"currentPage=1&events=video.source.recorded&pageSize=100",
			[]string{},
			facade.Page{Number: 1, Size: 100, TotalPages: 1},
		},
		{facade.ListOptions{Page: 9}, "currentPage=9", []string{}, facade.Page{Number: 9, Size: 25, TotalPages: 2, TotalItems: 30}},
	}
	for i, test := range tests {
		page, err := account.client.ListWebhooks(t.Context(), test.opts)
		require.NoError(t, err)
		assert.Equal(t, test.query, account.Requests()[30+i].Query.Encode())
		assert.Equal(t, test.want, idsOf(page.Webhooks))
		page.Webhooks = nil
		assert.Equal(t, test.page, *page)
	}
	for _, opts := range []facade.ListOptions{{Page: -1}, {PageSize: -1}, {PageSize: 101}, {Event: "video.encoding.completed"}} {
		_, err := account.client.ListWebhooks(t.Context(), opts)
		require.ErrorIs(t, err, facade.ErrInvalidArgument)
		_, err = iterate(t, account.client, opts)
		require.ErrorIs(t, err, facade.ErrInvalidArgument)
	}
	assert.Len(t, account.calls(), len(tests))
}

func TestWebhooks_requests(t *testing.T) {
	t.Parallel()
	tests := []struct {
		webhooks, requests int
		skipped            int // webhooks, at the start of the list
		opts               facade.ListOptions
	}{
		{0, 1, 0, facade.ListOptions{}},
		{1, 1, 0, facade.ListOptions{}},
		{100, 4, 0, facade.ListOptions{}},
		{101, 4, 0, facade.ListOptions{}},
		{10, 8, 0, facade.ListOptions{PageSize: 3}},
		{10, 6, 3, facade.ListOptions{PageSize: 3, Page: 2}},
		{10, 1, 9, facade.ListOptions{PageSize: 3, Page: 4}},
		{10, 1, 10, facade.ListOptions{PageSize: 3, Page: 9}},
		{3, 1, 0, facade.ListOptions{Event: facade.EventVideoEncodingQualityCompleted}},
		{3, 1, 3, facade.ListOptions{Event: facade.EventVideoSourceRecorded}},
	}
	for _, test := range tests {
		for _, beyondEnd := range []int{http.StatusOK, http.StatusBadRequest} {
			name := fmt.Sprintf("%d webhooks, %v, %d beyond the end", test.webhooks, test.opts, beyondEnd)
			account := newAccount(t, equalWebhooks(test.webhooks), facadetest.WithPageBeyondEnd(beyondEnd))
			ids, err := iterate(t, account.client, test.opts)
			if test.opts.Page == 9 && beyondEnd == http.StatusBadRequest {
				assert.Equal(t, []error{facade.ErrBadRequest}, sentinelsOf(err), name)
			} else {
				require.NoError(t, err, name)
			}
			assert.Equal(t, account.ids[test.skipped:], ids, name)
			assert.Len(t, account.calls(), test.requests, name)
		}
	}
}

func TestWebhooks_loops(t *testing.T) {
	t.Parallel()
	account := newAccount(t, equalWebhooks(7))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var failed error
	for _, err := range account.client.Webhooks(ctx, facade.ListOptions{PageSize: 3}) {
		cancel()
		require.NoError(t, failed, "a second error")
		failed = err
	}
	require.ErrorIs(t, failed, context.Canceled)
	assert.Len(t, account.calls(), 1)

	account.Inject(facadetest.Fault{
		Match:  func(r *http.Request) bool { return r.URL.Query().Get("currentPage") == "2" },
		Times:  4 + 3, // all attempts of a call, and three of the next call
		Status: http.StatusInternalServerError,
	})
	webhooks := account.client.Webhooks(t.Context(), facade.ListOptions{PageSize: 3})
	all, err := facade.Collect(webhooks)
	require.ErrorIs(t, err, facade.ErrServer)
	assert.Equal(t, account.ids[:3], idsOf(all))
	for range 2 { // an iterator begins again
		all, err = facade.Collect(webhooks)
		require.NoError(t, err, "each page has all attempts")
		assert.Equal(t, account.ids, idsOf(all))
	}
	before := len(account.calls())
	for wh, err := range webhooks {
		require.NoError(t, err)
		if wh.ID == account.ids[3] {
			break
		}
	}
	assert.Len(t, account.calls(), before+2, "nothing is fetched ahead")
}

func TestWebhooks_bodyDeletes(t *testing.T) {
	t.Parallel()
	for _, beyondEnd := range []int{http.StatusOK, http.StatusBadRequest, http.StatusNotFound} {
		for _, order := range sortOrders {
			account := newAccount(t, equalWebhooks(33), append(order, facadetest.WithPageBeyondEnd(beyondEnd))...)
			var yielded []string
			for wh, err := range account.client.Webhooks(t.Context(), facade.ListOptions{PageSize: 5}) {
				require.NoError(t, err)
				yielded = append(yielded, wh.ID)
				require.NoError(t, account.client.DeleteWebhook(t.Context(), wh.ID))
			}
			assert.ElementsMatch(t, account.ids, yielded)
			assert.Empty(t, account.Webhooks())
		}
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
		account := newAccount(t, equalWebhooks(random.IntN(40)), opts...)
		stays := slices.Clone(account.ids) // during the whole iteration
		change := func(created int, isDeleted func(facade.Webhook) bool) {
			for _, wh := range account.Webhooks() {
				if isDeleted(wh) {
					require.NoError(t, account.client.DeleteWebhook(t.Context(), wh.ID))
					stays = slices.DeleteFunc(stays, func(id string) bool { return id == wh.ID })
				}
			}
			for range created {
				require.NoError(t, createWebhook(t.Context(), account.client))
			}
		}
		requests, changes, isSwap := 0, random.IntN(8), random.IntN(2) == 0
		client := account.clientWith(roundTripper(func(r *http.Request) (*http.Response, error) {
			requests++
			all := account.Webhooks()
			switch {
			case requests == 1 || requests > changes: // the list is stable
			case isSwap && len(all) > 0:
				deleted := all[random.IntN(len(all))].ID
				change(1, func(wh facade.Webhook) bool { return wh.ID == deleted })
			default:
				change(random.IntN(6), func(facade.Webhook) bool { return random.IntN(10) == 0 })
			}
			return serve(account, r)
		}))
		ids, err := iterate(t, client, facade.ListOptions{PageSize: 1 + random.IntN(9)})
		require.NoError(t, err, seed)
		require.Subset(t, ids, stays, seed)
	}
}

// The list has one webhook per page. Each state is the list during one request. A
// webhook W exists during all requests.
func TestWebhooks_listChangesBetweenRequests(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string]string{
		"a deletion":                              "A W, W",
		"a creation in front":                     "A W, N A W",
		"a deletion and a creation behind":        "A W, W N",
		"a deletion in each of two scans":         "A B W, B W, B W, B W, W",
		"the second scan finds a subset":          "A B W, A B W, B W, B W, W",
		"a creation and two deletions":            "A W, N A W, A W, W",
		"a creation and its deletion, in 2 scans": "A W, N A W, A W, M A W, A W",
		"a deletion between two scans":            "A B W, A B W, A B W, A B W, B W, W",
		"the deletion of everything else":         "A B C D W, B C D W, C D W, D W, W",
	} {
		states := strings.Split(changes, ", ")
		client, _ := servePages(t, func(request, number int) string {
			all := strings.Fields(states[min(request, len(states))-1])
			data := ""
			if number <= len(all) {
				data = `{"webhookId":"` + all[number-1] + `"}`
			}
			return pageJSON(data, number, 1, len(all), len(all))
		})
		ids, err := iterate(t, client, facade.ListOptions{PageSize: 1})
		require.NoError(t, err, name)
		assert.Contains(t, ids, "W", name)
	}
}

func TestWebhooks_inconsistentServer(t *testing.T) {
	t.Parallel()
	one, two := webhookJSON(1), webhookJSON(1)+","+webhookJSON(2)
	always := func(body string) func(int, int) string { return func(_, _ int) string { return body } }
	unexpected := facade.ErrUnexpectedResponse
	tests := []struct {
		name        string
		page        func(request, number int) string
		webhooks    int
		err         error
		maxRequests int
	}{
		{"ignores the page number", always(pageJSON(two, 1, 2, 3, 6)), 2, unexpected, 20},
		{"2^30 equal pages", func(_, n int) string { return pageJSON(one, n, 1, 1<<30, 1<<30) }, 1, unexpected, 20},
		{"repeats a full page beyond the end", always(pageJSON(two, 1, 2, 1, 2)), 2, nil, 4},
		{"other webhooks in each response", func(request, n int) string {
			return pageJSON(webhookJSON(request), n, 1, 2, request)
		}, 30, unexpected, 30},
		{"one more page in each response", func(request, n int) string {
			return pageJSON(webhookJSON(request), n, 1, request+1, request+1)
		}, 3069, unexpected, 3069},
		{"another webhook on each page, without end", func(_, n int) string { return pageJSON(webhookJSON(n), n, 1, n+1, n+1) }, 3, nil, 6},
		{"fewer webhooks than counted", always(pageJSON(one, 1, 25, 1, 2)), 1, nil, 1},
		{"more webhooks than counted", always(pageJSON(two, 1, 25, 1, 1)), 2, nil, 1},
		{"a webhook created after the count of an empty list", always(pageJSON(one, 1, 25, 0, 0)), 1, nil, 1},
		{"one webhook on two pages", func(_, n int) string {
			return pageJSON(webhookJSON(n)+","+webhookJSON(n+1), n, 2, 2, 3)
		}, 4, unexpected, 30},
		{"one webhook twice on a page", always(pageJSON(one+","+one, 1, 25, 1, 2)), 1, nil, 1},
		{"empty pages", func(_, n int) string { return pageJSON("", n, 1, 5, 5) }, 0, nil, 2},
		{"numbers with a fraction or an exponent", always(pageJSON(one, "1.0", "2.5e1", "1E0", "1e+0")), 1, nil, 1},
		{"negative counts", always(pageJSON(one, 1, 1, -5, -5)), 0, unexpected, 1},
		{"counts of 64 bits", always(pageJSON(one, 1, 25, 1, int64(1)<<62)), 1, nil, 1},
		{"a count of one and no pages", always(pageJSON("", 1, 25, 0, 1)), 0, unexpected, 1},
		{"counts as text", always(pageJSON(one, 1, 1, `"1"`, `"1"`)), 0, unexpected, 1},
		{"links of another type", always(pageJSON(one, 1, 25, 1, `1,"links":"none"`)), 1, nil, 1},
		{"a link to another server", always(pageJSON(one, 1, 25, 1, `1,"links":[{"rel":"next","uri":"https://h/"}]`)), 1, nil, 1},
		{"refuses the second page", func(_, n int) string {
			if n > 1 {
				return ""
			}
			return listJSON(1, 1, 2)
		}, 1, facade.ErrBadRequest, 20},
	}
	for _, test := range tests {
		if raceEnabled && test.maxRequests > 1000 {
			continue
		}
		client, requests := servePages(t, test.page)
		ids, err := iterate(t, client, facade.ListOptions{})
		assert.Len(t, ids, test.webhooks, test.name)
		assert.LessOrEqual(t, *requests, test.maxRequests, test.name)
		require.ErrorIs(t, err, test.err, test.name)
		if err != nil {
			require.ErrorIs(t, err, unexpected, test.name)
			assert.Equal(t, "ListWebhooks", asError(t, err).Op, test.name)
			assert.NotContains(t, err.Error(), "%!", test.name)
		}
	}
}

// The response of the service for a page beyond the end is unknown. It may be the last
// page, with either number.
func TestWebhooks_startsBeyondEnd(t *testing.T) {
	t.Parallel()
	two := webhookJSON(1) + "," + webhookJSON(2)
	for _, test := range []struct {
		start    int
		response string
	}{
		{3, listJSON(2, 2, 3)},
		{9, listJSON(2, 2, 3)},
		{math.MaxInt, listJSON(2, 2, 3)},
		{3, pageJSON(two, 3, 2, 2, 4)},
		{9, pageJSON(two, 9, 2, 2, 4)},
		{9, pageJSON(two, 1, 2, 9, 18)},
	} {
		client, requests := servePages(t, func(int, int) string { return test.response })
		ids, err := iterate(t, client, facade.ListOptions{Page: test.start, PageSize: 2})
		require.NoError(t, err, test)
		assert.Empty(t, ids, test)
		assert.Equal(t, 1, *requests, test)
	}
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
