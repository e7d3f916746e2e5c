package facade_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

func TestSuccessThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	const secret = "sig_sec_mark00000000000000000"
	answers := []struct {
		name        string
		contentType string
		body        string
	}{
		{"HTML, as from a captive portal", "text/html", "<html>Sign in " + secret + "</html>"},
		{"HTML that claims to be JSON", "application/json", "<html></html>"},
		{"empty", "application/json", ""},
		{"null", "application/json", "null"},
		{"an object with nothing in it", "application/json", "{}"},
		{"an array", "application/json", "[]"},
		{"cut short inside the JSON", "application/json", `{"webhookId":"webhook_1","signatureSecret":"` + secret + `","data":[{"webhookId":"w`},
		{"two values", "application/json", webhookJSON(1) + webhookJSON(2)},
		{"an empty id", "application/json", `{"webhookId":"","data":[{"webhookId":""}],"pagination":{"currentPage":1,"pageSize":25,"pagesTotal":1,"itemsTotal":1}}`},
		{"an id that is no string", "application/json", `{"webhookId":7,"data":[{"webhookId":7}]}`},
		{"null in place of a webhook or its list", "application/json", `{"webhookId":null,"data":null,"pagination":{"currentPage":1,"pageSize":25}}`},
		{"a null webhook in the list", "application/json", `{"data":[null],"pagination":{"currentPage":1,"pageSize":25,"pagesTotal":1,"itemsTotal":1}}`},
		{"a list without pagination", "application/json", `{"data":[` + webhookJSON(1) + `],"webhookId":""}`},
	}
	for _, op := range operations {
		if op.name == "delete" {
			continue // its success has no body
		}
		for _, a := range answers {
			t.Run(op.name+"/"+a.name, func(t *testing.T) {
				t.Parallel()
				client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", a.contentType)
					w.WriteHeader(op.status)
					_, _ = io.WriteString(w, a.body)
				})
				err := op.call(t.Context(), client)
				require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
				e := asError(t, err)
				assert.Equal(t, op.op, e.Op)
				assert.Equal(t, op.status, e.StatusCode)
				assert.Nil(t, e.Body, "it may hold secrets")
				assert.NotContains(t, err.Error(), secret)
				if op.name == "create" {
					require.ErrorIs(t, err, facade.ErrUnconfirmed)
					assert.Contains(t, err.Error(), "was created")
				} else {
					require.NotErrorIs(t, err, facade.ErrUnconfirmed)
				}
			})
		}
	}
}

// A gateway may change 201 or 204 to another status. The body decides, and for a
// delete the status.
func TestClient_undocumentedSuccess(t *testing.T) {
	t.Parallel()
	body := strings.TrimSuffix(webhookJSON(1), "}") + "," + strings.TrimPrefix(listJSON(1, 100, 1), "{")
	for _, op := range operations {
		for _, status := range []int{200, 201, 202, 203, 206, 299} {
			t.Run(fmt.Sprintf("%s/%d", op.name, status), func(t *testing.T) {
				t.Parallel()
				require.NoError(t, op.call(t.Context(), newClient(t, answer(status, body))))
			})
		}
	}
}

func TestClient_redirectWithoutLocation(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		for _, status := range []int{300, 304, 399} {
			t.Run(fmt.Sprintf("%s/%d", op.name, status), func(t *testing.T) {
				t.Parallel()
				err := op.call(t.Context(), newClient(t, answer(status, webhookJSON(1))))
				require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
				assert.Equal(t, status, asError(t, err).StatusCode)
				assert.Equal(t, op.name == "create", errors.Is(err, facade.ErrUnconfirmed))
			})
		}
	}
}

func TestBodyShorterThanItsLength(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		for _, status := range []int{op.status, 400, 503} {
			if status == http.StatusNoContent {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", op.name, status), func(t *testing.T) {
				t.Parallel()
				client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("Content-Length", "1000")
					w.WriteHeader(status)
					_, _ = io.WriteString(w, webhookJSON(1))
				})
				err := op.call(t.Context(), client)
				require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				assert.Equal(t, status, asError(t, err).StatusCode)
				if op.name == "create" && status != 400 {
					require.ErrorIs(t, err, facade.ErrUnconfirmed)
				} else {
					require.NotErrorIs(t, err, facade.ErrUnconfirmed)
				}
			})
		}
	}
}

func TestSuccessAtItsBoundAndOverIt(t *testing.T) {
	t.Parallel()
	const bound = 10 << 20
	for _, op := range operations {
		if op.name == "delete" {
			continue
		}
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			body := webhookJSON(1)
			if op.op == "ListWebhooks" {
				body = listJSON(1, 100, 1)
			}
			var size atomic.Int64
			client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(op.status)
				_, _ = io.WriteString(w, body+strings.Repeat(" ", int(size.Load())-len(body)))
			})
			size.Store(bound)
			require.NoError(t, op.call(t.Context(), client), "the bound itself is fine")

			size.Store(bound + 1)
			err := op.call(t.Context(), client)
			require.ErrorIs(t, err, facade.ErrUnexpectedResponse, "never a silent cut")
			assert.Contains(t, err.Error(), "larger than 10485760 bytes")
		})
	}
}

func TestBodyThatNeverEnds(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		for _, status := range []int{op.status, 500} {
			if status == http.StatusNoContent {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", op.name, status), func(t *testing.T) {
				t.Parallel()
				client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(status)
					chunk := []byte(strings.Repeat("x", 32<<10))
					for {
						if _, err := w.Write(chunk); err != nil {
							return
						}
					}
				})
				err := op.call(t.Context(), client)
				require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
				assert.Contains(t, err.Error(), "larger than")
			})
		}
	}
}

func TestContextThatIsDoneBeforehand(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	withCause, cancelCause := context.WithCancelCause(t.Context())
	cancelCause(errSibling)
	contexts := []struct {
		name string
		ctx  context.Context
		want error
	}{
		{"cancelled", cancelled, context.Canceled},
		{"cancelled with a cause, as errgroup does", withCause, context.Canceled},
		{"expired", expired, context.DeadlineExceeded},
	}
	var requests atomic.Int32
	client := newClient(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	t.Run("group", func(t *testing.T) {
		for _, op := range operations {
			for _, c := range contexts {
				t.Run(op.name+"/"+c.name, func(t *testing.T) {
					t.Parallel()
					err := op.call(c.ctx, client)
					require.ErrorIs(t, err, c.want)
					require.NotErrorIs(t, err, facade.ErrUnconfirmed, "nothing was sent")
					assert.Zero(t, asError(t, err).StatusCode)
				})
			}
		}
	})
	assert.Zero(t, requests.Load())
}

var errSibling = errors.New("a sibling failed")

func TestContextThatEndsDuringTheRequest(t *testing.T) {
	t.Parallel()
	phases := []struct {
		name   string
		answer func(w http.ResponseWriter, status int)
	}{
		{"before the headers", func(http.ResponseWriter, int) {}},
		{"within the body", func(w http.ResponseWriter, status int) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000") // so that a delete's answer has one too
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"webhookId":`)
			_ = http.NewResponseController(w).Flush()
		}},
	}
	ends := []struct {
		name string
		make func(context.Context) (context.Context, context.CancelFunc)
		want error
	}{
		{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			stop := time.AfterFunc(time.Second, cancel)
			return ctx, func() { stop.Stop(); cancel() }
		}, context.Canceled},
		{"cancelled with a cause, as errgroup does", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			stop := time.AfterFunc(time.Second, func() { cancel(errSibling) })
			return ctx, func() { stop.Stop(); cancel(nil) }
		}, context.Canceled},
		{"expired", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, context.DeadlineExceeded},
		{"expired with a cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, time.Second, errSibling)
		}, context.DeadlineExceeded},
	}
	for _, op := range operations {
		for _, phase := range phases {
			if op.name == "delete" && phase.name == "within the body" {
				continue // 204 has none
			}
			for _, end := range ends {
				t.Run(op.name+"/"+phase.name+"/"+end.name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
							_, _ = io.Copy(io.Discard, r.Body)
							phase.answer(w, op.status)
							<-r.Context().Done() // the client has left
						})
						ctx, cancel := end.make(t.Context())
						defer cancel()
						start := time.Now()
						err := op.call(ctx, client)
						require.ErrorIs(t, err, end.want)
						require.NotErrorIs(t, err, facade.ErrUnexpectedResponse, "it isn't the server's fault")
						assert.Equal(t, time.Second, time.Since(start))
						if op.name == "create" {
							require.ErrorIs(t, err, facade.ErrUnconfirmed, "the request had been written")
						}
					})
				})
			}
		}
	}
}

func TestContextThatEndsAfterwards(t *testing.T) {
	t.Parallel()
	_, client := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	wh, err := client.CreateWebhook(ctx, validParams)
	cancel()
	require.NoError(t, err)
	got, err := client.GetWebhook(t.Context(), wh.ID)
	require.NoError(t, err)
	assert.Equal(t, wh, got)
}

func TestErrorThatEchoesTheCredentials(t *testing.T) {
	t.Parallel()
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		key, _, _ := r.BasicAuth()
		answer(http.StatusUnauthorized, fmt.Sprintf(`{"title":"The key %s is wrong.","detail":%q,"name":"apiKey"}`, key, r.Header.Get("Authorization")))(w, r)
	})
	for _, op := range operations {
		err := op.call(t.Context(), client)
		e := asError(t, err)
		assert.Contains(t, e.Error(), "apivideo: "+op.op+": 401 The key [REDACTED] is wrong. (apiKey): Basic [REDACTED] (host ")
		assert.NotContains(t, string(e.Body), testKey)
	}
}

// There are many ways to show them, and some keys make more of them than others.
func TestErrorThatEchoesTheCredentialsOtherwise(t *testing.T) {
	t.Parallel()
	const key = `???>>>~~~key/with?all"that\s`
	basic := base64.StdEncoding.EncodeToString([]byte(key + ":"))
	require.Contains(t, basic, "/")
	require.Contains(t, basic, "=")
	slashed := strings.ReplaceAll(basic, "/", `\/`)
	var unicode strings.Builder
	for _, c := range key {
		fmt.Fprintf(&unicode, `\u%04x`, c)
	}
	header := func(value string) http.HandlerFunc { return answerWith(403, "{}", "X-Echo", value) }
	tests := []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"slashes escaped", answer(403, `{"title":"`+slashed+`","problems":[{"name":"`+slashed+`","title":"`+slashed+`","type":"`+slashed+`"}]}`)},
		{"all escaped", answer(403, `{"title":"`+unicode.String()+`","name":"`+unicode.String()+`","detail":"`+unicode.String()+`","type":"/`+unicode.String()+`"}`)},
		{"for a query", answer(403, `{"title":"`+url.QueryEscape(basic)+` `+url.QueryEscape(key)+`"}`)},
		{"quoted, in a header that is none", raw("HTTP/1.1 200 OK\r\nAuthorization " + key + "\r\n\r\n")},
		{"for a path", answer(403, `{"title":"`+url.PathEscape(basic)+` `+url.PathEscape(key)+`"}`)},
		{"in a header", header("Basic " + basic)},
		{"as the type of a success", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "Basic "+basic)
			w.WriteHeader(successOf(r))
			_, _ = io.WriteString(w, "<html>")
		}},
		{"in a header that is none", raw("HTTP/1.1 200 OK\r\nAuthorization Basic " + basic + "\r\n\r\n")},
		{"where the type of a success is cut", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", strings.Repeat("x", 190)+basic)
			w.WriteHeader(successOf(r))
			_, _ = io.WriteString(w, "<html>")
		}},
		{"in a redirect that is none", answerWith(302, "", "Location", "http://["+basic)},
	}
	for _, test := range tests {
		for _, op := range operations {
			t.Run(test.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				server := httptest.NewServer(test.handler)
				t.Cleanup(server.Close)
				var logged syncBuffer
				logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
				client, err := facade.NewClient(key, once, facade.WithBaseURL(server.URL), facade.WithLogger(logger),
					facade.WithHTTPClient(&http.Client{Transport: newTransport(t)}))
				require.NoError(t, err)
				err = op.call(t.Context(), client)
				if op.name == "delete" && err == nil {
					return // the status is sufficient
				}
				e := asError(t, err)
				logger.Error("failed", slog.Any("err", err))
				encoded, jsonErr := json.Marshal(err)
				require.NoError(t, jsonErr)
				for _, text := range []string{err.Error(), fmt.Sprintf("%+v %+v %#v", e, *e, *e), string(encoded), logged.String()} {
					assert.NotContains(t, text, basic[:10], "nor the beginning of it")
					for _, secret := range []string{key, strings.Trim(strconv.Quote(key), `"`), basic, slashed, url.QueryEscape(key), url.PathEscape(key), url.QueryEscape(basic), url.PathEscape(basic)} {
						assert.NotContains(t, text, secret)
					}
				}
			})
		}
	}
}

func TestErrorBodyIsWholeWithAShortKey(t *testing.T) {
	t.Parallel()
	body := `{"type":"https://docs.api.video/reference/authentication-invalid-api-key"}`
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		answer(http.StatusUnauthorized, body)(w, r)
		resp := w.Result()
		resp.Request = r
		return resp, nil
	})}
	client, err := facade.NewClient("key", facade.WithHTTPClient(hc))
	require.NoError(t, err)
	_, err = client.GetWebhook(t.Context(), "w")
	assert.Equal(t, body, string(asError(t, err).Body), "the key is a word in it by chance")
}

// The cause of a context is in the error, in each phase of a call.
func TestClient_contextCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("shutting down")
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	tests := []struct {
		name    string
		after   time.Duration
		handler http.HandlerFunc
		opt     facade.Option
	}{
		{"before the request", 0, hang, byDefault},
		{"during the request", time.Second, hang, byDefault},
		{"during a delay", time.Second, throttled("Retry-After", "30"), byDefault},
		{"while waiting for a token", time.Second, func(w http.ResponseWriter, r *http.Request) {
			assert.True(t, strings.HasPrefix(r.URL.Path, "/auth/"))
			<-time.After(20 * time.Second) // beyond the end of the call
			answer(http.StatusOK, `{"token_type":"Bearer","access_token":"a"}`)(w, r)
		}, facade.WithTokenExchange()},
	}
	for _, test := range tests {
		for _, op := range operations {
			t.Run(test.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					client := newBubbleClient(t, test.handler, test.opt)
					if test.after == 0 {
						cancel(cause)
					}
					time.AfterFunc(test.after, func() { cancel(cause) })
					err := op.call(ctx, client)
					require.ErrorIs(t, err, cause)
					require.ErrorIs(t, err, context.Canceled)
					require.ErrorContains(t, err, "shutting down")
					<-time.After(time.Minute)
				})
			})
		}
	}
}
