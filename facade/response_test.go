package facade_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
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
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

func TestClient_invalidSuccess(t *testing.T) {
	t.Parallel()
	const secret = "sig_sec_mark00000000000000000"
	webhook := webhookJSON(1)
	both := func(id string) string { // a webhook and a list
		return `{"webhookId":` + id + `,` + strings.TrimPrefix(pageJSON(`{"webhookId":`+id+`}`, 1, 25, 1, 1), "{")
	}
	for name, body := range map[string]string{
		"HTML":                        "<html>Sign in " + secret + "</html>",
		"empty":                       "",
		"null":                        "null",
		"empty object":                "{}",
		"array":                       "[]",
		"incomplete JSON":             `{"webhookId":"webhook_1","signatureSecret":"` + secret + `","data":[{"webhookId":"w`,
		"two values":                  webhook + webhook,
		"empty ID":                    both(`""`),
		"ID as number":                both("7"),
		"null fields":                 `{"webhookId":null,"data":null,"pagination":{"currentPage":1,"pageSize":25}}`,
		"null webhook in a list":      pageJSON("null", 1, 25, 1, 1),
		"list without a pagination":   `{"data":[` + webhook + `]}`,
		"page 0":                      pageJSON(webhook, 0, 25, 1, 1),
		"page size 0":                 pageJSON(webhook, 1, 0, 1, 1),
		"a webhook and no pages":      pageJSON(webhook, 1, 25, 0, 1),
		"a full page and no counts":   pageJSON(webhook, 1, 1, 0, 0),
		"negative counts":             pageJSON(webhook, 1, 1, -1, -1),
		"page as fraction":            pageJSON(webhook, 0.5, 25, 1, 1),
		"pagination as array":         `{"data":[` + webhook + `],"pagination":[]}`,
		"pagination with other types": pageJSON(webhook, "{}", "[]", "true", "null"),
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
	for _, test := range []struct {
		status             int
		location, redacted string
	}{
		{300, "", ""},
		{301, "https://user:secret@login.example/a?token=secret#x", " to https://login.example/a"},
		{302, "https://login.example/a?token=secret", " to https://login.example/a"},
		{302, "/a?token=secret", " to /a"},
		{302, "http://[secret", ""},
		{302, "http:u:secret@h", " to http:"},
		{302, "http:/u:secret@h/a", " to …@h/a"},
		{302, "http:///u:secret@h", " to …@h"},
		{302, "/u:secret@h?a=b", " to …@h"},
		{303, "/a", " to /a"},
		{304, "", ""},
		{307, "/a", " to /a"},
		{308, "/a", " to /a"},
		{399, "", ""},
	} {
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
			require.ErrorContains(t, err, "a redirect"+test.redacted+", which is not followed")
			assert.NotContains(t, err.Error(), "secret")
			assert.Equal(t, op.name == "create", errors.Is(err, facade.ErrUnconfirmed), op.name)
			assert.Equal(t, test.status, asError(t, err).StatusCode, op.name)
			assert.Nil(t, asError(t, err).Body, "it may contain a secret")
		}
	}
}

func TestClient_bodyLimits(t *testing.T) {
	t.Parallel()
	const shortBody, maxErrorBody, maxExcess = 32 << 10, 64 << 10, 4 << 10
	for status, limit := range map[int]int{200: shortBody, 404: maxErrorBody, 503: maxErrorBody} {
		for _, size := range []int{limit, limit + 1, math.MaxInt} {
			read := 0
			client := newClientWith(t, respondSize(status, size, &read))
			client.SetLimits(shortBody, maxErrorBody)
			err := getWebhook(t.Context(), client)
			assert.LessOrEqual(t, read, limit+maxExcess)
			assert.Equal(t, size > limit, errors.Is(err, facade.ErrUnexpectedResponse), "%d, %d bytes", status, size)
			assert.Equal(t, status == 404, errors.Is(err, facade.ErrNotFound))
			if size > limit {
				require.ErrorContains(t, err, fmt.Sprintf("body larger than %d bytes", limit))
			}
			if status != 200 {
				assert.Equal(t, limit, len(asError(t, err).Body)) //nolint:testifylint // Len prints the body
			}
			_, err = client.Raw().GetWebhookWithResponse(t.Context(), "w")
			assert.Equal(t, size > limit, errors.Is(err, facade.ErrUnexpectedResponse), "generated client")
		}
	}
}

func TestClient_defaultBodyLimits(t *testing.T) {
	t.Parallel()
	for status, limit := range map[int]int{200: 10 << 20, 404: 64 << 10} {
		read := 0
		err := getWebhook(t.Context(), newClientWith(t, respondSize(status, limit+1, &read)))
		require.ErrorContains(t, err, fmt.Sprintf("body larger than %d bytes", limit))
		assert.Equal(t, limit+1, read)
	}
}

// respondSize responds with a webhook and spaces, together size bytes, and counts them.
func respondSize(status, size int, read *int) roundTripper {
	spaces := strings.Repeat(" ", 32<<10)
	return func(*http.Request) (*http.Response, error) {
		resp := newResponse(status, `{"webhookId":"w"}`, nil)
		body := io.MultiReader(resp.Body, readerFunc(func(p []byte) (int, error) { return copy(p, spaces), nil }))
		counted := io.TeeReader(io.LimitReader(body, int64(size)), writerFunc(func(p []byte) (int, error) {
			*read += len(p)
			return len(p), nil
		}))
		resp.Body, resp.ContentLength = io.NopCloser(counted), -1
		return resp, nil
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

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
	const url = "https://hooks.example.com"
	date := time.Date(2021, 1, 29, 15, 46, 25, 217_000_000, time.UTC)
	for fields, want := range map[string]facade.Webhook{
		`"createdAt":"2021-01-29T16:46:25.217+01:00"`: {CreatedAt: date},
		`"createdAt":"2021-01-29T15:46:25.217Z"`:      {CreatedAt: date},
		`"createdAt":"2021-01-29T15:46:25+00:00"`:     {CreatedAt: date.Truncate(time.Second)},
		`"createdAt":"2024-08-08T14:12:18+0000"`:      {},
		`"createdAt":"2024-08-08 14:12:18"`:           {},
		`"createdAt":"2024-08-151T10:18:47+00:00"`:    {},
		`"createdAt":"2024-08-08T14:12:18+24:00"`:     {},
		`"createdAt":""`:                    {},
		`"createdAt":1723126338`:            {},
		`"createdAt":{"date":"2024-08-08"}`: {},
		`"createdAt":null,"url":null,"events":null,"signatureSecret":null`:        {},
		`"createdAt":true,"url":7,"events":"all","signatureSecret":[]`:            {},
		`"events":["video.invented.tomorrow"],"paused":{"since":[1]}`:             {Events: []facade.EventType{"video.invented.tomorrow"}},
		`"createdAt":"x","url":"https://hooks.example.com","signatureSecret":"s"`: {URL: url, SignatureSecret: facade.NewSecret("s")},
	} {
		webhook := " \n" + `{"webhookId":"webhook_1",` + fields + "}\r\n"
		client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Path == "/webhooks" {
				respond(http.StatusOK, pageJSON(webhook, 1, 25, 1, 1))(w, r)
				return
			}
			respond(http.StatusCreated, webhook)(w, r)
		})
		created, err := client.CreateWebhook(t.Context(), validParams)
		require.NoError(t, err, fields)
		got, err := client.GetWebhook(t.Context(), "webhook_1")
		require.NoError(t, err, fields)
		all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{}))
		require.NoError(t, err, fields)
		for _, wh := range append(all, created, got) {
			assert.True(t, want.CreatedAt.Equal(wh.CreatedAt), fields)
			want.ID, wh.CreatedAt = "webhook_1", want.CreatedAt
			assert.Equal(t, &want, wh, fields)
		}
	}
}

func TestWebhook_JSON(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(facade.Webhook{
		ID: "webhook_1", URL: "https://hooks.example.com", Events: []facade.EventType{facade.EventVideoSourceRecorded},
		CreatedAt: time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC), SignatureSecret: facade.NewSecret("sig_sec_1"),
	})
	require.NoError(t, err)
	assert.JSONEq(t, `{"webhookId":"webhook_1","url":"https://hooks.example.com","events":["video.source.recorded"],`+
		`"createdAt":"2024-08-08T14:12:18Z","signatureSecret":"[REDACTED]"}`, string(encoded))
}

func TestClient_RateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const absent = "-"
		var respondNext http.HandlerFunc
		client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			<-time.After(3 * time.Second) // counts for Reset
			respondNext(w, r)
		})
		call := func(status int, limit, remaining, reset string) (latest, ofError facade.RateLimit) {
			headers := []string{retryAfter, "60"}
			for name, value := range map[string]string{
				"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining, serviceHeader: reset,
			} {
				if value != absent {
					headers = append(headers, name, value)
				}
			}
			respondNext = respondWith(status, webhookJSON(1), headers...)
			if err := getWebhook(t.Context(), client); status != 200 {
				ofError = asError(t, err).RateLimit
			}
			latest, ok := client.RateLimit()
			assert.Equal(t, latest != facade.RateLimit{}, ok)
			return latest, ofError
		}
		got, _ := call(200, absent, absent, absent)
		assert.Zero(t, got, "no response has it")
		got, _ = call(200, "100", "99", "60")
		want := facade.RateLimit{Limit: 100, Remaining: 99, Reset: time.Now().Add(time.Minute)}
		assert.Equal(t, want, got)
		for _, invalid := range []string{absent, "", "many", "-1", "+1", "1.0", "2147483648", "1, 1;w=60", "١"} {
			got, _ = call(200, invalid, "1", "1")
			assert.Equal(t, want, got, "%q: the latest known one", invalid)
			got, _ = call(200, "1", invalid, "1")
			assert.Equal(t, want, got, "%q: the latest known one", invalid)
		}
		for _, reset := range []string{absent, "", "soon", "-1"} {
			got, _ = call(200, "100", "98", reset)
			assert.Equal(t, facade.RateLimit{Limit: 100, Remaining: 98}, got, reset)
		}
		got, ofError := call(429, "40", "0", "0")
		want = facade.RateLimit{Limit: 40, Reset: time.Now()}
		assert.Equal(t, []facade.RateLimit{want, want}, []facade.RateLimit{got, ofError})
		for _, status := range []int{302, 404, 503} {
			got, ofError := call(status, "40", absent, absent)
			assert.Equal(t, want, got)
			assert.Zero(t, ofError, "of its own response")
		}
	})
}

// A timeoutError is a net.Error.
type timeoutError struct{ text string }

func (e *timeoutError) Error() string { return e.text }
func (*timeoutError) Timeout() bool   { return true }
func (*timeoutError) Temporary() bool { return true }

// The client echoes no credential in an error or a log. The service or the transport
// repeats all credentials. The tests of internal/redact have the other forms of errors.
func TestClient_redactsCredentials(t *testing.T) {
	t.Parallel()
	credentials := []string{testKey, strings.TrimPrefix(basicKey, "Basic ")}
	for n := 1; n <= 2; n++ {
		credentials = append(credentials, fmt.Sprintf("access%d-0123456789abcdef", n), fmt.Sprintf("refresh%d-0123456789abcdef", n))
	}
	const fields = `{"title":%[1]s,"name":%[1]s,"detail":%[1]s,"type":%[1]s,"problems":[{"title":%[1]s,"name":%[1]s,"type":%[1]s}]}`
	all := strings.Join(credentials, "!")
	quoted, padding := strconv.Quote(all), strings.Repeat("x", 190) // up to the limit of a text
	fail := func(err error) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Body != nil {
				_, _ = io.Copy(io.Discard, r.Body) // the request may have been sent
			}
			return nil, err
		})
	}
	echo := &timeoutError{"malformed header " + all}
	for name, rt := range map[string]http.RoundTripper{
		"fields":           inMemory(respond(400, fmt.Sprintf(fields, quoted))),
		"header":           inMemory(respondWith(403, "{}", "X-Echo", all)),
		"content type":     inMemory(respondWith(200, "<html>", "Content-Type", padding+all)),
		"location":         inMemory(respondWith(302, "", "Location", "/"+padding+all)),
		"invalid location": inMemory(respondWith(302, "", "Location", "http://["+all)),
		"IDs of a list":    inMemory(respond(200, pageJSON(fmt.Sprintf(`{"webhookId":%s}`, quoted), 1, 25, 1, 1))),
		"failure":          fail(echo),
		"failure, URL":     fail(&url.Error{Op: "Get", URL: "https://h/" + testKey, Err: echo}),
		"failure, long":    fail(fmt.Errorf("%s%w", strings.Repeat("x", 920), echo)),
	} {
		for _, tokens := range []bool{false, true} {
			var logged syncBuffer
			logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
			known, opts := credentials[:2], []facade.Option{facade.WithLogger(logger)}
			if tokens {
				known, opts = credentials, append(opts, facade.WithTokenExchange())
			}
			n, isRejected := 0, false
			client := newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				switch {
				case isTokenRequest(r):
					n++
					token := fmt.Sprintf(`{"token_type":"Bearer","access_token":%q,"refresh_token":%q}`, credentials[2*n], credentials[2*n+1])
					return newResponse(200, token, nil), nil
				case tokens && !isRejected:
					isRejected = true
					return newResponse(401, "{}", nil), nil
				}
				return rt.RoundTrip(r)
			}), opts...)
			_, _, ensureErr := client.EnsureWebhook(t.Context(), validParams)
			_, invalidErr := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: "ftp://x/" + all})
			for i, err := range []error{
				getWebhook(t.Context(), client), createWebhook(t.Context(), client), ensureErr, invalidErr,
			} {
				require.Error(t, err, "%s, %d", name, i)
				logger.Error("failed", slog.Any("err", err))
				texts := []string{err.Error(), logged.String()}
				var e *facade.Error
				if errors.As(err, &e) {
					encoded, jsonErr := json.Marshal(e) //nolint:musttag // a caller may do so
					require.NoError(t, jsonErr)
					texts = append(texts, fmt.Sprintf("%+v %#v %+v", *e, *e, errors.Unwrap(e)), string(encoded), string(e.Body))
					if strings.HasPrefix(name, "failure") {
						require.ErrorIs(t, err, echo, name)
						var timeout net.Error
						require.ErrorAs(t, errors.Unwrap(e), &timeout, name)
						assert.True(t, timeout.Timeout(), name)
						texts = append(texts, timeout.Error())
					}
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

// A proxy may respond with an error status and the webhook as body.
func TestClient_secretInErrorBody(t *testing.T) {
	t.Parallel()
	const secret, limit = "sig_sec_000000000000", 64 << 10
	webhook := webhookJSON(1)
	escaped := strings.ReplaceAll(webhook, `"`, `\"`)
	spaces := func(n int) string { return strings.Repeat(" ", n) }
	for name, body := range map[string]string{
		"webhook":              webhook,
		"list":                 listJSON(1, 100, 3),
		"truncated":            strings.TrimSuffix(webhook, `1"}`),
		"quoted":               fmt.Sprintf(`{"title":"%[1]s","detail":"%[1]s","problems":[{"name":"%[1]s"}]}`, escaped),
		"at the maximum size":  spaces(limit-len(webhook)+10) + webhook,
		"beyond the maximum":   spaces(limit-len(webhook)+20) + webhook + spaces(5000),
		"with spaces and case": strings.ReplaceAll(webhook, `"signatureSecret":`, `"SIGNATUREsecret" : `),
	} {
		for _, status := range []int{201, 303, 400, 404, 500} {
			for _, op := range operations {
				err := op.call(t.Context(), newClient(t, respond(status, body)))
				if err == nil {
					continue
				}
				e := asError(t, err)
				for _, text := range []string{string(e.Body), err.Error(), fmt.Sprintf("%+v", *e)} {
					assert.NotContains(t, text, secret, "%s, %d, %s", name, status, op.name)
				}
				if status >= 400 {
					assert.Contains(t, string(e.Body), "[REDA", name)
				}
			}
		}
	}
}
