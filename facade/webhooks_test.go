package facade_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func TestWebhookLife(t *testing.T) {
	t.Parallel()
	server, client := newFake(t, facadetest.WithUnknownEvents())
	params := facade.CreateWebhookParams{
		URL: "https://hooks.example.com/a%20b?c=d&e=%2F#f",
		Events: []facade.EventType{
			facade.EventLiveStreamBroadcastStarted,
			facade.EventLiveStreamBroadcastEnded,
			facade.EventVideoSourceRecorded,
			facade.EventVideoEncodingQualityCompleted,
			facade.EventVideoCaptionGenerated,
			facade.EventVideoSummaryGenerated,
			"video.invented.tomorrow",
		},
	}
	created, err := client.CreateWebhook(t.Context(), params)
	require.NoError(t, err)
	assert.Equal(t, []facade.Webhook{*created}, server.Webhooks(), "all that the server holds comes back")
	assert.Equal(t, params.URL, created.URL, "byte for byte")
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

func TestCreateWebhookAtTheLimit(t *testing.T) {
	t.Parallel()
	_, client := newFake(t, facadetest.WithWebhookLimit(1))
	_, err := client.CreateWebhook(t.Context(), validParams)
	require.NoError(t, err)
	_, err = client.CreateWebhook(t.Context(), validParams)
	require.ErrorIs(t, err, facade.ErrWebhookLimitReached)
	require.ErrorIs(t, err, facade.ErrBadRequest)
	require.NotErrorIs(t, err, facade.ErrUnconfirmed)
}

func TestIDsStayInTheirSegment(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", ".", ".."} {
		t.Run("refused: "+id, func(t *testing.T) {
			t.Parallel()
			server, client := newFake(t)
			_, err := client.GetWebhook(t.Context(), id)
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			require.ErrorIs(t, client.DeleteWebhook(t.Context(), id), facade.ErrInvalidArgument)
			assert.Empty(t, server.Requests())
		})
	}
	for _, id := range []string{
		"...", "../x", "/", "a/b", "/..", "a/../b", `\..`, "?", "a?b=c", "#", "%", "%2e%2e", "%2F", ";", "a b", "+", "&", ":", "é", "\x00", "\n", "\xff", "a\tb",
	} {
		t.Run("escaped: "+id, func(t *testing.T) {
			t.Parallel()
			server, client := newFake(t)
			require.ErrorIs(t, client.DeleteWebhook(t.Context(), id), facade.ErrNotFound)
			_, err := client.GetWebhook(t.Context(), id)
			require.ErrorIs(t, err, facade.ErrNotFound)
			for _, r := range server.Requests() {
				assert.True(t, strings.HasPrefix(r.Path, "/webhooks/"), r.Path)
				assert.Equal(t, 2, strings.Count(r.Path, "/"), r.Path)
				assert.Empty(t, r.Query)
			}
			assert.Len(t, server.Requests(), 2)
		})
	}
}

// Whether a create that failed may have been carried out.
func TestCreateWebhookUnconfirmed(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc { return answer(code, `{"title":"No."}`) }
	tests := []struct {
		name        string
		handler     http.HandlerFunc
		unconfirmed bool
	}{
		{"400: the service refused it", status(400), false},
		{"401: the service refused it", status(401), false},
		{"403: the service refused it", status(403), false},
		{"404: it reached something else", status(404), false},
		{"408: the service may have begun", status(408), true},
		{"409: the service refused it", status(409), false},
		{"413: the service refused it", status(413), false},
		{"429: the service refused it", status(429), false},
		{"499: the last one that refuses", status(499), false},
		{"500: the service may have done it", status(500), true},
		{"502: the answer was lost on the way", status(502), true},
		{"503: the answer was lost on the way", status(503), true},
		{"504: the answer was lost on the way", status(504), true},
		{"599: the last one", status(599), true},
		{"200 without a webhook", status(200), true},
		{"302", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, true},
		{"reset after the request was read", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := newClient(t, test.handler).CreateWebhook(t.Context(), validParams)
			require.Error(t, err)
			assert.Equal(t, test.unconfirmed, errors.Is(err, facade.ErrUnconfirmed), err)
			assert.Equal(t, "CreateWebhook", asError(t, err).Op)
		})
	}
	t.Run("connection refused: nothing was written", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		client, err := facade.NewClient(testKey, once, facade.WithBaseURL(server.URL))
		require.NoError(t, err)
		_, err = client.CreateWebhook(t.Context(), validParams)
		var refused *net.OpError
		require.ErrorAs(t, err, &refused)
		require.NotErrorIs(t, err, facade.ErrUnconfirmed)
	})
	t.Run("a transport that tries again by itself: the first time it was written", func(t *testing.T) {
		t.Parallel()
		server := facadetest.NewServer()
		t.Cleanup(server.Close)
		server.Inject(facadetest.Fault{Process: true, Reset: facadetest.ResetAfterRead})
		transport, tries := newTransport(t), 0
		again := roundTripper(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			r = r.Clone(r.Context())
			r.Body = io.NopCloser(bytes.NewReader(body))
			tries++
			resp, err := transport.RoundTrip(r)
			if err == nil {
				return resp, nil
			}
			r = r.Clone(r.Context())
			r.URL.Host = "127.0.0.1:1" // refuses connections
			r.Body = io.NopCloser(bytes.NewReader(body))
			tries++
			return transport.RoundTrip(r)
		})
		_, err := server.Client(facade.WithHTTPClient(&http.Client{Transport: again})).CreateWebhook(t.Context(), validParams)
		require.ErrorIs(t, err, facade.ErrUnconfirmed)
		assert.Len(t, server.Webhooks(), 1, "and indeed it was created")
		assert.Equal(t, 2, tries)
	})
	t.Run("TLS refused: nothing was written", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = discardLog
		server.StartTLS()
		t.Cleanup(server.Close)
		client, err := facade.NewClient(testKey, once, facade.WithBaseURL(server.URL)) // doesn't trust its certificate
		require.NoError(t, err)
		_, err = client.CreateWebhook(t.Context(), validParams)
		require.ErrorContains(t, err, "certificate")
		require.NotErrorIs(t, err, facade.ErrUnconfirmed)
	})
	for name, read := range map[string]bool{"a transport that has read the body": true, "a transport that has not read the body": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lost := errors.New("lost")
			hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if read {
					_, _ = r.Body.Read(make([]byte, 1))
				}
				return nil, lost
			})}
			client, err := facade.NewClient(testKey, once, facade.WithHTTPClient(hc))
			require.NoError(t, err)
			_, err = client.CreateWebhook(t.Context(), validParams)
			require.ErrorIs(t, err, lost)
			assert.Equal(t, read, errors.Is(err, facade.ErrUnconfirmed))
		})
	}
}
