package facade_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

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

func TestClient_redirect(t *testing.T) {
	t.Parallel()
	const text = "a redirect to https://login.example/a, which is not followed"
	tests := []struct {
		status         int
		location, want string
	}{
		{300, "", "a redirect, which is not followed"},
		{301, "https://user:pass@login.example/a?token=query-secret#x", text},
		{302, "https://login.example/a?token=query-secret", text},
		{302, "/a?token=query-secret", "a redirect to /a, which is not followed"},
		{302, "http://[query-secret", "a redirect, which is not followed"},
		{302, "http:u:secret@h", "a redirect to http:, which is not followed"},
		{302, "http:/u:secret@h/a", "a redirect to …@h/a, which is not followed"},
		{302, "http:///u:secret@h", "a redirect to …@h, which is not followed"},
		{302, "/u:secret@h?a=b", "a redirect to …@h, which is not followed"},
		{303, "https://login.example/a", text},
		{304, "", "a redirect, which is not followed"},
		{307, "https://login.example/a", text},
		{308, "https://login.example/a", text},
		{399, "", "a redirect, which is not followed"},
	}
	for _, test := range tests {
		server := newScript(respondWith(test.status, webhookJSON(1), "Location", test.location))
		client := newClient(t, server.ServeHTTP, defaultRetries)
		for i, op := range allOperations {
			err := op.call(t.Context(), client)
			assert.Equal(t, i+1, server.requests(), "%d, %s", test.status, op.name)
			if op.op == "" {
				require.NoError(t, err, "the generated client returns the status")
				continue
			}
			require.ErrorIs(t, err, facade.ErrUnexpectedResponse, op.name)
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "secret")
			assert.Equal(t, op.name == "create", errors.Is(err, facade.ErrUnconfirmed), op.name)
			assert.Equal(t, test.status, asError(t, err).StatusCode, op.name)
			assert.Nil(t, asError(t, err).Body, "it may contain a secret")
		}
	}
}

// A proxy may respond with an error status and the webhook as body.
func TestClient_secretInErrorBody(t *testing.T) {
	t.Parallel()
	const secret = "sig_sec_0000000000000000000001"
	escaped := strings.ReplaceAll(webhookJSON(1), `"`, `\"`)
	for name, body := range map[string]string{
		"webhook":              webhookJSON(1),
		"list":                 listJSON(1, 100, 3),
		"truncated":            strings.TrimSuffix(webhookJSON(1), `1"}`),
		"quoted":               `{"title":"` + escaped + `","detail":"` + escaped + `","problems":[{"name":"` + escaped + `"}]}`,
		"at the maximum size":  strings.Repeat(" ", 64<<10-len(webhookJSON(1))+10) + webhookJSON(1),
		"beyond the maximum":   strings.Repeat(" ", 64<<10-len(webhookJSON(1))+20) + webhookJSON(1) + strings.Repeat(" ", 5000),
		"with spaces and case": strings.ReplaceAll(webhookJSON(1), `"signatureSecret":`, `"SIGNATUREsecret" : `),
	} {
		for _, status := range []int{201, 303, 400, 404, 500} {
			for _, op := range operations {
				err := op.call(t.Context(), newClient(t, respond(status, body)))
				if err == nil {
					continue
				}
				e := asError(t, err)
				for _, text := range []string{string(e.Body), err.Error(), fmt.Sprintf("%+v", *e)} {
					assert.NotContains(t, text, secret[:20], "%s, %d, %s", name, status, op.name)
				}
				if status >= 400 {
					assert.Contains(t, string(e.Body), "[REDACTED]"[:5], name)
				}
			}
		}
	}
}

// infinite is a body without an end.
type infinite struct{}

func (infinite) Read(p []byte) (int, error) { return copy(p, spaces), nil }

var spaces = strings.Repeat(" ", 32<<10)

// respondSize returns a transport whose body is padded to size bytes. A negative size
// means an infinite body.
func respondSize(status int, body string, size int64) roundTripper {
	return func(*http.Request) (*http.Response, error) {
		r := io.MultiReader(strings.NewReader(body), infinite{})
		if size >= 0 {
			r = io.LimitReader(r, size)
		}
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(r), ContentLength: -1}, nil
	}
}

func TestClient_bodyLimits(t *testing.T) {
	t.Parallel()
	const limit, errorLimit = 4 << 10, 1 << 10
	for _, op := range allOperations {
		for _, status := range []int{op.status, 404, 503} {
			if status == http.StatusNoContent {
				continue
			}
			body, size := webhookJSON(1), int64(errorLimit)
			if status == op.status {
				size = limit
			}
			if strings.HasSuffix(op.name, "list") || op.name == "iterate" {
				body = listJSON(1, 100, 1)
			}
			call := func(size int64) error {
				client := newClientWith(t, respondSize(status, body, size))
				client.SetLimits(limit, errorLimit)
				return op.call(t.Context(), client)
			}
			err := call(size)
			require.NotErrorIs(t, err, facade.ErrUnexpectedResponse, "%s, %d", op.name, status)
			assert.Equal(t, status == op.status || op.op == "", err == nil, "%s, %d", op.name, status)
			for _, size := range []int64{size + 1, -1} {
				err := call(size)
				require.ErrorIs(t, err, facade.ErrUnexpectedResponse, "%s, %d", op.name, status)
				require.ErrorContains(t, err, "larger than")
				assert.Equal(t, status == 404 && op.op != "", errors.Is(err, facade.ErrNotFound), op.name)
				assert.Equal(t, status != 404 && op.name == "create", errors.Is(err, facade.ErrUnconfirmed), op.name)
			}
		}
	}
}

func TestClient_defaultBodyLimits(t *testing.T) {
	t.Parallel()
	const limit, errorLimit = 10 << 20, 64 << 10
	err := getWebhook(t.Context(), newClientWith(t, respondSize(200, webhookJSON(1), limit+1)))
	require.ErrorContains(t, err, "body larger than 10485760 bytes")
	e := asError(t, getWebhook(t.Context(), newClientWith(t, respondSize(404, `{"title":"No."}`, errorLimit))))
	assert.Equal(t, "No.", e.Title)
	assert.Len(t, e.Body, errorLimit)
	e = asError(t, getWebhook(t.Context(), newClientWith(t, respondSize(404, `{"title":"No."}`, errorLimit+1))))
	require.EqualError(t, e, "apivideo: GetWebhook: 404 No.: unexpected response: body larger than 65536 bytes")
	assert.Len(t, e.Body, errorLimit)
}

// The client echoes no credential in an error or a log. The service repeats
// all credentials.
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
					encoded, err := json.Marshal(e) //nolint:musttag // a caller may do so
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

func TestEventTypes(t *testing.T) {
	t.Parallel()
	var documented []facade.EventType
	for _, name := range contract.Load(t).Components.Schemas["EventType"].Value.Enum {
		documented = append(documented, facade.EventType(fmt.Sprint(name)))
	}
	assert.Equal(t, documented, facade.EventTypes())
}

func TestWebhook_lenientFields(t *testing.T) {
	t.Parallel()
	date := time.Date(2021, 1, 29, 15, 46, 25, 217_000_000, time.UTC)
	tests := []struct {
		fields string
		want   facade.Webhook
	}{
		{`"createdAt":"2021-01-29T16:46:25.217+01:00"`, facade.Webhook{CreatedAt: date}},
		{`"createdAt":"2021-01-29T15:46:25.217Z"`, facade.Webhook{CreatedAt: date}},
		{`"createdAt":"2021-01-29T15:46:25+00:00"`, facade.Webhook{CreatedAt: date.Truncate(time.Second)}},
		{`"createdAt":"2024-08-08T14:12:18+0000"`, facade.Webhook{}},
		{`"createdAt":"2024-08-08 14:12:18"`, facade.Webhook{}},
		{`"createdAt":"2024-08-151T10:18:47+00:00"`, facade.Webhook{}},
		{`"createdAt":"2024-08-08T14:12:18+24:00"`, facade.Webhook{}},
		{`"createdAt":""`, facade.Webhook{}},
		{`"createdAt":1723126338`, facade.Webhook{}},
		{`"createdAt":{"date":"2024-08-08"}`, facade.Webhook{}},
		{`"createdAt":null,"url":null,"events":null,"signatureSecret":null`, facade.Webhook{}},
		{`"createdAt":true,"url":7,"events":"all","signatureSecret":[]`, facade.Webhook{}},
		{`"events":["video.invented.tomorrow"],"paused":{"since":[1]}`, facade.Webhook{Events: []facade.EventType{"video.invented.tomorrow"}}},
		{`"createdAt":"x","url":"https://hooks.example.com","signatureSecret":"s"`, facade.Webhook{URL: "https://hooks.example.com", SignatureSecret: facade.NewSecret("s")}},
	}
	for _, test := range tests {
		webhook := " \n" + `{"webhookId":"webhook_1",` + test.fields + "}\r\n"
		client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Path == "/webhooks" {
				respond(http.StatusOK, pageJSON(webhook, 1, 25, 1, 1))(w, r)
				return
			}
			respond(http.StatusCreated, webhook)(w, r)
		})
		check := func(got *facade.Webhook, err error) {
			t.Helper()
			require.NoError(t, err, test.fields)
			assert.True(t, test.want.CreatedAt.Equal(got.CreatedAt), test.fields)
			want, other := test.want, *got
			want.ID, want.CreatedAt, other.CreatedAt = "webhook_1", time.Time{}, time.Time{}
			assert.Equal(t, want, other, test.fields)
		}
		check(client.CreateWebhook(t.Context(), validParams))
		check(client.GetWebhook(t.Context(), "webhook_1"))
		all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{}))
		require.Len(t, all, 1)
		check(all[0], err)
	}
}

func TestWebhook_JSON(t *testing.T) {
	t.Parallel()
	wh := facade.Webhook{
		ID: "webhook_1", URL: "https://hooks.example.com", Events: []facade.EventType{facade.EventVideoSourceRecorded},
		CreatedAt: time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC), SignatureSecret: facade.NewSecret("sig_sec_1"),
	}
	encoded, err := json.Marshal(wh)
	require.NoError(t, err)
	assert.JSONEq(t, `{"webhookId":"webhook_1","url":"https://hooks.example.com","events":["video.source.recorded"],`+
		`"createdAt":"2024-08-08T14:12:18Z","signatureSecret":"[REDACTED]"}`, string(encoded))
}

// rateLimit returns headers. An empty value means that the header is absent.
func rateLimit(limit, remaining, reset string) []string {
	var headers []string
	for name, value := range map[string]string{"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining, serviceHeader: reset} {
		if value != "" {
			headers = append(headers, name, value)
		}
	}
	return headers
}

func TestClient_RateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var headers []string
		status := http.StatusOK
		client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			<-time.After(3 * time.Second) // counts for Reset
			respondWith(status, webhookJSON(1), headers...)(w, r)
		})
		call := func(code int, h []string) (facade.RateLimit, error) {
			status, headers = code, h
			err := getWebhook(t.Context(), client)
			rl, ok := client.RateLimit()
			assert.Equal(t, rl != facade.RateLimit{}, ok)
			return rl, err
		}
		got, err := call(200, nil)
		require.NoError(t, err)
		assert.Zero(t, got, "no response has it")
		got, err = call(200, rateLimit("100", "99", "60"))
		require.NoError(t, err)
		want := facade.RateLimit{Limit: 100, Remaining: 99, Reset: time.Now().Add(time.Minute)}
		assert.Equal(t, want, got)
		for _, invalid := range [][]string{
			nil,
			rateLimit("many", "some", "soon"),
			rateLimit("many", "1", "1"),
			rateLimit("100", "some", "1"),
			rateLimit("-100", "-1", "-1"),
			rateLimit("+100", "+1", "+1"),
			rateLimit("100.0", "1.0", "1.0"),
			rateLimit("2147483648", "1", "1"),
			rateLimit("100, 100;w=60", "1", "1"),
			rateLimit("١٠٠", "١", "١"),
			rateLimit("", "1", "1"),
			rateLimit("100", "", "1"),
			{"X-RateLimit-Limit", "", "X-RateLimit-Remaining", "", serviceHeader, ""},
		} {
			got, err := call(200, invalid)
			require.NoError(t, err, invalid)
			assert.Equal(t, want, got, "%q: the latest known one", invalid)
		}
		for _, reset := range []string{"", "soon", "-1"} {
			got, _ := call(200, rateLimit("100", "98", reset))
			assert.Equal(t, facade.RateLimit{Limit: 100, Remaining: 98}, got, reset)
		}
		got, _ = call(200, append(rateLimit("100", "97", ""), retryAfter, "60"))
		assert.Equal(t, facade.RateLimit{Limit: 100, Remaining: 97}, got)
		got, err = call(429, rateLimit("40", "0", "0"))
		want = facade.RateLimit{Limit: 40, Reset: time.Now()}
		assert.Equal(t, want, got)
		assert.Equal(t, want, asError(t, err).RateLimit)
		for _, code := range []int{302, 404, 503} {
			got, err = call(code, rateLimit("40", "", ""))
			assert.Equal(t, want, got)
			assert.Zero(t, asError(t, err).RateLimit, "of its own response")
		}
		headers, status = rateLimit("500", "7", ""), 200
		_, err = client.Raw().GetWebhookWithResponse(t.Context(), "w")
		require.NoError(t, err)
		got, _ = client.RateLimit()
		assert.Equal(t, facade.RateLimit{Limit: 500, Remaining: 7}, got, "of the generated client")
	})
}
