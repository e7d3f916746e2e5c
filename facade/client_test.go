package facade_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

// basicKey is what the key becomes on the wire: user name, colon, no password.
var basicKey = "Basic " + base64.StdEncoding.EncodeToString([]byte(testKey+":"))

// succeed answers each of the operations as it should be.
func succeed(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		answer(http.StatusCreated, webhookJSON(1))(w, r)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case strings.HasSuffix(r.URL.Path, "/webhooks"):
		answer(http.StatusOK, listJSON(1, 100, 2))(w, r)
	default:
		answer(http.StatusOK, webhookJSON(1))(w, r)
	}
}

// rawOperations are the same as operations, made with the generated client.
var rawOperations = []operation{
	{"raw create", "", http.StatusCreated, func(ctx context.Context, c *facade.Client) error {
		_, err := c.Raw().CreateWebhookWithResponse(ctx, gen.WebhookCreation{URL: validParams.URL, Events: []gen.EventType{gen.EventTypeVideoSourceRecorded}})
		return err
	}},
	{"raw get", "", http.StatusOK, func(ctx context.Context, c *facade.Client) error {
		_, err := c.Raw().GetWebhookWithResponse(ctx, "w")
		return err
	}},
	{"raw delete", "", http.StatusNoContent, func(ctx context.Context, c *facade.Client) error {
		_, err := c.Raw().DeleteWebhookWithResponse(ctx, "w")
		return err
	}},
	{"raw list", "", http.StatusOK, func(ctx context.Context, c *facade.Client) error {
		_, err := c.Raw().ListWebhooksWithResponse(ctx, nil)
		return err
	}},
}

var allOperations = slices.Concat(operations, rawOperations)

func TestNewClientRefusesKeys(t *testing.T) {
	t.Parallel()
	const mark = "marked"
	tests := []struct {
		name, key string
	}{
		{"empty", ""},
		{"blank", " "},
		{"copied with a line end", mark + "\n"},
		{"copied with a Windows line end", mark + "\r\n"},
		{"copied with a space in front", " " + mark},
		{"copied with a space behind", mark + " "},
		{"a tab inside", mark + "\tkey"},
		{"a colon, where the user name would end", mark + ":key"},
		{"beyond ASCII", mark + "é"},
		{"a no-break space", mark + "\u00a0"},
		{"not UTF-8", mark + "\xff"},
		{"DEL", mark + "\x7f"},
		{"NUL", mark + "\x00"},
		{"a header of its own", mark + "\r\nX-Other: a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, err := facade.NewClient(test.key)
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			assert.Nil(t, client)
			assert.Contains(t, err.Error(), "API key")
			assert.NotContains(t, err.Error(), mark)
		})
	}
}

func TestNewClientAcceptsKeys(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, key string
	}{
		{"one character", "k"},
		{"43 letters and digits, as the service makes them", strings.Repeat("aZ0", 14) + "x"},
		{"every printable character but the colon", "!\"#$%&'()*+,-./09;<=>?@AZ[\\]^_`az{|}~"},
		{"a kilobyte", strings.Repeat("k", 1024)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			transport := new(recorder)
			client, err := facade.NewClient(test.key, facade.WithHTTPClient(&http.Client{Transport: transport}))
			require.NoError(t, err)
			assert.Empty(t, transport.urls(), "NewClient sends nothing")
			get(t, client)
			user, password, ok := transport.requests[0].BasicAuth()
			assert.True(t, ok)
			assert.Equal(t, test.key, user)
			assert.Empty(t, password)
		})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	applications := []struct {
		name string
		opts []facade.Option
		want []string
	}{
		{"without application", nil, nil},
		{"with an application", []facade.Option{facade.WithApplication("app", "1.2")}, []string{"app:1.2"}},
	}
	for _, op := range allOperations {
		for _, app := range applications {
			t.Run(op.name+"/"+app.name, func(t *testing.T) {
				t.Parallel()
				var headers []http.Header
				client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
					headers = append(headers, r.Header)
					succeed(w, r)
				}, app.opts...)
				require.NoError(t, op.call(t.Context(), client))
				require.Len(t, headers, 1)
				h := headers[0]
				assert.Equal(t, []string{basicKey}, h.Values("Authorization"))
				assert.Equal(t, []string{"application/json"}, h.Values("Accept"))
				assert.Regexp(t, `^apivideo-webhooks-go/[0-9.]+$`, h.Get("User-Agent"))
				assert.Regexp(t, originFormat, h.Get("AV-Origin-Client"))
				assert.Equal(t, app.want, h.Values("AV-Origin-App"))
				if strings.HasSuffix(op.name, "create") {
					assert.Equal(t, []string{"application/json"}, h.Values("Content-Type"))
				} else {
					assert.Empty(t, h.Values("Content-Type"))
				}
			})
		}
	}
}

var redirects = []int{301, 302, 303, 307, 308}

func TestRedirectsAreRefused(t *testing.T) {
	t.Parallel()
	clients := []struct {
		name string
		opts []facade.Option
	}{
		{"default transport", nil},
		{"HTTP client", []facade.Option{facade.WithHTTPClient(&http.Client{})}},
	}
	for _, c := range clients {
		for _, status := range redirects {
			for _, to := range []string{"to the same host", "to another port"} {
				t.Run(fmt.Sprintf("%s/%d/%s", c.name, status, to), func(t *testing.T) {
					t.Parallel()
					var followed atomic.Int32
					elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
					t.Cleanup(elsewhere.Close)
					target := "/elsewhere"
					if to == "to another port" {
						target = elsewhere.URL + target
					}
					server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/elsewhere" {
							followed.Add(1)
						}
						w.Header().Set("Location", target+"?token=query-secret")
						w.WriteHeader(status)
						// A body keeps net/http from giving the connection back to the pool,
						// where servers that close would end it, before the answer is there.
						_, _ = io.WriteString(w, "moved")
					}))
					t.Cleanup(server.Close)
					client, err := facade.NewClient(testKey, slices.Concat([]facade.Option{once}, c.opts, []facade.Option{facade.WithBaseURL(server.URL)})...)
					require.NoError(t, err)
					for _, op := range operations {
						err := op.call(t.Context(), client)
						require.ErrorIs(t, err, facade.ErrUnexpectedResponse, op.name)
						assert.Equal(t, op.name == "create", errors.Is(err, facade.ErrUnconfirmed), op.name)
						assert.Equal(t, status, asError(t, err).StatusCode, op.name)
						assert.Contains(t, err.Error(), "a redirect to "+target+", which is not followed", op.name)
						assert.NotContains(t, err.Error(), "query-secret", op.name)
					}
					for _, op := range rawOperations {
						assert.NoError(t, op.call(t.Context(), client), op.name) // the caller sees the status
					}
					assert.Zero(t, followed.Load())
				})
			}
		}
	}
}

func TestRawHasTheSameBounds(t *testing.T) {
	t.Parallel()
	for _, op := range rawOperations {
		for _, status := range []int{op.status, 404, 503} {
			bound := 64 << 10
			switch status {
			case http.StatusNoContent:
				continue
			case op.status:
				bound = 10 << 20
			}
			t.Run(fmt.Sprintf("%s/%d", op.name, status), func(t *testing.T) {
				t.Parallel()
				var size atomic.Int64
				client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/plain")
					w.WriteHeader(status)
					_, _ = io.WriteString(w, strings.Repeat("x", int(size.Load())))
				})
				size.Store(int64(bound))
				require.NoError(t, op.call(t.Context(), client), "the bound itself is fine")
				size.Store(int64(bound + 1))
				err := op.call(t.Context(), client)
				require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
				require.ErrorContains(t, err, fmt.Sprintf("larger than %d bytes", bound))
			})
		}
	}
}

func TestRateLimitOfTheLatestAnswer(t *testing.T) {
	t.Parallel()
	type header struct{ limit, remaining string }
	var next header
	status := http.StatusOK
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if next.limit != "" {
			w.Header().Set("X-RateLimit-Limit", next.limit)
			w.Header().Set("X-RateLimit-Remaining", next.remaining)
		}
		answer(status, webhookJSON(1))(w, r)
	})
	call := func(h header, code int) (facade.RateLimit, bool) {
		next, status = h, code
		_, _ = client.GetWebhook(t.Context(), "w")
		return client.RateLimit()
	}

	rl, ok := client.RateLimit()
	assert.False(t, ok, "nothing was sent yet")
	assert.Zero(t, rl)
	rl, ok = call(header{}, 200)
	assert.False(t, ok, "an answer without it")
	assert.Zero(t, rl)
	rl, ok = call(header{"100", "99"}, 200)
	assert.True(t, ok)
	assert.Equal(t, facade.RateLimit{Limit: 100, Remaining: 99}, rl)
	rl, _ = call(header{"40", "0"}, 429)
	assert.Equal(t, facade.RateLimit{Limit: 40}, rl, "an error tells as well")
	rl, ok = call(header{}, 200)
	assert.True(t, ok)
	assert.Equal(t, facade.RateLimit{Limit: 40}, rl, "kept when an answer has none")

	next = header{"500", "7"}
	_, err := client.Raw().GetWebhookWithResponse(t.Context(), "w")
	require.NoError(t, err)
	rl, _ = client.RateLimit()
	assert.Equal(t, facade.RateLimit{Limit: 500, Remaining: 7}, rl, "the generated client goes the same way")
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, basicKey, r.Header.Get("Authorization"))
		w.Header().Set("X-RateLimit-Limit", "1000000")
		w.Header().Set("X-RateLimit-Remaining", strconv.FormatInt(n.Add(1), 10))
		if id, ok := strings.CutPrefix(r.URL.Path, "/webhooks/own-"); ok {
			answer(http.StatusOK, `{"webhookId":"own-`+id+`"}`)(w, r)
			return
		}
		succeed(w, r)
	})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for _, op := range allOperations {
				assert.NoError(t, op.call(t.Context(), client), op.name)
			}
			id := fmt.Sprintf("own-%d", i)
			wh, err := client.GetWebhook(t.Context(), id)
			if assert.NoError(t, err) {
				assert.Equal(t, id, wh.ID, "each has the answer to its own request")
			}
			rl, ok := client.RateLimit()
			assert.True(t, ok)
			assert.Equal(t, 1_000_000, rl.Limit)
			assert.Positive(t, rl.Remaining)
		})
	}
	wg.Wait()
	assert.EqualValues(t, 64*(len(allOperations)+1), n.Load(), "each request was sent once")
}

// A recorder of HTTP exchanges deletes the credentials of the request that it has
// sent, as the documented hook of go-vcr does.
func TestClient_transportDeletesHeaders(t *testing.T) {
	t.Parallel()
	var sent []string
	transport := newTransport(t)
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		sent = append(sent, r.Header.Get("Authorization"))
		delete(r.Header, "Authorization")
		return resp, err
	})}
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		key, _, _ := r.BasicAuth()
		answer(http.StatusServiceUnavailable, `{"title":"No `+key+`."}`)(w, r)
	}, facade.WithHTTPClient(hc), quickly)
	_, err := client.GetWebhook(t.Context(), "w")
	require.ErrorIs(t, err, facade.ErrServer)
	assert.NotContains(t, err.Error(), testKey)
	assert.Equal(t, []string{basicKey, basicKey, basicKey, basicKey}, sent)
}

// A transport masks credentials in place, for a log.
func TestClient_transportChangesHeaderValues(t *testing.T) {
	t.Parallel()
	transport := newTransport(t)
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		for name, values := range r.Header {
			for i := range values {
				r.Header[name][i] = "masked"
			}
		}
		return resp, err
	})}
	for _, opt := range []facade.Option{quickly, facade.WithTokenExchange()} {
		service := &tokenService{}
		client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			assert.NotContains(t, fmt.Sprint(r.Header), "masked")
			service.ServeHTTP(w, r)
		}, facade.WithHTTPClient(hc), opt)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for _, op := range operations {
					assert.NoError(t, op.call(t.Context(), client))
				}
			})
		}
		group.Wait()
	}
}

func TestRaw_changedServer(t *testing.T) {
	t.Parallel()
	var authorization []string
	transport := &recorder{answer: func(r *http.Request) *http.Response {
		authorization = append(authorization, r.URL.Host+" "+r.Header.Get("Authorization"))
		return nil
	}}
	client, err := facade.NewClient(testKey, once, facade.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	raw, ok := client.Raw().ClientInterface.(*gen.Client)
	require.True(t, ok)
	raw.Server = "http://ws.api.video/" // another origin: without TLS
	_, err = raw.GetWebhook(t.Context(), "w")
	require.NoError(t, err)
	raw.Server = "https://other.example/"
	_, err = raw.GetWebhook(t.Context(), "w")
	require.NoError(t, err)
	get(t, client)
	_, err = client.Raw().GetWebhookWithResponse(t.Context(), "w")
	require.NoError(t, err)
	assert.Equal(t, []string{"ws.api.video ", "other.example ", "ws.api.video " + basicKey, "ws.api.video " + basicKey}, authorization)
}
