package facade_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

var allSentinels = []error{
	facade.ErrBadRequest, facade.ErrUnauthorized, facade.ErrForbidden, facade.ErrNotFound, facade.ErrTooManyRequests,
	facade.ErrServer, facade.ErrWebhookLimitReached, facade.ErrInvalidArgument, facade.ErrUnexpectedResponse, facade.ErrUnconfirmed,
}

// getError returns the error of a get with this response.
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

func TestClient_invalidSuccess(t *testing.T) {
	t.Parallel()
	const secret = "sig_sec_mark00000000000000000"
	for name, body := range map[string]string{
		"HTML":                        "<html>Sign in " + secret + "</html>",
		"empty":                       "",
		"null":                        "null",
		"empty object":                "{}",
		"array":                       "[]",
		"incomplete JSON":             `{"webhookId":"webhook_1","signatureSecret":"` + secret + `","data":[{"webhookId":"w`,
		"two values":                  webhookJSON(1) + webhookJSON(2),
		"empty ID":                    `{"webhookId":"",` + strings.TrimPrefix(pageJSON(`{"webhookId":""}`, 1, 25, 1, 1), "{"),
		"ID as number":                `{"webhookId":7,` + strings.TrimPrefix(pageJSON(`{"webhookId":7}`, 1, 25, 1, 1), "{"),
		"null fields":                 `{"webhookId":null,"data":null,"pagination":{"currentPage":1,"pageSize":25}}`,
		"null webhook in a list":      pageJSON("null", 1, 25, 1, 1),
		"list without a pagination":   `{"data":[` + webhookJSON(1) + `]}`,
		"page 0":                      pageJSON(webhookJSON(1), 0, 25, 1, 1),
		"page size 0":                 pageJSON(webhookJSON(1), 1, 0, 1, 1),
		"a webhook and no pages":      pageJSON(webhookJSON(1), 1, 25, 0, 1),
		"a full page and no counts":   pageJSON(webhookJSON(1), 1, 1, 0, 0),
		"negative counts":             pageJSON(webhookJSON(1), 1, 1, -1, -1),
		"page as fraction":            pageJSON(webhookJSON(1), 0.5, 25, 1, 1),
		"pagination as array":         `{"data":[` + webhookJSON(1) + `],"pagination":[]}`,
		"pagination with other types": pageJSON(webhookJSON(1), "{}", "[]", "true", "null"),
	} {
		for _, op := range operations {
			if op.name == "delete" {
				continue
			}
			err := op.call(t.Context(), newClient(t, respond(op.status, body)))
			require.ErrorIs(t, err, facade.ErrUnexpectedResponse, "%s, %s", op.name, name)
			e := asError(t, err)
			assert.Equal(t, op.op, e.Op)
			assert.Equal(t, op.status, e.StatusCode)
			assert.Nil(t, e.Body, "it may contain a secret")
			assert.NotContains(t, err.Error(), secret)
			assert.Equal(t, op.name == "create", errors.Is(err, facade.ErrUnconfirmed), name)
			assert.Equal(t, op.name == "create", strings.Contains(err.Error(), "was created"), name)
		}
	}
}

// A gateway may change 201 or 204 to another status.
func TestClient_undocumentedSuccess(t *testing.T) {
	t.Parallel()
	body := strings.TrimSuffix(webhookJSON(1), "}") + "," + strings.TrimPrefix(listJSON(1, 100, 1), "{")
	for _, op := range operations {
		for _, status := range []int{200, 201, 202, 203, 206, 299} {
			require.NoError(t, op.call(t.Context(), newClient(t, respond(status, body))), "%s, %d", op.name, status)
		}
	}
	err := createWebhook(t.Context(), newClient(t, respond(200, `{}`)))
	require.ErrorIs(t, err, facade.ErrUnconfirmed)
}

// The client echoes no credential in an error or a log. The service repeats each
// credential that it has received or sent.
func TestClient_redactsCredentials(t *testing.T) {
	t.Parallel()
	credentials := []string{testKey, strings.TrimPrefix(basicKey, "Basic ")}
	for n := 1; n <= 2; n++ {
		credentials = append(credentials, fmt.Sprintf("access%d-0123456789abcdef", n), fmt.Sprintf("refresh%d-0123456789abcdef", n))
	}
	all := strings.Join(credentials, "!")
	quoted, padding := strconv.Quote(all), strings.Repeat("x", 190)
	tests := map[string]http.HandlerFunc{
		"fields of an error":                respond(403, fmt.Sprintf(`{"title":%[1]s,"name":%[1]s,"detail":%[1]s,"type":%[1]s}`, quoted)),
		"problems":                          respond(400, fmt.Sprintf(`{"problems":[{"title":%[1]s,"name":%[1]s,"type":%[1]s}]}`, quoted)),
		"header":                            respondWith(403, "{}", "X-Echo", all),
		"content type":                      respondWith(200, "<html>", "Content-Type", all),
		"content type at its length limit":  respondWith(200, "<html>", "Content-Type", padding+all),
		"location":                          respondWith(302, "", "Location", "/"+all),
		"location at its length limit":      respondWith(302, "", "Location", "/"+padding+all),
		"invalid location":                  respondWith(302, "", "Location", "http://["+all),
		"IDs of a list":                     respond(200, pageJSON(fmt.Sprintf(`{"webhookId":%s}`, quoted), 1, 25, 1, 1)),
		"transport error":                   func(http.ResponseWriter, *http.Request) { panic(errors.New("malformed header " + all)) },
		"transport error at a length limit": func(http.ResponseWriter, *http.Request) { panic(errors.New(strings.Repeat("x", 920) + all)) },
	}
	for name, handler := range tests {
		for _, tokens := range []bool{false, true} {
			known := credentials
			var logged syncBuffer
			logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
			opts := []facade.Option{facade.WithLogger(logger)}
			if tokens {
				opts = append(opts, facade.WithTokenExchange())
			} else {
				known = credentials[:2]
			}
			n, isRejected := 0, false
			mux := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case isTokenRequest(r):
					n++
					respond(200, fmt.Sprintf(`{"token_type":"Bearer","access_token":%q,"refresh_token":%q}`, credentials[2*n], credentials[2*n+1]))(w, r)
				case tokens && !isRejected:
					isRejected = true
					respond(401, "{}")(w, r)
				default:
					handler(w, r)
				}
			})
			client := newClientWith(t, roundTripper(func(r *http.Request) (resp *http.Response, err error) {
				defer func() {
					if p := recover(); p != nil {
						err = p.(error)
					}
				}()
				return serve(mux, r)
			}), opts...)
			ensure := func() error {
				_, _, err := client.EnsureWebhook(t.Context(), validParams)
				return err
			}
			invalid := func() error {
				_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: "ftp://x/" + all})
				return err
			}
			for i, call := range []func() error{
				func() error { return getWebhook(t.Context(), client) },
				func() error { return createWebhook(t.Context(), client) },
				ensure,
				invalid,
			} {
				err := call()
				require.Error(t, err, "%s, %d", name, i)
				logger.Error("failed", slog.Any("err", err))
				texts := []string{err.Error(), logged.String()}
				var e *facade.Error
				if errors.As(err, &e) {
					encoded, err := json.Marshal(e)
					require.NoError(t, err)
					texts = append(texts, fmt.Sprintf("%+v %#v", *e, *e), string(encoded), string(e.Body))
				}
				for _, text := range texts {
					for _, credential := range known {
						assert.NotContains(t, text, credential[:min(len(credential), 10)], "%s, %d", name, i)
					}
				}
			}
		}
	}
}

// A short key may be a word of a response.
func TestClient_redactsNoShortKey(t *testing.T) {
	t.Parallel()
	body := `{"type":"https://docs.api.video/reference/authentication-invalid-api-key"}`
	client, err := facade.NewClient("key", facade.WithHTTPClient(&http.Client{Transport: inMemory(respond(401, body))}))
	require.NoError(t, err)
	assert.Equal(t, body, string(asError(t, getWebhook(t.Context(), client)).Body))
}

// The error names the cause of the context in each phase of a call.
func TestClient_contextEnds(t *testing.T) {
	t.Parallel()
	hang := func(start string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(conn, start)
			_, _ = io.Copy(io.Discard, conn) // until the client closes it
			_ = conn.Close()
		}
	}
	phases := []struct {
		name      string
		after     time.Duration
		handler   http.HandlerFunc // nil: no request arrives
		tokens    bool
		ambiguous bool // for a create
	}{
		{name: "before the call"},
		{name: "while it dials", after: time.Second},
		{name: "while it writes the headers", after: time.Second},
		{name: "while it waits for a token", after: time.Second, tokens: true},
		{name: "after the request", after: time.Second, handler: hang(""), ambiguous: true},
		{name: "within the headers", after: time.Second, handler: hang("HTTP/1.1 200 OK\r\nContent-"), ambiguous: true},
		{name: "within the body", after: time.Second, handler: hang("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"), ambiguous: true},
		{name: "during a wait", after: time.Second, handler: tooMany(retryAfter, "30")},
		{name: "during a backoff", after: time.Second, handler: abort, ambiguous: true},
	}
	cause := errors.New("shutting down")
	for _, phase := range phases {
		for _, op := range distinctOperations {
			for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
				isRetry := phase.handler != nil && strings.HasPrefix(phase.name, "during")
				if op.name == "delete" && phase.name == "within the body" || isRetry && (want == context.DeadlineExceeded || op.name == "create" && phase.ambiguous) { //nolint:errorlint // it is not wrapped
					continue // the call ends before
				}
				t.Run(fmt.Sprint(phase.name, "/", op.name, "/", want), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						server := newScript(phase.handler, succeed)
						transport := newPipeTransport(t, func(w http.ResponseWriter, r *http.Request) {
							if isTokenRequest(r) {
								<-time.After(20 * time.Second)
								respond(http.StatusOK, `{"token_type":"Bearer","access_token":"a"}`)(w, r)
								return
							}
							server.ServeHTTP(w, r)
						})
						switch phase.name {
						case "while it dials":
							transport.DialContext = func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
								<-ctx.Done()
								return nil, ctx.Err()
							}
						case "while it writes the headers":
							transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
								conn, _ := net.Pipe()
								return conn, nil
							}
						}
						opts := []facade.Option{facade.WithBaseURL("http://localhost"), facade.WithRetry(facade.RetryPolicy{MinDelay: 10_000 * time.Hour, MaxDelay: 10_000 * time.Hour})}
						if phase.tokens {
							opts = append(opts, facade.WithTokenExchange())
						}
						client := newClientWith(t, transport, opts...)
						ctx, cancel := context.WithCancelCause(t.Context())
						defer cancel(nil)
						switch {
						case want == context.DeadlineExceeded: //nolint:errorlint // it is not wrapped
							var stop context.CancelFunc
							ctx, stop = context.WithTimeoutCause(ctx, phase.after, cause)
							defer stop()
						case phase.after == 0:
							cancel(cause)
						default:
							defer time.AfterFunc(phase.after, func() { cancel(cause) }).Stop()
						}
						start := time.Now()
						err := op.call(ctx, client)
						assert.Equal(t, phase.after, time.Since(start))
						require.ErrorIs(t, err, want)
						require.ErrorIs(t, err, cause)
						require.ErrorContains(t, err, "shutting down")
						require.NotErrorIs(t, err, facade.ErrUnexpectedResponse)
						assert.Equal(t, phase.ambiguous && op.name == "create", errors.Is(err, facade.ErrUnconfirmed), err)
						switch phase.name {
						case "during a wait":
							require.ErrorIs(t, err, facade.ErrTooManyRequests)
							assert.Equal(t, 30*time.Second, asError(t, err).RetryAfter)
						case "during a backoff":
							require.ErrorContains(t, err, "EOF")
						}
						<-time.After(2 * time.Minute)
						if phase.handler != nil {
							assert.Equal(t, 1, server.requests(), "no request is sent later")
						} else {
							assert.Zero(t, server.requests())
						}
					})
				})
			}
		}
	}
}
