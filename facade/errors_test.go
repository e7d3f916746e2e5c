package facade_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

var allSentinels = []error{
	facade.ErrBadRequest, facade.ErrUnauthorized, facade.ErrForbidden, facade.ErrNotFound, facade.ErrTooManyRequests,
	facade.ErrServer, facade.ErrWebhookLimitReached, facade.ErrInvalidArgument, facade.ErrUnexpectedResponse, facade.ErrUnconfirmed,
}

// getError returns the error of a get.
func getError(t *testing.T, handler http.HandlerFunc, opts ...facade.Option) *facade.Error {
	t.Helper()
	wh, err := newClient(t, handler, opts...).GetWebhook(t.Context(), "w")
	assert.Nil(t, wh)
	return asError(t, err)
}

func TestError_sentinels(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status    int
		want      error // nil: none
		ambiguous bool
	}{
		{400, facade.ErrBadRequest, false},
		{401, facade.ErrUnauthorized, false},
		{403, facade.ErrForbidden, false},
		{404, facade.ErrNotFound, false},
		{405, nil, false},
		{408, nil, true},
		{409, nil, false},
		{422, nil, false},
		{425, nil, false},
		{429, facade.ErrTooManyRequests, false},
		{499, nil, false},
		{500, facade.ErrServer, true},
		{502, facade.ErrServer, true},
		{503, facade.ErrServer, true},
		{504, facade.ErrServer, true},
		{599, facade.ErrServer, true},
		{600, nil, true},
	}
	for _, test := range tests {
		for _, body := range []string{`{"title":"No."}`, "<html>", ""} {
			server := newScript(respond(test.status, body))
			client := newClient(t, server.ServeHTTP, facade.WithRetry(facade.RetryPolicy{MaxAttempts: 2, MinDelay: 1, MaxDelay: 1}))
			for _, op := range operations {
				before := server.requests()
				err := op.call(t.Context(), client)
				e := asError(t, err)
				name := fmt.Sprint(test.status, body, op.name)
				assert.Equal(t, test.status, e.StatusCode, name)
				assert.Equal(t, op.op, e.Op, name)
				attempts := 1
				if test.status == 429 || test.ambiguous && op.name != "create" {
					attempts = 2
				}
				assert.Equal(t, attempts, e.Attempts, name)
				assert.Equal(t, attempts, server.requests()-before, name)
				var want, got []error
				if test.want != nil {
					want = append(want, test.want)
				}
				if op.name == "create" && test.ambiguous {
					want = append(want, facade.ErrUnconfirmed)
				}
				for _, sentinel := range allSentinels {
					if errors.Is(err, sentinel) {
						got = append(got, sentinel)
					}
				}
				assert.Equal(t, want, got, name)
			}
		}
	}
}

func TestError_webhookLimit(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]bool{
		"https://docs.api.video/reference/webhook-limit-reached":      true,
		"https://docs.api.video/docs/webhook-limit-reached":           true,
		"http://example.com/webhook-limit-reached/":                   true,
		"webhook-limit-reached":                                       true,
		"https://docs.api.video/reference/attribute-required":         false,
		"https://docs.api.video/reference/no-webhook-limit-reached":   false,
		"https://docs.api.video/reference/webhook-limit-reached-soon": false,
		"https://docs.api.video/webhook-limit-reached/other":          false,
		"": false,
	} {
		e := getError(t, respond(400, fmt.Sprintf(`{"type":%q}`, typ)))
		assert.Equal(t, want, errors.Is(e, facade.ErrWebhookLimitReached), typ)
		e = getError(t, respond(403, fmt.Sprintf(`{"type":%q}`, typ)))
		assert.NotErrorIs(t, e, facade.ErrWebhookLimitReached)
	}
}

func TestError_body(t *testing.T) {
	t.Parallel()
	const (
		jsonType = "application/json"
		html     = "text/html; charset=utf-8"
		full     = `{"type":"https://docs.api.video/reference/attribute-required","title":"This attribute is required.","name":"url","status":400,"detail":"More.",` +
			`"problems":[{"type":"https://docs.api.video/reference/attribute-required","title":"This attribute is required.","name":"url"},` +
			`{"type":"https://docs.api.video/reference/invalid-attribute","title":"This attribute must be an array.","name":"events"}]}`
	)
	decoded := facade.Error{
		Type: "https://docs.api.video/reference/attribute-required", Title: "This attribute is required.", Name: "url", Detail: "More.",
		Problems: []facade.Problem{
			{Name: "url", Title: "This attribute is required.", Type: "https://docs.api.video/reference/attribute-required"},
			{Name: "events", Title: "This attribute must be an array.", Type: "https://docs.api.video/reference/invalid-attribute"},
		},
	}
	tests := []struct {
		name, contentType, body string
		want                    facade.Error
	}{
		{"all fields", jsonType, full, decoded},
		{"problem+json", "application/problem+json", full, decoded},
		{"JSON as HTML", html, full, decoded},
		{"invalid content type", ";;", full, decoded},
		{
			"text in the field events", jsonType, `{"title":"No.","problems":[{"name":"events","events":"This attribute must be an array."}]}`,
			facade.Error{Title: "No.", Problems: []facade.Problem{{Name: "events", Title: "This attribute must be an array."}}},
		},
		{"null fields", jsonType, `{"type":null,"title":"No.","name":null,"status":null,"detail":null,"problems":null}`, facade.Error{Title: "No."}},
		{"status as text", jsonType, `{"status":"400","title":"No.","detail":"More."}`, facade.Error{Title: "No.", Detail: "More."}},
		{"name as array", jsonType, `{"name":["url"],"title":"No.","detail":"More."}`, facade.Error{Title: "No.", Detail: "More."}},
		{"type as number", jsonType, `{"type":7,"title":"No.","name":"url"}`, facade.Error{Title: "No.", Name: "url"}},
		{"problems as object", jsonType, `{"problems":{"url":"required"},"title":"No.","name":"url"}`, facade.Error{Title: "No.", Name: "url"}},
		{
			"title of a problem as object", jsonType, `{"title":"No.","problems":[{"title":{},"name":"url"},{"title":"Required.","name":"events"}]}`,
			facade.Error{Title: "No.", Problems: []facade.Problem{{Name: "url"}, {Name: "events", Title: "Required."}}},
		},
		{"several wrong types", jsonType, `{"type":1,"status":[],"name":{},"problems":0,"detail":true,"title":"No."}`, facade.Error{Title: "No."}},
		{"unknown field", jsonType, `{"title":"No.","trace":{"id":[1]}}`, facade.Error{Title: "No."}},
		{"null", jsonType, `null`, facade.Error{}},
		{"array", jsonType, `[{"title":"No."}]`, facade.Error{}},
		{"string", jsonType, `"No."`, facade.Error{}},
		{"incomplete JSON", jsonType, full[:100], facade.Error{}},
		{"empty", jsonType, "", facade.Error{}},
		{"HTML", html, "<html><title>Bad</title></html>", facade.Error{}},
		{"HTML as JSON", jsonType, "<html></html>", facade.Error{}},
	}
	for _, test := range tests {
		e := getError(t, respondWith(400, test.body, "Content-Type", test.contentType, "X-Trace", "abc"))
		require.ErrorIs(t, e, facade.ErrBadRequest, test.name)
		assert.Equal(t, test.body, string(e.Body), test.name)
		assert.Equal(t, "abc", e.Header.Get("X-Trace"), test.name)
		assert.Equal(t, test.want, facade.Error{Type: e.Type, Title: e.Title, Name: e.Name, Detail: e.Detail, Problems: e.Problems}, test.name)
		require.NoError(t, errors.Unwrap(e), test.name)
	}
}

// The buffer of a body is reused for later responses.
func TestError_bodyIsACopy(t *testing.T) {
	t.Parallel()
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		respond(404, fmt.Sprintf(`{"title":%q}`, r.URL.Path))(w, r)
	})
	var all []*facade.Error
	for i := range 10 {
		_, err := client.GetWebhook(t.Context(), strconv.Itoa(i))
		all = append(all, asError(t, err))
	}
	for i, e := range all {
		assert.Equal(t, fmt.Sprintf(`{"title":"/webhooks/%d"}`, i), string(e.Body))
	}
}

func TestError_Error(t *testing.T) {
	t.Parallel()
	const problems = `{"title":"This attribute is required.","name":"url","problems":[` +
		`{"title":"This attribute is required.","name":"url"},{"title":"This attribute must be an array.","name":"events"}]}`
	long := strings.Repeat("é", 5000)
	for _, test := range []struct {
		status     int
		body, want string
	}{
		{404, `{"title":"The requested resource was not found.","name":"webhookId"}`, "404 The requested resource was not found. (webhookId)"},
		{403, `{"title":"Suspended account","name":null}`, "403 Suspended account"},
		{400, problems, "400 This attribute is required.; url: This attribute is required.; events: This attribute must be an array."},
		{400, `{"title":"No.","problems":[{"title":"Bad.","name":null}]}`, "400 No.; Bad."},
		{400, `{"title":"No.","problems":[{"name":"url"}]}`, "400 No.; url"},
		{400, `{"problems":[` + strings.Repeat(`{"name":"url"},`, 2000) + `{}]}`, "400 Bad Request" + strings.Repeat("; url", 10) + "; and 1991 more"},
		{400, `{"title":"No.","name":"url","detail":"More."}`, "400 No. (url): More."},
		{404, `{}`, "404 Not Found"},
		{502, `<html>`, "502 Bad Gateway"},
		{599, ``, "599"},
		{400, `{"title":"No\r\nsuch\tthing","name":"u\nrl","detail":"a\u2028b\u0085c"}`, "400 No  such thing (u rl): a b c"},
		{400, `{"title":"\u001b[31mred\u0007\u0000\u007f","problems":[{"name":"\u001b[2J","title":"\u009b1m"}]}`, "400  [31mred   ;  [2J:  1m"},
		{400, `{"title":"a\u202eb\u200bc"}`, "400 a b c"},
		{400, `{"title":"` + long + `","name":"` + long + `","detail":"` + long + `"}`, "400 " + long[:400] + "… (" + long[:400] + "…): " + long[:400] + "…"},
		{400, `{"title":"` + long[:400] + `"}`, "400 " + long[:400]},
		{400, "{\"title\":\"a\xffb\"}", "400 a\ufffdb"},
	} {
		e := getError(t, respond(test.status, test.body))
		require.EqualError(t, e, "apivideo: GetWebhook: "+test.want)
		checkErrorText(t, e)
	}
	for _, handler := range []http.HandlerFunc{
		respondWith(200, "x", "Content-Type", "a\tb"+strings.Repeat("c", 5000)),
		respond(200, `{"webhookId":`+strings.Repeat("1", 100_000)+`}`),
		respondWith(302, "", "Location", "http://[\x1b[31m"),
	} {
		checkErrorText(t, getError(t, handler))
	}
}

func TestError_transport(t *testing.T) {
	t.Parallel()
	lost := errors.New("lost \x1b[31m")
	_, err := newClientWith(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, lost })).GetWebhook(t.Context(), "w")
	e := asError(t, err)
	require.ErrorIs(t, err, lost)
	var cause *url.Error
	require.ErrorAs(t, errors.Unwrap(err), &cause)
	for _, sentinel := range allSentinels {
		require.NotErrorIs(t, err, sentinel)
	}
	require.EqualError(t, err, `apivideo: GetWebhook: Get "https://ws.api.video/webhooks/w": lost  [31m`)
	assert.Zero(t, e.StatusCode)
	assert.Equal(t, 1, e.Attempts)
	assert.Nil(t, e.Header)
	assert.Nil(t, e.Body)
	require.ErrorIs(t, getError(t, truncated(200)), io.ErrUnexpectedEOF)
	long := errors.New(strings.Repeat("x", 10_000))
	checkErrorText(t, getWebhook(t.Context(), newClientWith(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, long }))))
	client := newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodDelete {
			return &http.Response{StatusCode: http.StatusNoContent}, nil // without a Body
		}
		return nil, nil //nolint:nilnil // the fault of the transport
	}))
	require.ErrorContains(t, getWebhook(t.Context(), client), "no response and no error")
	require.NoError(t, client.DeleteWebhook(t.Context(), "w"))
}

func TestError_hints(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handler http.HandlerFunc
		opt     facade.Option
		want    string
	}{
		{"401", respond(401, `{"title":"The API key is invalid."}`), withoutRetries, "401 The API key is invalid. (host localhost; production and sandbox have different API keys)"},
		{"429", tooMany(serviceHeader, "42"), withoutRetries, "429 Too many requests. (retry after 42s)"},
		{"429 beyond MaxDelay", tooMany(retryAfter, "3600"), defaultRetries, "429 Too many requests. (retry after 1h0m0s)"},
		{"503 beyond MaxDelay", respondWith(503, `{}`, retryAfter, "3600"), defaultRetries, "503 Service Unavailable (retry after 1h0m0s)"},
		{"500 four times", respond(500, `{}`), defaultRetries, "500 Internal Server Error (4 attempts)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				require.EqualError(t, getError(t, test.handler, test.opt), "apivideo: GetWebhook: "+test.want)
			})
		})
	}
}

func TestError_LogValue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{
			"429", respondWith(429, `{"type":"https://docs.api.video/reference/too-many-requests","title":"Too many requests."}`, serviceHeader, "42"),
			`{"op":"GetWebhook","status":429,"attempts":1,"msg":"apivideo: GetWebhook: 429 Too many requests. (retry after 42s)","type":"too-many-requests","retry_after":"42s"}`,
		},
		{
			"type with controls", respond(400, `{"type":"https://docs.api.video/\u001b[31m\n","title":"No."}`),
			`{"op":"GetWebhook","status":400,"attempts":1,"msg":"apivideo: GetWebhook: 400 No.","type":" [31m "}`,
		},
		{
			"503 with the header of 429", respondWith(503, "<html>", serviceHeader, "42"),
			`{"op":"GetWebhook","status":503,"attempts":1,"msg":"apivideo: GetWebhook: 503 Service Unavailable"}`,
		},
		{
			"400 with Retry-After", respondWith(400, "<html>", retryAfter, "42"),
			`{"op":"GetWebhook","status":400,"attempts":1,"msg":"apivideo: GetWebhook: 400 Bad Request"}`,
		},
	}
	for _, test := range tests {
		var buf bytes.Buffer
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("failed", slog.Any("err", getError(t, test.handler)))
		var line struct {
			Err json.RawMessage `json:"err"`
		}
		require.NoError(t, json.Unmarshal(buf.Bytes(), &line), test.name)
		assert.JSONEq(t, test.want, string(line.Err), test.name)
	}
}
