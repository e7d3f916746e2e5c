package facade_test

import (
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

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
	all := strings.Join(credentials, "!")
	quoted, padding := strconv.Quote(all), strings.Repeat("x", 190)
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
		"fields of an error": inMemory(respond(403, fmt.Sprintf(`{"title":%[1]s,"name":%[1]s,"detail":%[1]s,"type":%[1]s}`, quoted))),
		"problems":           inMemory(respond(400, fmt.Sprintf(`{"problems":[{"title":%[1]s,"name":%[1]s,"type":%[1]s}]}`, quoted))),
		"header":             inMemory(respondWith(403, "{}", "X-Echo", all)),
		"content type":       inMemory(respondWith(200, "<html>", "Content-Type", all)),
		"clipped type":       inMemory(respondWith(200, "<html>", "Content-Type", padding+all)),
		"location":           inMemory(respondWith(302, "", "Location", "/"+all)),
		"clipped location":   inMemory(respondWith(302, "", "Location", "/"+padding+all)),
		"invalid location":   inMemory(respondWith(302, "", "Location", "http://["+all)),
		"IDs of a list":      inMemory(respond(200, pageJSON(fmt.Sprintf(`{"webhookId":%s}`, quoted), 1, 25, 1, 1))),
		"failure":            fail(echo),
		"failure, wrapped":   fail(fmt.Errorf("lost: %w", echo)),
		"failure, joined":    fail(errors.Join(io.ErrUnexpectedEOF, echo)),
		"failure, URL":       fail(&url.Error{Op: "Get", URL: "https://h/" + testKey, Err: echo}),
		"failure, clipped":   fail(fmt.Errorf("%s%w", strings.Repeat("x", 920), echo)),
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
			for i, call := range []func(context.Context, *facade.Client) error{
				getWebhook,
				createWebhook,
				func(ctx context.Context, c *facade.Client) error {
					_, _, err := c.EnsureWebhook(ctx, validParams)
					return err
				},
				func(ctx context.Context, c *facade.Client) error {
					_, err := c.CreateWebhook(ctx, facade.CreateWebhookParams{URL: "ftp://x/" + all})
					return err
				},
			} {
				err := call(t.Context(), client)
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
