package facadetest_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
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
	clock := newClock()
	clock.add(999_999)
	server, call := start(t, facadetest.WithClock(clock.Now))
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

func TestCreate_duplicates(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	const body = `{"url":"HttP://localhost:8080/?a=<b>","events":["video.summary.generated","video.source.recorded"]}`
	call = call.responsesOnly() // the pattern of the contract has lower case
	one, two := call.create(body), call.create(body)
	assert.NotEqual(t, one.WebhookID, two.WebhookID)
	assert.NotEqual(t, one.SignatureSecret, two.SignatureSecret)
	assert.Equal(t, []gen.EventType{"video.summary.generated", "video.source.recorded"}, two.Events)
	assert.Equal(t, "HttP://localhost:8080/?a=<b>", two.URL)
	require.Len(t, server.Webhooks(), 2)
	assert.Equal(t, one.WebhookID, server.Webhooks()[0].ID, "oldest first")
}

func TestCreate_withUnknownEvents(t *testing.T) {
	t.Parallel()
	const misspelled = `{"url":"https://hooks.example.com/a","events":["video.source.recorded","video.summary.generate"]}`
	server, call := start(t, facadetest.WithUnknownEvents())
	created := call.create(misspelled)
	assert.Equal(t, []gen.EventType{"video.source.recorded", "video.summary.generate"}, created.Events)
	assert.Equal(t, server.Webhooks()[0].ID, call.list("?events=video.summary.generate").Data[0].WebhookID)
	assert.Empty(t, call.list("?events=video.new").Data)
}

func TestCreate_limit(t *testing.T) {
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
			resp.assertError(http.StatusBadRequest, "webhook-limit-reached", "Your account has reached the webhook urls limit.", "")
			assert.Len(t, server.Webhooks(), test.limit)
			call.do(http.MethodDelete, "/webhooks/"+server.Webhooks()[0].ID, "")
			call.create(someWebhook)
		})
	}
}

func TestCreate_invalidPayload(t *testing.T) {
	t.Parallel()
	long := `{"url":"https://hooks.example.com/` + strings.Repeat("a", 1<<20) + `","events":["video.source.recorded"]}`
	for name, body := range map[string]string{
		"empty":           "",
		"form":            "url=https://hooks.example.com",
		"truncated":       `{"url":"https://hooks.exa`,
		"trailing brace":  someWebhook + "}",
		"array":           `["a"]`,
		"more than a MiB": long,
		"a MiB of spaces": someWebhook + strings.Repeat(" ", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, call := start(t)
			resp := call.responsesOnly().do(http.MethodPost, "/webhooks", body)
			resp.assertError(http.StatusBadRequest, "invalid-payload", "The payload is invalid.", "")
			assert.Empty(t, server.Webhooks())
		})
	}
}

func TestCreate_fieldCase(t *testing.T) {
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

func TestCreate_largestPayload(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	call.create(someWebhook + strings.Repeat(" ", 1<<20-len(someWebhook)))
	assert.Len(t, server.Webhooks(), 1)
	assert.Len(t, server.Requests()[0].Body, 1<<20)
}

func TestServer_payloadProblems(t *testing.T) {
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
		{"/webhooks", `{"url":"foo","events":["video.source.recorded",""]}`, []gen.ErrorProblem{invalid("url", "an http or https URL"), invalid("events", "an array of event names")}},
		{"/webhooks", `{"url":"ftp://a","events":["video.source.recorded"]}`, []gen.ErrorProblem{invalid("url", "an http or https URL")}},
		{"/webhooks", `{"url":"https://:80/","events":["video.source.recorded"]}`, []gen.ErrorProblem{invalid("url", "an http or https URL")}},
		{"/webhooks", `{"url":"https://a/%","events":["video.source.recorded"]}`, []gen.ErrorProblem{invalid("url", "an http or https URL")}},
		{"/webhooks", `{"url":"https://a","events":["video.source.recorded","video.encoding.completed"]}`, []gen.ErrorProblem{
			invalid("events", `an array of known event names, and "video.encoding.completed" is unknown`),
		}},
		{"/auth/api-key", `{}`, []gen.ErrorProblem{missing("apiKey")}},
		{"/auth/api-key", `{"apiKey":1}`, []gen.ErrorProblem{invalid("apiKey", "a string")}},
		{"/auth/refresh", `{"refreshToken":""}`, []gen.ErrorProblem{missing("refreshToken")}},
	} {
		t.Run(test.path+" "+test.body, func(t *testing.T) {
			t.Parallel()
			server, call := start(t)
			resp := call.responsesOnly().do(http.MethodPost, test.path, test.body)
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

func TestServer_getAndDelete(t *testing.T) {
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
			assertError(http.StatusNotFound, "resource-not-found", "The requested resource was not found.", "webhookId")
	}
	require.Len(t, server.Webhooks(), 1)
	assert.Equal(t, kept.WebhookID, server.Webhooks()[0].ID)
}

func TestServer_escapedID(t *testing.T) {
	t.Parallel()
	_, call := start(t)
	for _, id := range []string{"a%2Fb", "%2e%2e", "a%20b", "%2F", "%2f", "%2F%2F"} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			call.do(method, "/webhooks/"+id, "").
				assertError(http.StatusNotFound, "resource-not-found", "The requested resource was not found.", "webhookId")
		}
	}
	call.responsesOnly().do(http.MethodGet, "/webhooks/%2F", "", "Authorization", "").
		assertError(http.StatusUnauthorized, "authentication-missing-authorization-header", `The "Authorization" header is missing.`, "")
}

// createWebhooks creates n webhooks and returns their IDs, oldest first. Every second
// webhook is subscribed to summaries.
func createWebhooks(call caller, n int) []string {
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

func webhookIDs(list gen.WebhookList) []string {
	ids := []string{}
	for _, w := range list.Data {
		ids = append(ids, w.WebhookID)
	}
	return ids
}

func decodeLinks(t *testing.T, list gen.WebhookList) []gen.PaginationLink {
	t.Helper()
	var links []gen.PaginationLink
	require.NoError(t, json.Unmarshal(list.Pagination.Links, &links))
	return links
}

func TestList_pages(t *testing.T) {
	t.Parallel()
	_, call := start(t, facadetest.WithWebhookLimit(0), facadetest.WithRateLimit(0, 0))
	ids := createWebhooks(call, 26)
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
			assert.Equal(t, test.want, webhookIDs(list))
			assert.InDelta(t, test.page, list.Pagination.CurrentPage, 0)
			assert.InDelta(t, len(test.want), list.Pagination.CurrentPageItems, 0)
			assert.InDelta(t, test.size, list.Pagination.PageSize, 0)
			assert.InDelta(t, test.pages, list.Pagination.PagesTotal, 0)
			assert.InDelta(t, 26, list.Pagination.ItemsTotal, 0)
			rels := map[string]string{}
			for _, link := range decodeLinks(t, list) {
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

func TestList_filter(t *testing.T) {
	t.Parallel()
	_, call := start(t)
	ids := createWebhooks(call, 4)
	list := call.list("?events=video.summary.generated&pageSize=1")
	assert.Equal(t, ids[1:2], webhookIDs(list))
	assert.InDelta(t, 2, list.Pagination.ItemsTotal, 0)
	assert.Equal(t, []gen.PaginationLink{
		{Rel: "self", URI: "/webhooks?currentPage=1&events=video.summary.generated&pageSize=1"},
		{Rel: "first", URI: "/webhooks?currentPage=1&events=video.summary.generated&pageSize=1"},
		{Rel: "next", URI: "/webhooks?currentPage=2&events=video.summary.generated&pageSize=1"},
		{Rel: "last", URI: "/webhooks?currentPage=2&events=video.summary.generated&pageSize=1"},
	}, decodeLinks(t, list))
	assert.Equal(t, ids[3:], webhookIDs(call.list(strings.TrimPrefix(decodeLinks(t, list)[2].URI, "/webhooks"))))
	assert.Empty(t, call.list("?events=video.caption.generated").Data)
	assert.Len(t, call.list("?events=").Data, 4, "an empty filter has no effect")
}

func TestList_newestFirst(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithNewestFirst())
	ids := createWebhooks(call, 3)
	assert.Equal(t, []string{ids[2], ids[1]}, webhookIDs(call.list("?pageSize=2")))
	assert.Equal(t, ids[:1], webhookIDs(call.list("?pageSize=2&currentPage=2")))
	assert.Equal(t, ids[0], server.Webhooks()[0].ID, "Webhooks is still oldest first")
}

func TestList_invalidParameter(t *testing.T) {
	t.Parallel()
	for query, name := range map[string]string{
		"currentPage=0":               "currentPage",
		"currentPage=-1":              "currentPage",
		"currentPage=one":             "currentPage",
		"currentPage=":                "currentPage",
		"currentPage=1&currentPage=2": "currentPage",
		"currentPage=99999999999999999999999999999999": "currentPage",
		"pageSize=0":                      "pageSize",
		"pageSize=101":                    "pageSize",
		"pageSize=2.5":                    "pageSize",
		"events=video.encoding.completed": "events",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			_, call := start(t)
			call.responsesOnly().do(http.MethodGet, "/webhooks?"+query, "").
				assertError(http.StatusBadRequest, "invalid-query-parameter", "A query parameter is invalid.", name)
		})
	}
}

func TestList_pageBeyondEnd(t *testing.T) {
	t.Parallel()
	farAway := "?currentPage=" + strconv.Itoa(math.MaxInt) // on a 32-bit machine, 31 bits
	t.Run("200", func(t *testing.T) {
		t.Parallel()
		_, call := start(t, facadetest.WithPageBeyondEnd(http.StatusOK))
		list := call.list(farAway)
		assert.Empty(t, list.Data)
		assert.InDelta(t, 1, list.Pagination.PagesTotal, 0)
	})
	t.Run("400", func(t *testing.T) {
		t.Parallel()
		_, call := start(t, facadetest.WithPageBeyondEnd(http.StatusBadRequest))
		call.do(http.MethodGet, "/webhooks"+farAway, "").
			assertError(http.StatusBadRequest, "invalid-query-parameter", "A query parameter is invalid.", "currentPage")
		assert.Empty(t, call.list("").Data, "the first page of an empty list exists")
	})
	t.Run("404", func(t *testing.T) {
		t.Parallel()
		_, call := start(t, facadetest.WithPageBeyondEnd(http.StatusNotFound))
		call.withoutContract().do(http.MethodGet, "/webhooks"+farAway, "").
			assertError(http.StatusNotFound, "resource-not-found", "The requested resource was not found.", "currentPage")
	})
}
