package facade_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

var allSentinels = []error{
	facade.ErrBadRequest, facade.ErrUnauthorized, facade.ErrForbidden, facade.ErrNotFound, facade.ErrTooManyRequests,
	facade.ErrServer, facade.ErrWebhookLimitReached, facade.ErrInvalidArgument, facade.ErrUnexpectedResponse, facade.ErrUnconfirmed,
}

// answerWith is a handler that always answers this; headers are names and
// values by turns.
func answerWith(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for pair := range slices.Chunk(headers, 2) {
			w.Header().Set(pair[0], pair[1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// getError is what GetWebhook makes of the handler's answer.
func getError(t *testing.T, handler http.HandlerFunc) *facade.Error {
	t.Helper()
	wh, err := newClient(t, handler).GetWebhook(t.Context(), "w")
	assert.Nil(t, wh)
	return asError(t, err)
}

func TestSentinelsByStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status  int
		want    []error
		retried bool // by something on the way, perhaps, so that a create is unconfirmed
	}{
		{400, []error{facade.ErrBadRequest}, false},
		{401, []error{facade.ErrUnauthorized}, false},
		{403, []error{facade.ErrForbidden}, false},
		{404, []error{facade.ErrNotFound}, false},
		{405, nil, false},
		{408, nil, true},
		{409, nil, false},
		{413, nil, false},
		{418, nil, false},
		{422, nil, false},
		{425, nil, false},
		{429, []error{facade.ErrTooManyRequests}, false},
		{499, nil, false},
		{500, []error{facade.ErrServer}, true},
		{502, []error{facade.ErrServer}, true},
		{503, []error{facade.ErrServer}, true},
		{504, []error{facade.ErrServer}, true},
		{599, []error{facade.ErrServer}, true},
		{600, nil, true},
	}
	bodies := []struct {
		name    string
		handler func(int) http.HandlerFunc
	}{
		{"JSON", func(s int) http.HandlerFunc { return answer(s, `{"title":"No."}`) }},
		{"HTML", func(s int) http.HandlerFunc { return answerWith(s, "<html></html>", "Content-Type", "text/html") }},
		{"empty", func(s int) http.HandlerFunc { return answerWith(s, "") }},
	}
	for _, test := range tests {
		for _, body := range bodies {
			t.Run(fmt.Sprintf("%d/%s", test.status, body.name), func(t *testing.T) {
				t.Parallel()
				client := newClient(t, body.handler(test.status))
				for _, op := range operations {
					err := op.call(t.Context(), client)
					e := asError(t, err)
					assert.Equal(t, test.status, e.StatusCode)
					assert.Equal(t, op.op, e.Op)
					assert.Equal(t, 1, e.Attempts)
					want := test.want
					if op.name == "create" && test.retried {
						want = append([]error{facade.ErrUnconfirmed}, want...)
					}
					var got []error
					for _, sentinel := range allSentinels {
						if errors.Is(err, sentinel) {
							got = append(got, sentinel)
						}
					}
					assert.ElementsMatch(t, want, got, op.name)
				}
			})
		}
	}
}

func TestWebhookLimitBySlug(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		typ  string
		want bool
	}{
		{"today's base", "https://docs.api.video/reference/webhook-limit-reached", true},
		{"an older base", "https://docs.api.video/docs/webhook-limit-reached", true},
		{"another host", "http://example.com/webhook-limit-reached", true},
		{"no base", "webhook-limit-reached", true},
		{"another slug", "https://docs.api.video/reference/attribute-required", false},
		{"a slug that ends like it", "https://docs.api.video/reference/no-webhook-limit-reached", false},
		{"a slug that begins like it", "https://docs.api.video/reference/webhook-limit-reached-soon", false},
		{"it stands in the base", "https://docs.api.video/webhook-limit-reached/other", false},
		{"no type", "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, answer(400, fmt.Sprintf(`{"type":%q,"title":"Your account has reached the webhook urls limit."}`, test.typ)))
			_, err := client.CreateWebhook(t.Context(), validParams)
			require.ErrorIs(t, err, facade.ErrBadRequest)
			assert.Equal(t, test.want, errors.Is(err, facade.ErrWebhookLimitReached))
			assert.Equal(t, test.typ, asError(t, err).Type)
		})
	}
}

func TestErrorBodies(t *testing.T) {
	t.Parallel()
	const (
		html = "text/html; charset=utf-8"
		full = `{"type":"https://docs.api.video/reference/attribute-required","title":"This attribute is required.","name":"url","status":400,"detail":"More.",` +
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
		name        string
		contentType string
		body        string
		want        facade.Error
	}{
		{"all there is", "application/json", full, decoded},
		{"problem+json, as older deployments have it", "application/problem+json", full, decoded},
		{"with a charset", "application/json; charset=utf-8", full, decoded},
		{"an upper-case type", "Application/JSON", full, decoded},
		{
			"the text under events in place of title", "application/json", `{"title":"No.","problems":[{"name":"events","events":"This attribute must be an array."}]}`,
			facade.Error{Title: "No.", Problems: []facade.Problem{{Name: "events", Title: "This attribute must be an array."}}},
		},
		{"nulls", "application/json", `{"type":null,"title":"No.","name":null,"status":null,"detail":null,"problems":null}`, facade.Error{Title: "No."}},
		{"a status that is a string", "application/json", `{"status":"400","title":"No.","detail":"More."}`, facade.Error{Title: "No.", Detail: "More."}},
		{"a name that is an array", "application/json", `{"name":["url"],"title":"No.","detail":"More."}`, facade.Error{Title: "No.", Detail: "More."}},
		{"a type that is a number", "application/json", `{"type":7,"title":"No.","name":"url"}`, facade.Error{Title: "No.", Name: "url"}},
		{"problems that are an object", "application/json", `{"problems":{"url":"required"},"title":"No.","name":"url"}`, facade.Error{Title: "No.", Name: "url"}},
		{
			"a problem with a title that is an object", "application/json", `{"title":"No.","problems":[{"title":{},"name":"url"},{"title":"Required.","name":"events"}]}`,
			facade.Error{Title: "No.", Problems: []facade.Problem{{Name: "url"}, {Name: "events", Title: "Required."}}},
		},
		{"several wrong types", "application/json", `{"type":1,"status":[],"name":{},"problems":0,"detail":true,"title":"No."}`, facade.Error{Title: "No."}},
		{"a member not known here", "application/json", `{"title":"No.","trace":{"id":[1]}}`, facade.Error{Title: "No."}},
		{"null", "application/json", `null`, facade.Error{}},
		{"an array", "application/json", `[{"title":"No."}]`, facade.Error{}},
		{"a string", "application/json", `"No."`, facade.Error{}},
		{"cut short, of which nothing is sure", "application/json", full[:100], facade.Error{}},
		{"empty", "application/json", "", facade.Error{}},
		{"HTML", html, "<html><title>Bad</title></html>", facade.Error{}},
		{"HTML that claims to be JSON", "application/json", "<html></html>", facade.Error{}},
		{"JSON that claims to be HTML, as from a proxy that labels its own pages", html, full, decoded},
		{"a content type that is none", ";;", full, decoded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := getError(t, answerWith(400, test.body, "Content-Type", test.contentType, "X-Trace", "abc"))
			require.ErrorIs(t, e, facade.ErrBadRequest)
			require.NotErrorIs(t, e, facade.ErrUnexpectedResponse)
			assert.Equal(t, test.body, string(e.Body), "kept whatever it is")
			assert.Equal(t, "abc", e.Header.Get("X-Trace"))
			got := facade.Error{Type: e.Type, Title: e.Title, Name: e.Name, Detail: e.Detail, Problems: e.Problems}
			assert.Equal(t, test.want, got)
			assert.NoError(t, errors.Unwrap(e), "the answer itself is all there is")
		})
	}
}

func TestErrorBodyAtItsBoundAndOverIt(t *testing.T) {
	t.Parallel()
	const bound = 64 << 10
	body := `{"title":"No such thing."` + strings.Repeat(" ", bound)
	t.Run("the bound itself is fine", func(t *testing.T) {
		t.Parallel()
		e := getError(t, answer(404, body[:bound-1]+"}"))
		require.ErrorIs(t, e, facade.ErrNotFound)
		require.NotErrorIs(t, e, facade.ErrUnexpectedResponse)
		assert.Equal(t, "No such thing.", e.Title)
		assert.Len(t, e.Body, bound)
	})
	t.Run("one byte more is told, and the status all the same", func(t *testing.T) {
		t.Parallel()
		e := getError(t, answer(404, body[:bound]+"}"))
		require.ErrorIs(t, e, facade.ErrNotFound)
		require.ErrorIs(t, e, facade.ErrUnexpectedResponse)
		var tooLarge *http.MaxBytesError
		assert.NotErrorAs(t, e, &tooLarge, "of the library's own making")
		assert.Equal(t, body[:bound], string(e.Body))
		assert.Equal(t, "apivideo: GetWebhook: 404 No such thing.: unexpected response: body larger than 65536 bytes", e.Error())
	})
}

// A body that is kept must not change when others are read.
func TestErrorBodyIsOnesOwn(t *testing.T) {
	t.Parallel()
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		answer(404, fmt.Sprintf(`{"title":%q}`, r.URL.Path))(w, r)
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

func TestErrorText(t *testing.T) {
	t.Parallel()
	const required = `{"type":"https://docs.api.video/reference/attribute-required","title":"This attribute is required.","name":"url","problems":[` +
		`{"title":"This attribute is required.","name":"url"},{"title":"This attribute must be an array.","name":"events"}]}`
	long := strings.Repeat("é", 5000)
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"title and name", 404, `{"title":"The requested resource was not found.","name":"webhookId"}`, "404 The requested resource was not found. (webhookId)"},
		{"title alone", 403, `{"title":"Suspended account","name":null}`, "403 Suspended account"},
		{"problems in place of the name", 400, required, "400 This attribute is required.; url: This attribute is required.; events: This attribute must be an array."},
		{"a problem without name", 400, `{"title":"No.","problems":[{"title":"Bad.","name":null}]}`, "400 No.; Bad."},
		{"a problem without title", 400, `{"title":"No.","problems":[{"name":"url"}]}`, "400 No.; url"},
		{"name and detail", 400, `{"title":"No.","name":"url","detail":"More."}`, "400 No. (url): More."},
		{"no title", 404, `{}`, "404 Not Found"},
		{"no JSON", 502, `<html>`, "502 Bad Gateway"},
		{"a status that has no name", 599, ``, "599"},
		{"line ends and tabs", 400, `{"title":"No\r\nsuch\tthing","name":"u\nrl","detail":"a\u2028b\u0085c"}`, "400 No  such thing (u rl): a b c"},
		{"a terminal's commands", 400, `{"title":"\u001b[31mred\u0007\u0000\u007f","problems":[{"name":"\u001b[2J","title":"\u009b1m"}]}`, "400  [31mred   ;  [2J:  1m"},
		{"text that turns round", 400, `{"title":"a\u202eb\u200bc"}`, "400 a b c"},
		{
			"very long", 400, `{"title":"` + long + `","name":"` + long + `","detail":"` + long + `"}`,
			"400 " + long[:400] + "… (" + long[:400] + "…): " + long[:400] + "…",
		},
		{"just not too long", 400, `{"title":"` + long[:400] + `"}`, "400 " + long[:400]},
		{"not UTF-8", 400, "{\"title\":\"a\xffb\"}", "400 a\ufffdb"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := getError(t, answer(test.status, test.body))
			assert.Equal(t, "apivideo: GetWebhook: "+test.want, e.Error())
			assert.Equal(t, e.Error(), fmt.Sprintf("%v", e))
		})
	}
}

// Whatever comes is one line of bounded length, of which a terminal shows what
// it says.
func TestErrorTextIsOneLine(t *testing.T) {
	t.Parallel()
	raw := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); assert.NoError(t, err) {
				_, _ = io.WriteString(conn, answer)
				_ = conn.Close()
			}
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"a header line that is none", raw("HTTP/1.1 200 OK\r\n\x1b[31mred\x07\r\n\r\n")},
		{"no HTTP", raw("\x1b[31mred\n\n")},
		{"a content type with controls", answerWith(200, "x", "Content-Type", "a\tb"+strings.Repeat("c", 5000))},
		{"a number that is very long", answer(200, `{"webhookId":`+strings.Repeat("1", 100_000)+`}`)},
		{"a great many problems", answer(400, `{"problems":[`+strings.Repeat(`{"name":"url","title":"No."},`, 2000)+`{}]}`)},
		{"a redirect to a place with controls", raw("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://[\x1b[31m\r\n\r\n")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			assertOneLine(t, getError(t, test.handler))
		})
	}
	t.Run("a refusal by a proxy, whose words net/http passes on", func(t *testing.T) {
		t.Parallel()
		proxy := httptest.NewServer(raw("HTTP/1.1 403 \x1b[31mred\r\n\r\n"))
		t.Cleanup(proxy.Close)
		address, err := url.Parse(proxy.URL)
		require.NoError(t, err)
		hc := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(address)}}
		client, err := facade.NewClient(testKey, once, facade.WithHTTPClient(hc))
		require.NoError(t, err)
		_, err = client.GetWebhook(t.Context(), "w")
		require.ErrorContains(t, err, "red")
		assertOneLine(t, err)
	})
}

func assertOneLine(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	assert.False(t, strings.ContainsFunc(text, unicode.IsControl), "%q", text[:min(len(text), 500)])
	assert.Less(t, len(text), 4000)
}

func TestErrorOfTheTransport(t *testing.T) {
	t.Parallel()
	lost := errors.New("lost")
	client, err := facade.NewClient(testKey, once, facade.WithHTTPClient(&http.Client{
		Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, lost }),
	}))
	require.NoError(t, err)
	_, err = client.GetWebhook(t.Context(), "w")
	e := asError(t, err)
	require.ErrorIs(t, err, lost)
	var cause *url.Error
	require.ErrorAs(t, errors.Unwrap(err), &cause)
	for _, sentinel := range allSentinels {
		require.NotErrorIs(t, err, sentinel)
	}
	assert.Equal(t, `apivideo: GetWebhook: Get "https://ws.api.video/webhooks/w": lost`, err.Error())
	assert.Zero(t, e.StatusCode)
	assert.Equal(t, 1, e.Attempts)
	assert.Nil(t, e.Header)
	assert.Nil(t, e.Body)
}

func TestErrorLogValue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{
			"429", answerWith(429, `{"type":"https://docs.api.video/reference/too-many-requests","title":"Too many requests."}`,
				"Content-Type", "application/json", "X-RateLimit-Retry-After", "42"),
			`{"op":"GetWebhook","status":429,"attempts":1,"msg":"apivideo: GetWebhook: 429 Too many requests. (retry after 42s)","type":"too-many-requests","retry_after":"42s"}`,
		},
		{
			"a type with controls", answer(400, `{"type":"https://docs.api.video/\u001b[31m\n","title":"No."}`),
			`{"op":"GetWebhook","status":400,"attempts":1,"msg":"apivideo: GetWebhook: 400 No.","type":" [31m "}`,
		},
		{
			"neither type nor wait", answerWith(503, "<html>", "X-RateLimit-Retry-After", "42"),
			`{"op":"GetWebhook","status":503,"attempts":1,"msg":"apivideo: GetWebhook: 503 Service Unavailable"}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var buf bytes.Buffer
			slog.New(slog.NewJSONHandler(&buf, nil)).Info("failed", slog.Any("err", getError(t, test.handler)))
			var line struct {
				Err json.RawMessage `json:"err"`
			}
			require.NoError(t, json.Unmarshal(buf.Bytes(), &line))
			assert.JSONEq(t, test.want, string(line.Err))
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const own, standard = "X-RateLimit-Retry-After", "Retry-After"
	tests := []struct {
		name    string
		headers []string
		want    time.Duration
		want503 time.Duration
	}{
		{"the service's own", []string{own, "42"}, 42 * time.Second, 0},
		{"zero", []string{own, "0"}, 0, 0},
		{"leading zeros", []string{own, "007"}, 7 * time.Second, 0},
		{"the most that 31 bits hold", []string{own, "2147483647"}, 2147483647 * time.Second, 0},
		{"more than 31 bits", []string{own, "2147483648"}, 0, 0},
		{"more than 64 bits", []string{own, "99999999999999999999"}, 0, 0},
		{"negative", []string{own, "-1"}, 0, 0},
		{"signed", []string{own, "+1"}, 0, 0},
		{"a float", []string{own, "1.5"}, 0, 0},
		{"with a unit", []string{own, "1s"}, 0, 0},
		{"hexadecimal", []string{own, "0x10"}, 0, 0},
		{"two in one", []string{own, "1, 2"}, 0, 0},
		{"empty", []string{own, ""}, 0, 0},
		{"garbage", []string{own, "soon"}, 0, 0},
		{"the service's own never is a date", []string{own, "Sat, 01 Jan 2000 00:01:30 GMT"}, 0, 0},
		{"the standard one in seconds", []string{standard, "7"}, 7 * time.Second, 7 * time.Second},
		{"the standard one as a date to come", []string{standard, "Sat, 01 Jan 2000 00:01:30 GMT"}, 90 * time.Second, 90 * time.Second},
		{"the standard one as a date of RFC 850", []string{standard, "Saturday, 01-Jan-00 00:01:30 GMT"}, 90 * time.Second, 90 * time.Second},
		{"the standard one as a date that is past", []string{standard, "Fri, 31 Dec 1999 23:59:59 GMT"}, 0, 0},
		{"the standard one as a date that is no HTTP date", []string{standard, "2000-01-01T00:01:30Z"}, 0, 0},
		{"the standard one negative", []string{standard, "-1"}, 0, 0},
		{"the standard one garbled", []string{standard, "soon"}, 0, 0},
		{"both: the service's own wins, longer", []string{own, "42", standard, "7"}, 42 * time.Second, 7 * time.Second},
		{"both: the service's own wins, shorter", []string{own, "7", standard, "42"}, 7 * time.Second, 42 * time.Second},
		{"both: the service's own wins over a date", []string{own, "7", standard, "Sat, 01 Jan 2000 00:01:30 GMT"}, 7 * time.Second, 90 * time.Second},
		{"both: the service's own wins, zero", []string{own, "0", standard, "42"}, 0, 42 * time.Second},
		{"its own garbled, then the standard one", []string{own, "soon", standard, "7"}, 7 * time.Second, 7 * time.Second},
		{"its own garbled, then the standard date", []string{own, "-1", standard, "Sat, 01 Jan 2000 00:01:30 GMT"}, 90 * time.Second, 90 * time.Second},
		{"both garbled", []string{own, "soon", standard, "later"}, 0, 0},
		{"neither", nil, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // where it is 2000-01-01
				for _, status := range []int{429, 400, 408, 500, 503, 302} {
					client := newBubbleClient(t, answerWith(status, "", test.headers...))
					for _, op := range operations {
						e := asError(t, op.call(t.Context(), client))
						require.Equal(t, status, e.StatusCode)
						switch status {
						case 429:
							assert.Equal(t, test.want, e.RetryAfter, op.name)
						case 503: // has the standard header only
							assert.Equal(t, test.want503, e.RetryAfter, op.name)
						default:
							assert.Zero(t, e.RetryAfter, "a %d", status)
						}
					}
				}
			})
		})
	}
}

func TestError_hints(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handler http.HandlerFunc
		opt     facade.Option
		want    string
	}{
		{"401", answer(401, `{"title":"The API key is invalid."}`), once, "401 The API key is invalid. (host localhost; production and sandbox have different API keys)"},
		{"429", answerWith(429, `{"title":"Too many requests."}`, "X-RateLimit-Retry-After", "42"), once, "429 Too many requests. (retry after 42s)"},
		{"429 beyond MaxDelay", answerWith(429, `{}`, "Retry-After", "3600"), byDefault, "429 Too Many Requests (retry after 1h0m0s)"},
		{"503 beyond MaxDelay", answerWith(503, `{}`, "Retry-After", "3600"), byDefault, "503 Service Unavailable (retry after 1h0m0s)"},
		{"500 four times", answer(500, `{}`), byDefault, "500 Internal Server Error (4 attempts)"},
		{
			"302", answerWith(302, "", "Location", "https://user:pass@login.example/a?token=secret#x"), once,
			"302 Found: unexpected response: a redirect to https://login.example/a, which is not followed",
		},
		{"304", answer(304, ""), once, "304 Not Modified: unexpected response: a redirect, which is not followed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, err := newBubbleClient(t, test.handler, test.opt).GetWebhook(t.Context(), "w")
				require.EqualError(t, err, "apivideo: GetWebhook: "+test.want)
			})
		})
	}
}
