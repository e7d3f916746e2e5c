package facade_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// A transport sends a request of its own over HTTP/2, with the context of the request.
func TestClient_transportSendsAnotherRequest(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound} {
		server := httptest.NewUnstartedServer(respond(status, "{}"))
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		transport := server.Client().Transport
		hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			other, err := http.NewRequestWithContext(r.Context(), http.MethodGet, server.URL+"/token", nil)
			if err != nil {
				return nil, err
			}
			resp, err := transport.RoundTrip(other)
			if err != nil {
				return nil, err
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			return transport.RoundTrip(r)
		})}
		client, err := facade.NewClient(testKey, withoutRetries, facade.WithBaseURL(server.URL), facade.WithHTTPClient(hc))
		require.NoError(t, err)
		_, err = client.CreateWebhook(t.Context(), validParams)
		assert.Equal(t, status, asError(t, err).StatusCode)
		require.NotErrorIs(t, err, facade.ErrUnconfirmed)
		err = client.DeleteWebhook(t.Context(), "w")
		require.Error(t, err)
		assert.Equal(t, status == http.StatusNotFound, errors.Is(err, facade.ErrNotFound))
	}
}
