package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/gen"
)

func TestNewClient_invalidKey(t *testing.T) {
	t.Parallel()
	const mark = "marked"
	for name, key := range map[string]string{
		"line end":       mark + "\n",
		"leading space":  " " + mark,
		"trailing space": mark + " ",
		"tab":            mark + "\tkey",
		"colon":          mark + ":key",
		"not ASCII":      mark + "é",
		"no-break space": mark + "\u00a0",
		"not UTF-8":      mark + "\xff",
		"DEL":            mark + "\x7f",
		"NUL":            mark + "\x00",
	} {
		client, err := facade.NewClient(key)
		require.ErrorIs(t, err, facade.ErrInvalidArgument, name)
		require.ErrorContains(t, err, "the API key must be printable ASCII", name)
		assert.NotContains(t, err.Error(), mark, name)
		assert.Nil(t, client, name)
	}
	_, err := facade.NewClient("")
	require.ErrorIs(t, err, facade.ErrInvalidArgument)
	require.ErrorContains(t, err, "the API key is empty")
}

func TestNewClient_validKey(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"one character":       "k",
		"printable ASCII":     "!\"#$%&'()*+,-./09;<=>?@AZ[\\]^_`az{|}~",
		"a thousand and more": strings.Repeat("k", 1024),
	} {
		server := newScript(succeed)
		client, err := facade.NewClient(key, facade.WithHTTPClient(&http.Client{Transport: inMemory(server)}))
		require.NoError(t, err, name)
		assert.Zero(t, server.requests(), "NewClient sends no request")
		require.NoError(t, getWebhook(t.Context(), client))
		user, password, ok := (&http.Request{Header: server.heads[0]}).BasicAuth()
		assert.True(t, ok, name)
		assert.Equal(t, key, user, name)
		assert.Empty(t, password, name)
	}
}

func TestClient_headers(t *testing.T) {
	t.Parallel()
	// The service ignores an origin of another form. A semantic version has all three
	// numbers and no leading zeros.
	const origin = `^webhooks-go:(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){2}$`
	for _, opts := range [][]facade.Option{nil, {facade.WithApplication("app", "1.2")}} {
		for _, op := range allOperations {
			server := newScript(succeed)
			require.NoError(t, op.call(t.Context(), newClient(t, server.ServeHTTP, opts...)))
			require.Equal(t, 1, server.requests(), op.name)
			h := server.heads[0]
			assert.Equal(t, []string{basicKey}, h.Values("Authorization"), op.name)
			assert.Equal(t, []string{"application/json"}, h.Values("Accept"), op.name)
			require.Regexp(t, origin, h.Get("AV-Origin-Client"), op.name)
			_, version, _ := strings.Cut(h.Get("AV-Origin-Client"), ":")
			assert.Equal(t, "apivideo-webhooks-go/"+version, h.Get("User-Agent"), op.name)
			var application, contentType []string
			if opts != nil {
				application = []string{"app:1.2"}
			}
			if op.status == http.StatusCreated {
				contentType = []string{"application/json"}
			}
			assert.Equal(t, application, h.Values("AV-Origin-App"), op.name)
			assert.Equal(t, contentType, h.Values("Content-Type"), op.name)
		}
	}
	server := newScript(succeed)
	_, err := newClient(t, server.ServeHTTP).Raw().GetWebhookWithResponse(t.Context(), "w", func(_ context.Context, r *http.Request) error {
		r.Header.Set("Accept", "text/plain")
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, "text/plain", server.heads[0].Get("Accept"), "a header of the caller")
}

func TestClient_concurrentCalls(t *testing.T) {
	t.Parallel()
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimPrefix(r.URL.Path, "/webhooks/")
		respondWith(http.StatusOK, `{"webhookId":"`+id+`"}`, "X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "99")(w, r)
	})
	var group sync.WaitGroup
	for caller := range 16 {
		group.Go(func() {
			for i := range 20 {
				id := fmt.Sprintf("%d-%d", caller, i)
				wh, err := client.GetWebhook(t.Context(), id)
				if assert.NoError(t, err) {
					assert.Equal(t, id, wh.ID)
				}
				rl, _ := client.RateLimit()
				assert.Equal(t, facade.RateLimit{Limit: 100, Remaining: 99}, rl)
			}
		})
	}
	group.Wait()
}

// A transport may delete or mask the headers of a request in place, as go-vcr does.
func TestClient_transportChangesHeaders(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]facade.Option{{fastRetries}, {fastRetries, facade.WithTokenExchange()}} {
		service, requests := new(tokenService), atomic.Int64{}
		transport := inMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.NotContains(t, fmt.Sprint(r.Header), "masked")
			if !isTokenRequest(r) {
				assert.NotEmpty(t, r.Header.Get("Authorization"))
				if r.Method == http.MethodGet && requests.Add(1)%2 == 1 {
					respond(http.StatusServiceUnavailable, `{"title":"`+testKey+`"}`)(w, r)
					return
				}
			}
			service.ServeHTTP(w, r)
		}))
		client := newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := transport.RoundTrip(r)
			for name, values := range r.Header {
				for i := range values {
					r.Header[name][i] = "masked"
				}
			}
			delete(r.Header, "Authorization")
			return resp, err
		}), opts...)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for _, op := range distinctOperations {
					if err := op.call(t.Context(), client); err != nil { // four times 503
						assert.ErrorIs(t, err, facade.ErrServer)
						assert.NotContains(t, err.Error(), testKey)
					}
				}
			})
		}
		group.Wait()
	}
}

func TestRaw_otherServer(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]facade.Option{nil, {facade.WithTokenExchange()}} {
		var received []string
		service := new(tokenService)
		client := newClientWith(t, inMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isTokenRequest(r) {
				received = append(received, r.URL.Host+" "+strings.Fields(r.Header.Get("Authorization") + " -")[0])
			}
			service.ServeHTTP(w, r)
		})), opts...)
		low, ok := client.Raw().ClientInterface.(*gen.Client)
		require.True(t, ok)
		for _, server := range []string{"http://ws.api.video/", "https://other.example/", "https://ws.api.video.other.example/"} {
			low.Server = server
			_, err := low.GetWebhook(t.Context(), "w")
			require.NoError(t, err)
		}
		_, err := client.Raw().GetWebhookWithResponse(t.Context(), "w", gen.RequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.URL = &url.URL{Scheme: "https", Host: "elsewhere.example", Path: r.URL.Path}
			return nil
		}))
		require.NoError(t, err)
		require.NoError(t, getWebhook(t.Context(), client))
		_, err = client.Raw().GetWebhookWithResponse(t.Context(), "w")
		require.NoError(t, err)
		scheme := "Basic"
		if opts != nil {
			scheme = "Bearer"
		}
		assert.Equal(t, []string{"ws.api.video -", "other.example -", "ws.api.video.other.example -", "elsewhere.example -", "ws.api.video " + scheme, "ws.api.video " + scheme}, received)
	}
}

// A gateway may have several servers below one origin.
func TestRaw_otherPath(t *testing.T) {
	t.Parallel()
	var received []string
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		received = append(received, r.URL.Path+" "+r.Header.Get("Authorization")[:min(5, len(r.Header.Get("Authorization")))])
		w.Header().Set("X-RateLimit-Limit", strconv.Itoa(len(received)))
		w.Header().Set("X-RateLimit-Remaining", "0")
		respond(200, webhookJSON(1))(w, r)
	}, facade.WithBaseURL("https://gateway.example/a"))
	low, ok := client.Raw().ClientInterface.(*gen.Client)
	require.True(t, ok)
	for _, server := range []string{"https://gateway.example/a/", "https://gateway.example/b/", "https://gateway.example/ab/", "https://gateway.example/"} {
		low.Server = server
		_, err := low.GetWebhook(t.Context(), "w")
		require.NoError(t, err)
	}
	assert.Equal(t, []string{"/a/webhooks/w Basic", "/b/webhooks/w ", "/ab/webhooks/w ", "/webhooks/w "}, received)
	limit, ok := client.RateLimit()
	require.True(t, ok)
	assert.Equal(t, 1, limit.Limit, "other servers have other limits")
}

// The requests are those of the generated client.
func TestClient_generatedRequests(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"https://ws.api.video", "https://gateway.example/a%2Fb/"} {
		var requests []string
		client := newClientWith(t, inMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			requests = append(requests, fmt.Sprintln(r.Method, r.URL, r.Header, r.ContentLength, string(body)))
			succeed(w, r)
		})), facade.WithBaseURL(base))
		raw := client.Raw()
		for _, id := range []string{"w", "a/b", "a b?c=d#e", "%2e%2E", "…", "a+b;c,d:@&="} {
			for _, call := range []struct{ facade, generated func() error }{
				{
					func() error { _, err := client.GetWebhook(t.Context(), id); return err },
					func() error { _, err := raw.GetWebhookWithResponse(t.Context(), id); return err },
				},
				{
					func() error { return client.DeleteWebhook(t.Context(), id) },
					func() error { _, err := raw.DeleteWebhookWithResponse(t.Context(), id); return err },
				},
				{
					func() error { _, err := client.CreateWebhook(t.Context(), validParams); return err },
					func() error {
						_, err := raw.CreateWebhookWithResponse(t.Context(), gen.WebhookCreation{URL: validParams.URL, Events: validParams.Events})
						return err
					},
				},
			} {
				requests = nil
				require.NoError(t, call.facade())
				require.NoError(t, call.generated())
				require.Len(t, requests, 2)
				assert.Equal(t, requests[1], requests[0])
			}
		}
	}
}

// A closedReader records whether the client closes the reader.
type closedReader struct {
	io.Reader
	closed bool
}

func (r *closedReader) Close() error {
	r.closed = true
	return nil
}

func TestRaw_body(t *testing.T) {
	t.Parallel()
	const body = `{"url":"https://hooks.example.com/apivideo","events":["video.source.recorded"]}`
	create := func(ctx context.Context, client *facade.Client, r io.Reader) error {
		_, err := client.Raw().CreateWebhookWithBodyWithResponse(ctx, "application/json", r)
		return err
	}
	server := newScript(tooMany(), tooMany(), succeed)
	reader := &closedReader{Reader: strings.NewReader(body)}
	require.NoError(t, create(t.Context(), newClient(t, server.ServeHTTP, fastRetries), reader))
	assert.Equal(t, []string{body, body, body}, server.bodies)
	assert.True(t, reader.closed)

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	reader = &closedReader{Reader: strings.NewReader(body)}
	require.ErrorIs(t, create(canceled, newClient(t, succeed), reader), context.Canceled)
	assert.True(t, reader.closed, "without a request")

	broken := errors.New("broken")
	reader = &closedReader{Reader: io.MultiReader(strings.NewReader(body), readerFunc(func([]byte) (int, error) { return 0, broken }))}
	require.ErrorIs(t, create(t.Context(), newClient(t, succeed), reader), broken)
	assert.True(t, reader.closed, "after an error")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestClient_lifecycle(t *testing.T) {
	t.Parallel()
	server, client := newFake(t, facadetest.WithUnknownEvents())
	params := facade.CreateWebhookParams{
		URL:    "https://hooks.example.com/a%20b?c=d&e=%2F#f",
		Events: append(facade.EventTypes(), "video.invented.tomorrow"),
	}
	created, err := client.CreateWebhook(t.Context(), params)
	require.NoError(t, err)
	assert.Equal(t, []facade.Webhook{*created}, server.Webhooks())
	assert.Equal(t, params.URL, created.URL)
	assert.Equal(t, params.Events, created.Events)
	assert.NotEmpty(t, created.ID)
	assert.False(t, created.CreatedAt.IsZero())
	assert.False(t, created.SignatureSecret.IsZero())

	got, err := client.GetWebhook(t.Context(), created.ID)
	require.NoError(t, err)
	assert.Equal(t, created, got)

	require.NoError(t, client.DeleteWebhook(t.Context(), created.ID))
	assert.Empty(t, server.Webhooks())
	_, err = client.GetWebhook(t.Context(), created.ID)
	require.ErrorIs(t, err, facade.ErrNotFound)
	require.ErrorIs(t, client.DeleteWebhook(t.Context(), created.ID), facade.ErrNotFound)
}
