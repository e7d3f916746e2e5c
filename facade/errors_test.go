package facade_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// getError returns the error of a get.
func getError(t *testing.T, handler http.HandlerFunc, opts ...facade.Option) *facade.Error {
	t.Helper()
	wh, err := newClient(t, handler, opts...).GetWebhook(t.Context(), "w")
	assert.Nil(t, wh)
	return asError(t, err)
}

// sentinelsOf returns the errors of the package that err matches.
func sentinelsOf(err error) []error {
	var all []error
	for _, sentinel := range []error{
		facade.ErrBadRequest, facade.ErrUnauthorized, facade.ErrForbidden, facade.ErrNotFound, facade.ErrTooManyRequests,
		facade.ErrServer, facade.ErrWebhookLimitReached, facade.ErrInvalidArgument, facade.ErrUnexpectedResponse,
		facade.ErrUnconfirmed,
	} {
		if errors.Is(err, sentinel) {
			all = append(all, sentinel)
		}
	}
	return all
}

func TestError_sentinels(t *testing.T) {
	t.Parallel()
	sentinels := map[int][]error{
		400: {facade.ErrBadRequest}, 401: {facade.ErrUnauthorized}, 403: {facade.ErrForbidden}, 404: {facade.ErrNotFound},
		429: {facade.ErrTooManyRequests}, 500: {facade.ErrServer}, 502: {facade.ErrServer}, 503: {facade.ErrServer},
		504: {facade.ErrServer}, 599: {facade.ErrServer},
	}
	for _, status := range []int{400, 401, 403, 404, 405, 408, 409, 422, 425, 429, 499, 500, 502, 503, 504, 599, 600} {
		isAmbiguous := status == 408 || status >= 500
		for _, body := range []string{`{"title":"No."}`, "<html>", ""} {
			server := newScript(respond(status, body))
			client := newClient(t, server.ServeHTTP, facade.WithRetry(facade.RetryPolicy{MaxAttempts: 2, MinDelay: 1, MaxDelay: 1}))
			for _, op := range operations {
				before := server.requests()
				err := op.call(t.Context(), client)
				want, attempts := sentinels[status], 1
				switch {
				case isAmbiguous && op.name == "create":
					want = append(slices.Clip(want), facade.ErrUnconfirmed)
				case isAmbiguous || status == 429:
					attempts = 2
				}
				name, e := fmt.Sprint(status, body, op.name), asError(t, err)
				assert.Equal(t, want, sentinelsOf(err), name)
				assert.Equal(t, op.op, e.Op, name)
				assert.Equal(t, []int{status, attempts, attempts}, []int{e.StatusCode, e.Attempts, server.requests() - before}, name)
			}
		}
	}
}

func TestError_webhookLimitReached(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]bool{
		"https://docs.api.video/reference/webhook-limit-reached":    true,
		"http://example.com/webhook-limit-reached/":                 true,
		"webhook-limit-reached":                                     true,
		"https://docs.api.video/reference/no-webhook-limit-reached": false,
		"https://docs.api.video/webhook-limit-reached/other":        false,
		"https://docs.api.video/reference/webhook-limit-reached-2":  false,
		"": false,
	} {
		e := getError(t, respond(400, fmt.Sprintf(`{"type":%q}`, typ)))
		assert.Equal(t, want, errors.Is(e, facade.ErrWebhookLimitReached), typ)
		e.StatusCode = 403
		require.NotErrorIs(t, e, facade.ErrWebhookLimitReached, typ)
	}
}

// A field of another type is zero. The content type is ignored, because a proxy may
// change the header.
func TestError_body(t *testing.T) {
	t.Parallel()
	const required, invalid = "https://docs.api.video/reference/attribute-required", "https://docs.api.video/reference/invalid-attribute"
	const full = `{"type":"` + required + `","title":"Required.","name":"url","status":400,"detail":"More.","problems":[` +
		`{"type":"` + required + `","title":"Required.","name":"url"},{"type":"` + invalid + `","title":"No array.","name":"events"}]}`
	noTitle := facade.Error{Title: "No."}
	tests := map[string]facade.Error{
		full: {Type: required, Title: "Required.", Name: "url", Detail: "More.", Problems: []facade.Problem{
			{Name: "url", Title: "Required.", Type: required}, {Name: "events", Title: "No array.", Type: invalid},
		}},
		`{"title":"No.","problems":[{"name":"events","events":"text of another field"}]}`: {
			Title: "No.", Problems: []facade.Problem{{Name: "events", Title: "text of another field"}},
		},
		`{"title":"No.","problems":[{"title":{},"name":"url"},{"title":"Required.","name":"events"}]}`: {
			Title: "No.", Problems: []facade.Problem{{Name: "url"}, {Name: "events", Title: "Required."}},
		},
		`{"type":null,"title":"No.","name":null,"status":null,"detail":null,"problems":null}`: noTitle,
		`{"type":1,"status":[],"name":{},"problems":0,"detail":true,"title":"No."}`:           noTitle,
		`{"status":"400","title":"No.","trace":{"id":[1]}}`:                                   noTitle,
		`null`:              {},
		`[{"title":"No."}]`: {},
		`"No."`:             {},
		full[:100]:          {},
		"":                  {},
		"<html></html>":     {},
	}
	for _, contentType := range []string{"application/json", "text/html; charset=utf-8", ";;"} {
		got := make(map[string]*facade.Error)
		for body := range tests {
			got[body] = getError(t, respondWith(400, body, "Content-Type", contentType, "X-Trace", "abc"))
		}
		for body, e := range got { // later responses have not changed the body
			assert.Equal(t, body, string(e.Body))
			assert.Equal(t, "abc", e.Header.Get("X-Trace"), body)
			want := tests[body]
			assert.Equal(t, want, facade.Error{Type: e.Type, Title: e.Title, Name: e.Name, Detail: e.Detail, Problems: e.Problems})
			assert.Equal(t, []error{facade.ErrBadRequest}, sentinelsOf(e), body)
			assert.NoError(t, errors.Unwrap(e), body)
		}
	}
}

func TestError_Error(t *testing.T) {
	t.Parallel()
	const problems = `{"title":"No.","name":"url","problems":[{"title":"Required.","name":"url"},{"title":"No array.","name":"events"}]}`
	long := strings.Repeat("é", 5000)
	clipped := long[:400] + "…"
	for _, test := range []struct {
		handler http.HandlerFunc
		want    string
	}{
		{respond(404, `{"title":"Not here.","name":"webhookId"}`), "404 Not here. (webhookId)"},
		{respond(403, `{"title":"Suspended account","name":null}`), "403 Suspended account"},
		{respond(400, problems), "400 No.; url: Required.; events: No array."},
		{respond(400, `{"title":"No.","problems":[{"title":"Bad.","name":null},{"name":"url"}]}`), "400 No.; Bad.; url"},
		{
			respond(400, `{"problems":[`+strings.Repeat(`{"name":"url"},`, 2000)+`{}]}`),
			"400 Bad Request" + strings.Repeat("; url", 10) + "; and 1991 more",
		},
		{respond(400, `{"problems":[`+strings.Repeat(`{"name":"url"},`, 9)+`{}]}`), "400 Bad Request" + strings.Repeat("; url", 9) + "; "},
		{respond(400, `{"title":"No.","name":"url","detail":"More."}`), "400 No. (url): More."},
		{respond(404, `{}`), "404 Not Found"},
		{respond(499, ``), "499"},
		{respond(400, `{"title":"No\r\nsuch\tthing","name":"u\nrl","detail":"a\u2028b\u0085c"}`), "400 No  such thing (u rl): a b c"},
		{respond(400, `{"title":"\u001b[31mred\u007f","problems":[{"name":"\u001b[2J","title":"\u009b1m"}]}`), "400  [31mred ;  [2J:  1m"},
		{respond(400, `{"title":"a\u202eb\u200bc`+"\xff"+`d"}`), "400 a b c\ufffdd"},
		{respond(400, fmt.Sprintf(`{"title":%q,"name":%[1]q,"detail":%[1]q}`, long)), "400 " + clipped + " (" + clipped + "): " + clipped},
		{respond(400, `{"title":"`+long[:400]+`"}`), "400 " + long[:400]},
		{respond(401, `{"title":"No."}`), "401 No. (host localhost; production and sandbox have different API keys)"},
		{tooMany(serviceHeader, "42"), "429 Too many requests. (retry after 42s)"},
		{respondWith(503, `{}`, retryAfter, "3600"), "503 Service Unavailable (retry after 1h0m0s)"},
		{respond(502, `<html>`), "502 Bad Gateway (4 attempts)"},
	} {
		e := getError(t, test.handler, fastRetries)
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
	get := func(lost error) error {
		return getWebhook(t.Context(), newClientWith(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, lost })))
	}
	lost := errors.New("lost \x1b[31m")
	err := get(lost)
	require.EqualError(t, err, `apivideo: GetWebhook: Get "https://ws.api.video/webhooks/`+webhookID+`": lost  [31m`)
	require.ErrorIs(t, err, lost)
	var cause *url.Error
	require.ErrorAs(t, errors.Unwrap(err), &cause)
	assert.Empty(t, sentinelsOf(err))
	e := asError(t, err)
	assert.Equal(t, []int{0, 1}, []int{e.StatusCode, e.Attempts})
	assert.Nil(t, e.Header)
	assert.Nil(t, e.Body)
	checkErrorText(t, get(errors.New(strings.Repeat("x", 10_000))))
	require.ErrorContains(t, get(nil), "no response and no error")
	truncated := getError(t, respondWith(200, "{", "Content-Length", "9"))
	require.ErrorIs(t, truncated, io.ErrUnexpectedEOF)
	assert.Equal(t, []error{facade.ErrUnexpectedResponse}, sentinelsOf(truncated))
	noBody := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusNoContent}, nil
	})
	require.NoError(t, newClientWith(t, noBody).DeleteWebhook(t.Context(), "w"), "a response without a Body")
}

func TestError_LogValue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		handler http.HandlerFunc
		want    string
	}{
		{
			respondWith(429, `{"type":"https://docs.api.video/reference/too-many-requests","title":"Slow."}`, serviceHeader, "42"),
			`"status":429,"msg":"apivideo: GetWebhook: 429 Slow. (retry after 42s)","type":"too-many-requests","retry_after":"42s"`,
		},
		{
			respond(400, `{"type":"https://docs.api.video/\u001b[31m\n","title":"No."}`),
			`"status":400,"msg":"apivideo: GetWebhook: 400 No.","type":" [31m "`,
		},
		{respondWith(503, "", serviceHeader, "42"), `"status":503,"msg":"apivideo: GetWebhook: 503 Service Unavailable"`},
	} {
		assert.JSONEq(t, `{"op":"GetWebhook","attempts":1,`+test.want+`}`, logJSON(t, getError(t, test.handler)))
	}
}

// A credential at the place where a text is truncated is redacted as a whole.
func TestError_credentialAtTruncation(t *testing.T) {
	t.Parallel()
	const maxErrorBody = 64 << 10
	for n := range len(testKey) + 1 { // bytes of the key before the limit
		padding := strings.Repeat("x", 200-n)
		for name, handler := range map[string]http.HandlerFunc{
			"Location": respondWith(302, "", "Location", "https://h/"+padding[len("https://h/"):]+testKey),
			"body":     respond(404, strings.Repeat("x", maxErrorBody-n)+testKey+"x"),
			"type":     respondWith(200, "<html>", "Content-Type", padding+testKey),
		} {
			e := getError(t, handler)
			assert.NotContains(t, e.Error()+string(e.Body), testKey[:8], "%s, %d", name, n)
			assert.LessOrEqual(t, len(e.Body), maxErrorBody)
		}
	}
}
