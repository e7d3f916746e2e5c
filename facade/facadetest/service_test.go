package facadetest_test

import (
	"encoding/json"
	"fmt"
	"math"
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

// The errors of the service for assertError.
const (
	docs            = "https://docs.api.video/reference/"
	invalidPayload  = "400 " + docs + "invalid-payload: The payload is invalid."
	invalidQuery    = "400 " + docs + "invalid-query-parameter: A query parameter is invalid."
	invalidBody     = "400 " + docs + "attribute-required: This attribute is required."
	limitReached    = "400 " + docs + "webhook-limit-reached: Your account has reached the webhook urls limit."
	invalidKey      = "401 " + docs + "authentication-invalid-api-key: The API key is invalid."
	invalidToken    = "401 " + docs + "authentication-invalid-access-token: The access token is invalid or expired."
	invalidRefresh  = "401 " + docs + "authentication-invalid-refresh-token: The refresh token is invalid."
	missingHeader   = "401 " + docs + `authentication-missing-authorization-header: The "Authorization" header is missing.`
	suspended       = "403 " + docs + "authorization-suspended-account: Suspended account"
	unknownRoute    = "404 " + docs + "unrecognized-request-url: Unrecognized request URL."
	notFound        = "404 " + docs + "resource-not-found: The requested resource was not found."
	wrongMethod     = "405 " + docs + "method-not-allowed: Method is not allowed for this route."
	tooManyRequests = "429 " + docs + "too-many-requests: Too many requests."
)

func TestServer_errors(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithRateLimit(1000, 1000))
	key, list, create, event := call.auth, "GET /webhooks", "POST /webhooks ", `"events":["video.source.recorded"]}`
	for _, test := range []struct {
		auth, want string
		requests   []string
	}{
		{"", missingHeader, []string{list, someCreate, "DELETE /webhooks/a", list + "/%2F"}},
		{basic("wrong:"), invalidKey, []string{list, someCreate, "DELETE /webhooks/a", list + "/%2F"}},
		{basic(":"), invalidKey, []string{list}},
		{basic(server.APIKey), invalidKey, []string{list}},
		{basic(server.APIKey + ":password"), invalidKey, []string{list}},
		{basic(server.APIKey[1:] + ":"), invalidKey, []string{list}},
		{"Basic ?", invalidKey, []string{list}},
		{"Digest username=a", invalidKey, []string{list}},
		{server.APIKey, invalidKey, []string{list}},
		{"Bearer", invalidToken, []string{list}},
		{"Bearer wrong", invalidToken, []string{list}},
		{"Bearer " + server.APIKey, invalidToken, []string{list}},
		{"", invalidKey, []string{`POST /auth/api-key {"apiKey":"wrong"}`}},
		{key, unknownRoute, []string{
			"GET /", "GET //", list + "/", "GET //webhooks", list + "//", list + "/a/b", list + "/a/", list + "/.", list + "/..",
			list + "/../webhooks", list + "%2Fa", "GET /Webhooks", "GET /auth", "GET /auth/", "GET /auth/api-key/",
		}},
		{key, wrongMethod, []string{
			"PUT /webhooks", "PATCH /webhooks", "DELETE /webhooks", "OPTIONS /webhooks",
			"PUT /webhooks/a", "PATCH /webhooks/a", "POST /webhooks/a", "OPTIONS /webhooks/a",
			"GET /auth/api-key", "PUT /auth/api-key", "GET /auth/refresh", "DELETE /auth/refresh",
		}},
		{key, notFound + " webhookId", []string{
			list + "/a%2Fb", list + "/%2e%2e", list + "/a%20b", list + "/%2F", "DELETE /webhooks/%2f", "DELETE /webhooks/%2F%2F",
		}},
		{key, invalidQuery + " currentPage", []string{
			list + "?currentPage=0", list + "?currentPage=-1", list + "?currentPage=one", list + "?currentPage=",
			list + "?currentPage=1&currentPage=2", list + "?currentPage=99999999999999999999999999999999",
		}},
		{key, invalidQuery + " pageSize", []string{list + "?pageSize=0", list + "?pageSize=101", list + "?pageSize=2.5"}},
		{key, invalidQuery + " events", []string{list + "?events=video.encoding.completed"}},
		{key, invalidPayload, []string{
			create, create + "url=https://a", create + `{"url":"https://a`, someCreate + "}", create + `["a"]`,
			someCreate + strings.Repeat(" ", maxBody), create + `{"url":"https://a/` + strings.Repeat("a", maxBody) + `",` + event,
		}},
		{key, invalidBody + " url is required. events is required.", []string{
			create + `{}`, create + `null`, create + `{"url":null,"events":null}`, create + `{"url":"","events":[]}`,
		}},
		{key, invalidBody + " url is required.", []string{create + `{` + event}},
		{key, invalidBody + " events is required.", []string{create + `{"url":"https://a"}`}},
		{key, invalidBody + " url is required. events must be an array.", []string{create + `{"events":"a"}`}},
		{key, invalidBody + " url must be a string. events must be an array.", []string{create + `{"url":1,"events":{}}`}},
		{key, invalidBody + " url must be a string. events must be an array of event names.", []string{
			create + `{"url":[],"events":[null,1]}`, create + `{"url":1,"events":["video.source.recorded",""]}`,
		}},
		{key, invalidBody + " url must be an http or https URL.", []string{
			create + `{"url":"a",` + event, create + `{"url":"ftp://a",` + event, create + `{"url":"https://:80/",` + event,
			create + `{"url":"https://a/%",` + event,
		}},
		{key, invalidBody + ` events must be an array of known event names, and "video.new" is unknown.`, []string{
			create + `{"url":"https://a","events":["video.source.recorded","video.new"]}`,
		}},
		{"", invalidBody + " apiKey is required.", []string{"POST /auth/api-key {}"}},
		{"", invalidBody + " apiKey must be a string.", []string{`POST /auth/api-key {"apiKey":1}`}},
		{"", invalidBody + " refreshToken is required.", []string{`POST /auth/refresh {"refreshToken":""}`}},
	} {
		for _, request := range test.requests {
			resp := call.as(test.auth).do(request)
			resp.assertError(test.want)
			exempt := strings.Contains(request, " /auth/")
			assert.Equal(t, exempt, resp.rateLimit() == "", request)
		}
	}
	assert.Empty(t, server.Webhooks())
}

func TestServer_tokens(t *testing.T) {
	t.Parallel()
	clock := &clock{}
	server, call := start(t, facadetest.WithClock(clock.now), facadetest.WithRateLimit(100, 1))
	list := func(auth string) response { return call.as(auth).do("GET /webhooks") }
	anonymous := call
	anonymous.auth = ""
	refresh := func(token string) response {
		return anonymous.do(`POST /auth/refresh {"refreshToken":"` + token + `"}`)
	}
	resp := anonymous.do(`POST /auth/api-key {"apiKey":"` + server.APIKey + `"}`)
	one := decode[gen.AccessToken](resp, 200)
	assert.Empty(t, resp.rateLimit(), "requests for tokens are unlimited")
	assert.Equal(t, "Bearer 3600", fmt.Sprint(one.TokenType, " ", one.ExpiresIn))
	clock.add(time.Hour - time.Nanosecond)
	two := decode[gen.AccessToken](refresh(one.RefreshToken), 200)
	assert.NotEqual(t, one.AccessToken, two.AccessToken)
	for _, auth := range []string{
		"Bearer " + one.AccessToken, "bearer " + two.AccessToken, strings.Replace(call.auth, "Basic", "basic", 1),
	} {
		assert.Equal(t, 200, list(auth).status, auth)
	}
	clock.add(time.Nanosecond)
	list("Bearer " + one.AccessToken).assertError(invalidToken)
	for _, token := range []string{one.RefreshToken, two.AccessToken, "wrong"} {
		refresh(token).assertError(invalidRefresh)
	}
	clock.add(24 * time.Hour)
	assert.Equal(t, 200, refresh(two.RefreshToken).status, "a refresh token does not expire")
}

func TestServer_rateLimit(t *testing.T) {
	t.Parallel()
	clock := &clock{}
	server, call := start(t, facadetest.WithClock(clock.now), facadetest.WithRateLimit(6, 3))
	for i, test := range []struct {
		after     time.Duration
		request   string
		status    int
		rateLimit string
	}{
		{0, "GET /webhooks", 200, "6 5 60"},
		{20*time.Second + time.Millisecond, "POST /webhooks", 201, "3 2 60"},
		{0, "DELETE /webhooks/a", 404, "3 1 60"},
		{0, "PUT /webhooks/a", 405, "3 0 60"},
		{0, "POST /webhooks", 429, "3 0 60"},
		{0, "GET /webhooks/a", 404, "6 4 40"},
		{0, "GET /webhooks/", 404, "6 3 40"},
		{0, "GET /webhooks?pageSize=101", 400, "6 2 40"},
		{0, "HEAD /webhooks", 405, "6 1 40"},
		{0, "GET /webhooks", 200, "6 0 40"},
		{0, "GET /webhooks", 429, "6 0 40"},
		{40*time.Second - 2*time.Millisecond, "GET /webhooks", 429, "6 0 1"},
		{time.Millisecond, "GET /webhooks", 200, "6 5 60"}, // a minute after the first read
		{0, "POST /webhooks", 429, "3 0 21"},
		{time.Hour, "POST /webhooks", 201, "3 2 60"},
		{-time.Hour, "POST /webhooks", 201, "3 2 60"}, // a clock that moves back
	} {
		clock.add(test.after)
		resp := call.as(call.auth).do(test.request + " " + someWebhook)
		assert.Equal(t, test.status, resp.status, "row %d", i)
		assert.Equal(t, test.rateLimit, resp.rateLimit(), "row %d", i)
	}
	assert.Len(t, server.Webhooks(), 3)
	assert.Equal(t, "6 4 60", call.as("").do("GET /webhooks").rateLimit(), "a request without credentials counts")

	server, call = start(t, facadetest.WithRateLimit(0, 1))
	server.Inject(fault{Status: 429})
	for range 3 {
		assert.Empty(t, call.do("GET /webhooks").rateLimit())
	}
	call.create(someWebhook)
	call.do(someCreate).assertError(tooManyRequests)
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	clock := &clock{}
	clock.add(999_999)
	server, call := start(t, facadetest.WithClock(clock.now))
	const other = `{"url":"HttP://localhost:8080/?a=<b>","URL":"ftp://a","Events":[1],` +
		`"events":["video.summary.generated","video.source.recorded"]}`
	assert.Equal(t, "100 99 60", call.do("GET /webhooks").rateLimit(), "the default limit of reads")
	resp := call.do(someCreate)
	assert.Contains(t, resp.body, `"createdAt":"2024-08-08T14:12:18.125Z"`)
	one, two := decode[gen.Webhook](resp, 201), call.as(call.auth).create(other)
	call.create(someWebhook + strings.Repeat(" ", 1<<20-len(someWebhook))) // a duplicate
	want := []facade.Webhook{
		{URL: "https://hooks.example.com/a", Events: []facade.EventType{"video.source.recorded"}},
		{URL: "HttP://localhost:8080/?a=<b>", Events: []facade.EventType{"video.summary.generated", "video.source.recorded"}},
	}
	for i, w := range []gen.Webhook{one, two} {
		assert.Regexp(t, `^webhook_[0-9A-Za-z]{22}$`, w.WebhookID)
		assert.Regexp(t, `^sig_sec_[0-9A-Za-z]{22}$`, w.SignatureSecret)
		assert.Equal(t, w, decode[gen.Webhook](call.do("GET /webhooks/"+w.WebhookID), 200))
		want[i].ID, want[i].SignatureSecret = w.WebhookID, facade.NewSecret(w.SignatureSecret)
		want[i].CreatedAt = time.Date(2024, 8, 8, 14, 12, 18, 125e6, time.UTC)
	}
	assert.NotEqual(t, one.WebhookID, two.WebhookID)
	assert.NotEqual(t, one.SignatureSecret, two.SignatureSecret)
	for range 2 { // Webhooks returns copies
		got := server.Webhooks()
		require.Len(t, got, 3)
		assert.Equal(t, want, got[:2])
		got[0].Events[0] = "changed"
	}

	for range 7 {
		call.create(someWebhook)
	}
	call.do(someCreate).assertError(limitReached)
	deleted := call.do("DELETE /webhooks/" + one.WebhookID)
	assert.Equal(t, 204, deleted.status)
	assert.Empty(t, deleted.body+deleted.header.Get("Content-Type"))
	for _, method := range []string{"GET", "DELETE"} {
		call.do(method + " /webhooks/" + one.WebhookID).assertError(notFound + " webhookId")
	}
	call.create(someWebhook)
	assert.Len(t, server.Webhooks(), 10)
	assert.Equal(t, two.WebhookID, server.Webhooks()[0].ID)
}

// A date after the year 9999 is invalid in JSON.
func TestServer_internalError(t *testing.T) {
	t.Parallel()
	_, call := start(t, facadetest.WithClock(func() time.Time { return time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }))
	call.do(someCreate).assertError("500 : Server error")
}

func TestList(t *testing.T) {
	t.Parallel()
	_, call := start(t, facadetest.WithWebhookLimit(0), facadetest.WithRateLimit(0, 0), facadetest.WithUnknownEvents())
	ids := make([]string, 26)
	for i := range ids {
		event := []string{"video.source.recorded", "video.summary.generated"}[i%2]
		ids[i] = call.create(`{"url":"https://hooks.example.com/a","events":["` + event + `"]}`).WebhookID
	}
	const summaries, unknown = "&events=video.summary.generated", "&events=video.new"
	for _, test := range []struct {
		query  string
		want   []string
		counts string // page, its items, page size, pages, items
		links  string // relations and pages
		filter string // of the links
	}{
		{"", ids[:25], "1 25 25 2 26", "self 1, first 1, next 2, last 2", ""},
		{"?currentPage=2", ids[25:], "2 1 25 2 26", "self 2, first 1, previous 1, last 2", ""},
		{"?events=&pageSize=26", ids, "1 26 26 1 26", "self 1, first 1, last 1", ""},
		{"?pageSize=100&currentPage=1", ids, "1 26 100 1 26", "self 1, first 1, last 1", ""},
		{"?pageSize=1&currentPage=3", ids[2:3], "3 1 1 26 26", "self 3, first 1, previous 2, next 4, last 26", ""},
		{"?pageSize=13&currentPage=2", ids[13:], "2 13 13 2 26", "self 2, first 1, previous 1, last 2", ""},
		{"?pageSize=10&currentPage=5", nil, "5 0 10 3 26", "self 5, first 1, previous 3, last 3", ""},
		{"?currentPage=2&pageSize=1" + summaries, ids[3:4], "2 1 1 13 13", "self 2, first 1, previous 1, next 3, last 13", summaries},
		{"?pageSize=9" + unknown, nil, "1 0 9 1 0", "self 1, first 1, last 1", unknown},
	} {
		p, got := call.list(test.query)
		assert.Equal(t, test.want, got, test.query)
		assert.Equal(t, test.counts, fmt.Sprint(p.CurrentPage, p.CurrentPageItems, p.PageSize, p.PagesTotal, p.ItemsTotal))
		var links []gen.PaginationLink
		require.NoError(t, json.Unmarshal(p.Links, &links))
		var want []gen.PaginationLink
		for link := range strings.SplitSeq(test.links, ", ") {
			rel, page, _ := strings.Cut(link, " ")
			uri := fmt.Sprintf("/webhooks?currentPage=%s%s&pageSize=%v", page, test.filter, p.PageSize)
			want = append(want, gen.PaginationLink{Rel: rel, URI: uri})
		}
		assert.Equal(t, want, links, test.query)
	}
	_, got := call.list("?currentPage=" + strconv.Itoa(math.MaxInt)) // on a 32-bit machine, 31 bits
	assert.Empty(t, got)
}

func TestList_pageBeyondEnd(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{400: invalidQuery + " currentPage", 404: notFound + " currentPage"} {
		_, call := start(t, facadetest.WithPageBeyondEnd(status))
		_, got := call.list("")
		assert.Empty(t, got, "the first page of an empty list exists")
		call.unchecked().do("GET /webhooks?currentPage=2").assertError(want)
	}
}
