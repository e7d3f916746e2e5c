package facade_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

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
