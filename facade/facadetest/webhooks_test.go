package facadetest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/gen"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithClock(newClock().Now))

	resp := call.do(http.MethodPost, "/webhooks", someWebhook)
	created := decode[gen.Webhook](resp)

	assert.Equal(t, http.StatusCreated, resp.status)
	assert.Equal(t, "application/json", resp.header.Get("Content-Type"))
	assert.Contains(t, resp.body, `"createdAt":"2024-08-08T14:12:18.125Z"`)
	assert.Regexp(t, `^webhook_[0-9A-Za-z]{22}$`, created.WebhookID)
	assert.Regexp(t, `^sig_sec_[0-9A-Za-z]{22}$`, created.SignatureSecret)
	assert.Equal(t, "https://hooks.example.com/a", created.URL)
	assert.Equal(t, []gen.EventType{gen.EventTypeVideoSourceRecorded}, created.Events)
	assert.Equal(t, []facade.Webhook{{
		ID:              created.WebhookID,
		URL:             "https://hooks.example.com/a",
		Events:          []facade.EventType{facade.EventVideoSourceRecorded},
		CreatedAt:       time.Date(2024, 8, 8, 14, 12, 18, 125e6, time.UTC),
		SignatureSecret: facade.NewSecret(created.SignatureSecret),
	}}, server.Webhooks())
}

func TestCreateTakesDuplicatesAndUnknownEvents(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	const body = `{"url":"http://localhost:8080/?a=<b>","events":["video.something.new","video.source.recorded"]}`

	one, two := call.create(body), call.create(body)

	assert.NotEqual(t, one.WebhookID, two.WebhookID)
	assert.NotEqual(t, one.SignatureSecret, two.SignatureSecret)
	assert.Equal(t, []gen.EventType{"video.something.new", "video.source.recorded"}, two.Events)
	assert.Equal(t, "http://localhost:8080/?a=<b>", two.URL)
	require.Len(t, server.Webhooks(), 2)
	assert.Equal(t, one.WebhookID, server.Webhooks()[0].ID, "oldest first")
}

func TestCreateUpToTheLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		opts  []facadetest.Option
		limit int
	}{
		{"default", nil, 10},
		{"two", []facadetest.Option{facadetest.WithWebhookLimit(2)}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, call := start(t, test.opts...)
			for range test.limit {
				call.create(someWebhook)
			}

			resp := call.do(http.MethodPost, "/webhooks", someWebhook)

			resp.isError(http.StatusBadRequest, "webhook-limit-reached", "Your account has reached the webhook urls limit.", "")
			assert.Len(t, server.Webhooks(), test.limit)
			call.do(http.MethodDelete, "/webhooks/"+server.Webhooks()[0].ID, "")
			call.create(someWebhook)
		})
	}
}

func TestCreateWithoutLimit(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithWebhookLimit(0))

	for range 12 {
		call.create(someWebhook)
	}

	assert.Len(t, server.Webhooks(), 12)
}

func TestCreateRefusesWhatIsNoPayload(t *testing.T) {
	t.Parallel()
	long := `{"url":"https://hooks.example.com/` + strings.Repeat("a", 1<<20) + `","events":["video.source.recorded"]}`
	for name, body := range map[string]string{
		"nothing":         "",
		"no JSON":         "url=https://hooks.example.com",
		"half":            `{"url":"https://hooks.exa`,
		"more":            someWebhook + "}",
		"an array":        `["a"]`,
		"more than a MiB": long,
		"a MiB of spaces": someWebhook + strings.Repeat(" ", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, call := start(t)

			resp := call.odd().do(http.MethodPost, "/webhooks", body)

			resp.isError(http.StatusBadRequest, "invalid-payload", "The payload is invalid.", "")
			assert.Empty(t, server.Webhooks())
		})
	}
}

func TestCreateStoresWhatItChecked(t *testing.T) {
	t.Parallel()
	for _, other := range []string{`1`, `"ftp://a"`} {
		t.Run(other, func(t *testing.T) {
			t.Parallel()
			server, call := start(t)

			call.create(`{"url":"https://hooks.example.com","URL":` + other + `,"events":["video.source.recorded"],"Events":[""]}`)

			assert.Equal(t, "https://hooks.example.com", server.Webhooks()[0].URL)
			assert.Equal(t, []facade.EventType{facade.EventVideoSourceRecorded}, server.Webhooks()[0].Events)
		})
	}
}

func TestCreateTakesASchemeInAnyCase(t *testing.T) {
	t.Parallel()
	_, call := start(t)

	resp := call.odd().do(http.MethodPost, "/webhooks", `{"url":"HttpS://hooks.example.com","events":["video.source.recorded"]}`)

	assert.Equal(t, http.StatusCreated, resp.status)
	assert.Equal(t, "HttpS://hooks.example.com", decode[gen.Webhook](resp).URL)
}

func TestCreateDatesInMilliseconds(t *testing.T) {
	t.Parallel()
	clock := newClock()
	_, call := start(t, facadetest.WithClock(clock.Now))
	clock.add(999_999)

	resp := call.do(http.MethodPost, "/webhooks", someWebhook)

	assert.Contains(t, resp.body, `"createdAt":"2024-08-08T14:12:18.125Z"`)
}

func TestCreateTakesAMiB(t *testing.T) {
	t.Parallel()
	server, call := start(t)

	call.create(someWebhook + strings.Repeat(" ", 1<<20-len(someWebhook)))

	assert.Len(t, server.Webhooks(), 1)
	assert.Len(t, server.Requests()[0].Body, 1<<20)
}

func TestPayloadProblems(t *testing.T) {
	t.Parallel()
	missing := func(name string) gen.ErrorProblem {
		return gen.ErrorProblem{Type: "https://docs.api.video/reference/attribute-required", Title: "This attribute is required.", Name: name}
	}
	invalid := func(name, kind string) gen.ErrorProblem {
		return gen.ErrorProblem{Type: "https://docs.api.video/reference/invalid-attribute", Title: "This attribute must be " + kind + ".", Name: name}
	}
	for _, test := range []struct {
		path, body string
		problems   []gen.ErrorProblem
	}{
		{"/webhooks", `{}`, []gen.ErrorProblem{missing("url"), missing("events")}},
		{"/webhooks", `null`, []gen.ErrorProblem{missing("url"), missing("events")}},
		{"/webhooks", `{"url":null,"events":null}`, []gen.ErrorProblem{missing("url"), missing("events")}},
		{"/webhooks", `{"url":"","events":[]}`, []gen.ErrorProblem{missing("url"), missing("events")}},
		{"/webhooks", `{"events":["video.source.recorded"]}`, []gen.ErrorProblem{missing("url")}},
		{"/webhooks", `{"url":"https://hooks.example.com"}`, []gen.ErrorProblem{missing("events")}},
		{"/webhooks", `{"events":"video.source.recorded"}`, []gen.ErrorProblem{missing("url"), invalid("events", "an array")}},
		{"/webhooks", `{"url":1,"events":{}}`, []gen.ErrorProblem{invalid("url", "a string"), invalid("events", "an array")}},
		{"/webhooks", `{"url":[],"events":[null,1]}`, []gen.ErrorProblem{invalid("url", "a string"), invalid("events", "an array of event names")}},
		{"/webhooks", `{"url":"foo","events":["a",""]}`, []gen.ErrorProblem{invalid("url", "an http or https URL"), invalid("events", "an array of event names")}},
		{"/webhooks", `{"url":"ftp://a","events":["a"]}`, []gen.ErrorProblem{invalid("url", "an http or https URL")}},
		{"/webhooks", `{"url":"https://:80/","events":["a"]}`, []gen.ErrorProblem{invalid("url", "an http or https URL")}},
		{"/webhooks", `{"url":"https://a/%","events":["a"]}`, []gen.ErrorProblem{invalid("url", "an http or https URL")}},
		{"/auth/api-key", `{}`, []gen.ErrorProblem{missing("apiKey")}},
		{"/auth/api-key", `{"apiKey":1}`, []gen.ErrorProblem{invalid("apiKey", "a string")}},
		{"/auth/refresh", `{"refreshToken":""}`, []gen.ErrorProblem{missing("refreshToken")}},
	} {
		t.Run(test.path+" "+test.body, func(t *testing.T) {
			t.Parallel()
			server, call := start(t)

			resp := call.odd().do(http.MethodPost, test.path, test.body)

			assert.Equal(t, http.StatusBadRequest, resp.status)
			assert.Equal(t, gen.Error{
				Type:     "https://docs.api.video/reference/attribute-required",
				Title:    "This attribute is required.",
				Name:     test.problems[0].Name,
				Status:   http.StatusBadRequest,
				Problems: test.problems,
			}, decode[gen.Error](resp))
			assert.Empty(t, server.Webhooks())
		})
	}
}

func TestGetAndDelete(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	kept, gone := call.create(someWebhook), call.create(someWebhook)

	got := call.do(http.MethodGet, "/webhooks/"+gone.WebhookID, "")
	assert.Equal(t, http.StatusOK, got.status)
	assert.Equal(t, gone, decode[gen.Webhook](got))

	deleted := call.do(http.MethodDelete, "/webhooks/"+gone.WebhookID, "")
	assert.Equal(t, http.StatusNoContent, deleted.status)
	assert.Empty(t, deleted.body)
	assert.Empty(t, deleted.header.Get("Content-Type"))

	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		call.do(method, "/webhooks/"+gone.WebhookID, "").
			isError(http.StatusNotFound, "resource-not-found", "The requested resource was not found.", "webhookId")
	}
	require.Len(t, server.Webhooks(), 1)
	assert.Equal(t, kept.WebhookID, server.Webhooks()[0].ID)
}

func TestIDsAreOneSegment(t *testing.T) {
	t.Parallel()
	_, call := start(t)

	for _, id := range []string{"a%2Fb", "%2e%2e", "a%20b", "%2F", "%2f", "%2F%2F"} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			call.do(method, "/webhooks/"+id, "").
				isError(http.StatusNotFound, "resource-not-found", "The requested resource was not found.", "webhookId")
		}
	}
	call.odd().do(http.MethodGet, "/webhooks/%2F", "", "Authorization", "").
		isError(http.StatusUnauthorized, "authentication-missing-authorization-header", `The "Authorization" header is missing.`, "")
}

// fill creates n webhooks and returns their ids, oldest first. Every second one
// is subscribed to summaries.
func fill(call caller, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		event := gen.EventTypeVideoSourceRecorded
		if i%2 == 1 {
			event = gen.EventTypeVideoSummaryGenerated
		}
		ids[i] = call.create(fmt.Sprintf(`{"url":"https://hooks.example.com/%d","events":[%q]}`, i, event)).WebhookID
	}
	return ids
}

func idsOf(list gen.WebhookList) []string {
	ids := []string{}
	for _, w := range list.Data {
		ids = append(ids, w.WebhookID)
	}
	return ids
}

func linksOf(t *testing.T, list gen.WebhookList) []gen.PaginationLink {
	t.Helper()
	var links []gen.PaginationLink
	require.NoError(t, json.Unmarshal(list.Pagination.Links, &links))
	return links
}

func TestListPages(t *testing.T) {
	t.Parallel()
	_, call := start(t, facadetest.WithWebhookLimit(0), facadetest.WithRateLimit(0, 0))
	ids := fill(call, 26)
	const uri = "/webhooks?currentPage=%d&pageSize=%d"

	for _, test := range []struct {
		query             string
		want              []string
		page, size, pages int
		rels              map[string]int
	}{
		{"", ids[:25], 1, 25, 2, map[string]int{"self": 1, "first": 1, "next": 2, "last": 2}},
		{"?currentPage=2", ids[25:], 2, 25, 2, map[string]int{"self": 2, "first": 1, "previous": 1, "last": 2}},
		{"?pageSize=26", ids, 1, 26, 1, map[string]int{"self": 1, "first": 1, "last": 1}},
		{"?pageSize=100&currentPage=1", ids, 1, 100, 1, map[string]int{"self": 1, "first": 1, "last": 1}},
		{"?pageSize=1&currentPage=3", ids[2:3], 3, 1, 26, map[string]int{"self": 3, "first": 1, "previous": 2, "next": 4, "last": 26}},
		{"?pageSize=13&currentPage=2", ids[13:], 2, 13, 2, map[string]int{"self": 2, "first": 1, "previous": 1, "last": 2}},
		{"?pageSize=10&currentPage=5", []string{}, 5, 10, 3, map[string]int{"self": 5, "first": 1, "previous": 3, "last": 3}},
	} {
		t.Run(test.query, func(t *testing.T) {
			t.Parallel()
			list := call.list(test.query)

			assert.Equal(t, test.want, idsOf(list))
			assert.Equal(t, test.page, list.Pagination.CurrentPage)
			assert.Equal(t, len(test.want), list.Pagination.CurrentPageItems)
			assert.Equal(t, test.size, list.Pagination.PageSize)
			assert.Equal(t, test.pages, list.Pagination.PagesTotal)
			assert.Equal(t, 26, list.Pagination.ItemsTotal)
			rels := map[string]string{}
			for _, link := range linksOf(t, list) {
				rels[link.Rel] = link.URI
			}
			want := map[string]string{}
			for rel, page := range test.rels {
				want[rel] = fmt.Sprintf(uri, page, test.size)
			}
			assert.Equal(t, want, rels)
		})
	}
}

func TestListOfNothing(t *testing.T) {
	t.Parallel()
	_, call := start(t)

	resp := call.do(http.MethodGet, "/webhooks", "")
	list := decode[gen.WebhookList](resp)

	assert.Contains(t, resp.body, `"data":[]`)
	assert.Equal(t, 0, list.Pagination.ItemsTotal)
	assert.Equal(t, 1, list.Pagination.PagesTotal)
	assert.Len(t, linksOf(t, list), 3)
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	_, call := start(t)
	ids := fill(call, 4)

	list := call.list("?events=video.summary.generated&pageSize=1")

	assert.Equal(t, ids[1:2], idsOf(list))
	assert.Equal(t, 2, list.Pagination.ItemsTotal)
	assert.Equal(t, []gen.PaginationLink{
		{Rel: "self", URI: "/webhooks?currentPage=1&events=video.summary.generated&pageSize=1"},
		{Rel: "first", URI: "/webhooks?currentPage=1&events=video.summary.generated&pageSize=1"},
		{Rel: "next", URI: "/webhooks?currentPage=2&events=video.summary.generated&pageSize=1"},
		{Rel: "last", URI: "/webhooks?currentPage=2&events=video.summary.generated&pageSize=1"},
	}, linksOf(t, list))
	assert.Equal(t, ids[3:], idsOf(call.list(strings.TrimPrefix(linksOf(t, list)[2].URI, "/webhooks"))))
	assert.Empty(t, call.list("?events=video.something.new").Data)
	assert.Len(t, call.list("?events=").Data, 4, "an empty filter is none")
}

func TestListNewestFirst(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithNewestFirst())
	ids := fill(call, 3)

	assert.Equal(t, []string{ids[2], ids[1]}, idsOf(call.list("?pageSize=2")))
	assert.Equal(t, ids[:1], idsOf(call.list("?pageSize=2&currentPage=2")))
	assert.Equal(t, ids[0], server.Webhooks()[0].ID, "the server's own list stays as it is")
}

func TestListRefusesParameters(t *testing.T) {
	t.Parallel()
	for query, name := range map[string]string{
		"currentPage=0":               "currentPage",
		"currentPage=-1":              "currentPage",
		"currentPage=one":             "currentPage",
		"currentPage=":                "currentPage",
		"currentPage=1&currentPage=2": "currentPage",
		"currentPage=99999999999999999999999999999999": "currentPage",
		"pageSize=0":   "pageSize",
		"pageSize=101": "pageSize",
		"pageSize=2.5": "pageSize",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			_, call := start(t)

			call.odd().do(http.MethodGet, "/webhooks?"+query, "").
				isError(http.StatusBadRequest, "invalid-query-parameter", "A query parameter is invalid.", name)
		})
	}
}

func TestPageBeyondEnd(t *testing.T) {
	t.Parallel()
	const farAway = "/webhooks?currentPage=9223372036854775807"

	t.Run("200", func(t *testing.T) {
		t.Parallel()
		_, call := start(t, facadetest.WithPageBeyondEnd(http.StatusOK))
		list := call.list("?currentPage=9223372036854775807")
		assert.Empty(t, list.Data)
		assert.Equal(t, 1, list.Pagination.PagesTotal)
	})
	t.Run("400", func(t *testing.T) {
		t.Parallel()
		_, call := start(t, facadetest.WithPageBeyondEnd(http.StatusBadRequest))
		call.do(http.MethodGet, farAway, "").
			isError(http.StatusBadRequest, "invalid-query-parameter", "A query parameter is invalid.", "currentPage")
		assert.Empty(t, call.list("").Data, "the first page is never beyond the end")
	})
	t.Run("404", func(t *testing.T) {
		t.Parallel()
		_, call := start(t, facadetest.WithPageBeyondEnd(http.StatusNotFound))
		call.free().do(http.MethodGet, farAway, "").
			isError(http.StatusNotFound, "resource-not-found", "The requested resource was not found.", "currentPage")
	})
}
