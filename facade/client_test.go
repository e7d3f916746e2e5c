package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

func TestNewClient_key(t *testing.T) {
	t.Parallel()
	for _, valid := range []string{"k", "!\"#$%&'()*+,-./09;<=>?@AZ[\\]^_`az{|}~", strings.Repeat("k", 1024)} {
		server := newScript(succeed)
		client, err := facade.NewClient(valid, facade.WithHTTPClient(&http.Client{Transport: inMemory(server)}))
		require.NoError(t, err, valid)
		assert.Zero(t, server.requests(), "NewClient sends no request")
		require.NoError(t, getWebhook(t.Context(), client))
		user, password, ok := (&http.Request{Header: server.heads[0]}).BasicAuth()
		assert.True(t, ok, valid)
		assert.Equal(t, valid, user)
		assert.Empty(t, password, valid)
	}
	for _, invalid := range []string{
		"marked\n", " marked", "marked ", "marked\tkey", "marked:key", "markedé",
		"marked\u00a0", "marked\xff", "marked\x7f", "marked\x00",
	} {
		client, err := facade.NewClient(invalid)
		require.ErrorIs(t, err, facade.ErrInvalidArgument, "%q", invalid)
		require.ErrorContains(t, err, "the API key must be printable ASCII", "%q", invalid)
		assert.NotContains(t, err.Error(), "marked")
		assert.Nil(t, client, "%q", invalid)
	}
	_, err := facade.NewClient("")
	require.ErrorIs(t, err, facade.ErrInvalidArgument)
	require.ErrorContains(t, err, "the API key is empty")
}

// Each attempt sends the same request.
func TestClient_requests(t *testing.T) {
	t.Parallel()
	// The service ignores an origin of another form. A semantic version has all three
	// numbers and no leading zeros.
	const origin = `^webhooks-go:(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){2}$`
	for application, opt := range map[string]facade.Option{"": fastRetries, "app:1.2": facade.WithApplication("app", "1.2")} {
		for _, op := range allOperations {
			server := newScript(tooMany(), tooMany(), succeed)
			require.NoError(t, op.call(t.Context(), newClient(t, server.ServeHTTP, fastRetries, opt)), op.name)
			require.Equal(t, 3, server.requests(), op.name)
			origins := server.heads[0].Get("AV-Origin-Client")
			require.Regexp(t, origin, origins)
			want := http.Header{
				"Accept":           {"application/json"},
				"Authorization":    {basicKey},
				"Av-Origin-Client": {origins},
				"User-Agent":       {"apivideo-webhooks-go/" + strings.TrimPrefix(origins, "webhooks-go:")},
			}
			if application != "" {
				want.Set("AV-Origin-App", application)
			}
			body := ""
			if op.status == http.StatusCreated {
				want.Set("Content-Type", "application/json")
				body = `{"url":"https://hooks.example.com/apivideo","events":["video.encoding.quality.completed"]}`
				assert.JSONEq(t, body, server.bodies[0])
			}
			for i, h := range server.heads {
				assert.Equal(t, want, h, op.name)
				assert.Equal(t, server.bodies[0], server.bodies[i], op.name)
			}
			assert.Equal(t, body == "", server.bodies[0] == "", op.name)
		}
	}
	server := newScript(succeed)
	accept := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Accept", "text/plain")
		return nil
	}
	_, err := newClient(t, server.ServeHTTP).Raw().GetWebhookWithResponse(t.Context(), "w", accept)
	require.NoError(t, err)
	assert.Equal(t, "text/plain", server.heads[0].Get("Accept"), "a header of the caller")
}

// The URLs are those of the generated client.
func TestClient_escapesIDs(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"https://ws.api.video", "https://gateway.example/a%2Fb/"} {
		for _, id := range []string{"w", "a/b", "a b?c=d#e", "%2e%2E", "…", "a+b;c,d:@&="} {
			server := newScript(succeed)
			client := newClient(t, server.ServeHTTP, facade.WithBaseURL(base))
			_, err := client.GetWebhook(t.Context(), id)
			require.NoError(t, err)
			require.NoError(t, client.DeleteWebhook(t.Context(), id))
			_, err = client.Raw().GetWebhookWithResponse(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, slices.Repeat([]string{server.urls[2]}, 3), server.urls)
		}
	}
}

func TestRaw_body(t *testing.T) {
	t.Parallel()
	const body = `{"url":"https://hooks.example.com/apivideo","events":["video.source.recorded"]}`
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		ctx    context.Context
		reader io.Reader
		want   error
	}{
		"a success":        {t.Context(), strings.NewReader(body), nil},
		"a canceled call":  {canceled, strings.NewReader(body), context.Canceled},
		"a failing reader": {t.Context(), io.MultiReader(strings.NewReader(body), iotest.ErrReader(broken)), broken},
	} {
		server, isClosed := newScript(tooMany(), tooMany(), succeed), false
		reader := &countedBody{io.NopCloser(test.reader), func() { isClosed = true }}
		raw := newClient(t, server.ServeHTTP, fastRetries).Raw()
		_, err := raw.CreateWebhookWithBodyWithResponse(test.ctx, "application/json", reader)
		require.ErrorIs(t, err, test.want)
		assert.True(t, isClosed, name)
		if test.want == nil {
			assert.Equal(t, []string{body, body, body}, server.bodies)
		} else {
			assert.Zero(t, server.requests(), name)
		}
	}
}

// The credentials are for URLs below the base URL only. Other servers have other limits.
func TestRaw_otherServer(t *testing.T) {
	t.Parallel()
	for scheme, opt := range map[string]facade.Option{"Basic": withoutRetries, "Bearer": facade.WithTokenExchange()} {
		n, header := 0, ""
		service := &tokenService{handler: func(w http.ResponseWriter, r *http.Request) {
			n++
			header = strings.Fields(r.Header.Get("Authorization") + " none")[0]
			respondWith(200, webhookJSON(1), "X-RateLimit-Limit", strconv.Itoa(n), "X-RateLimit-Remaining", "0")(w, r)
		}}
		client := newClientWith(t, inMemory(service), facade.WithBaseURL("https://gateway.example/a"), opt)
		require.NoError(t, getWebhook(t.Context(), client))
		low, ok := client.Raw().ClientInterface.(*gen.Client)
		require.True(t, ok)
		for _, server := range []string{
			"http://gateway.example/a/", "https://other.example/a/", "https://gateway.example.other.example/a/",
			"https://gateway.example/b/", "https://gateway.example/ab/", "https://gateway.example/",
		} {
			low.Server = server
			_, err := low.GetWebhook(t.Context(), "w")
			require.NoError(t, err)
			assert.Equal(t, "none", header, server)
		}
		elsewhere := func(_ context.Context, r *http.Request) error {
			r.URL.Host = "elsewhere.example"
			return nil
		}
		_, err := client.Raw().GetWebhookWithResponse(t.Context(), "w", elsewhere)
		require.NoError(t, err)
		assert.Equal(t, "none", header)
		limit, _ := client.RateLimit()
		assert.Equal(t, 1, limit.Limit)
		for _, op := range []operation{operations[1], rawOperations[1]} {
			require.NoError(t, op.call(t.Context(), client))
			assert.Equal(t, scheme, header)
			limit, _ = client.RateLimit()
			assert.Equal(t, n, limit.Limit)
		}
	}
}

// A transport may delete or mask the headers of a request in place, as go-vcr does.
// Concurrent calls share no header.
func TestClient_transportChangesHeaders(t *testing.T) {
	t.Parallel()
	for _, opt := range []facade.Option{fastRetries, facade.WithTokenExchange()} {
		var requests atomic.Int64
		service := &tokenService{handler: func(w http.ResponseWriter, r *http.Request) {
			if id := path.Base(r.URL.Path); r.Method == http.MethodGet && id != "webhooks" {
				respond(http.StatusOK, `{"webhookId":"`+id+`"}`)(w, r)
				return
			}
			succeed(w, r)
		}}
		transport := inMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.NotContains(t, fmt.Sprint(r.Header), "masked")
			assert.Equal(t, isTokenRequest(r), r.Header.Get("Authorization") == "")
			w.Header().Set("X-RateLimit-Limit", "1")
			w.Header().Set("X-RateLimit-Remaining", "1")
			if r.Method == http.MethodGet && requests.Add(1)%2 == 1 {
				respond(http.StatusServiceUnavailable, `{"title":"`+testKey+`"}`)(w, r)
				return
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
		}), fastRetries, opt)
		var group sync.WaitGroup
		for n := range 8 {
			group.Go(func() {
				id := fmt.Sprint("webhook", n)
				if wh, err := client.GetWebhook(t.Context(), id); err == nil || !assert.ErrorIs(t, err, facade.ErrServer) {
					assert.Equal(t, id, wh.ID)
				}
				for _, op := range distinctOperations {
					if err := op.call(t.Context(), client); err != nil { // four times 503
						assert.ErrorIs(t, err, facade.ErrServer)
						assert.NotContains(t, err.Error(), testKey)
					}
				}
				limit, _ := client.RateLimit()
				assert.Equal(t, 1, limit.Limit)
			})
		}
		group.Wait()
	}
}

// A program may replace http.DefaultTransport at any time.
func TestClient_defaultTransport(t *testing.T) { //nolint:paralleltest // http.DefaultTransport is global
	replaced := http.DefaultTransport
	defer func() { http.DefaultTransport = replaced }()
	client := newDirectClient(t, nil)
	server := newScript(succeed)
	http.DefaultTransport = inMemory(server)
	require.NoError(t, getWebhook(t.Context(), client))
	assert.Equal(t, 1, server.requests())
}
