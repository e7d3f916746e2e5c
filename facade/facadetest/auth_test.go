package facadetest_test

import (
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/gen"
)

const (
	badKeyTitle     = "The API key is invalid."
	badTokenTitle   = "The access token is invalid or expired."
	badRefreshTitle = "The refresh token is invalid."
)

func basic(userAndPassword string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userAndPassword))
}

// exchange returns a pair of tokens for the API key.
func exchange(c caller) gen.AccessToken {
	c.t.Helper()
	resp := c.do(http.MethodPost, "/auth/api-key", `{"apiKey":"`+c.server.APIKey+`"}`, "Authorization", "")
	require.Equal(c.t, http.StatusOK, resp.status, resp.body)
	return decode[gen.AccessToken](resp)
}

func refresh(c caller, token string) response {
	c.t.Helper()
	return c.do(http.MethodPost, "/auth/refresh", `{"refreshToken":"`+token+`"}`, "Authorization", "")
}

func TestServer_missingCredentials(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	for _, request := range []struct{ method, path, body string }{
		{http.MethodGet, "/webhooks", ""},
		{http.MethodPost, "/webhooks", someWebhook},
		{http.MethodGet, "/webhooks/webhook_1", ""},
		{http.MethodDelete, "/webhooks/webhook_1", ""},
	} {
		call.responsesOnly().do(request.method, request.path, request.body, "Authorization", "").assertError(http.StatusUnauthorized,
			"authentication-missing-authorization-header", `The "Authorization" header is missing.`, "")
	}
	assert.Empty(t, server.Webhooks())
}

func TestServer_invalidCredentials(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	const badKey, badToken = "authentication-invalid-api-key", "authentication-invalid-access-token"
	for _, test := range []struct{ header, slug, title string }{
		{basic("wrong:"), badKey, badKeyTitle},
		{basic(":"), badKey, badKeyTitle},
		{basic(server.APIKey), badKey, badKeyTitle},
		{basic(server.APIKey + ":password"), badKey, badKeyTitle},
		{basic(server.APIKey[1:] + ":"), badKey, badKeyTitle},
		{"Basic ?", badKey, badKeyTitle},
		{"Digest username=a", badKey, badKeyTitle},
		{server.APIKey, badKey, badKeyTitle},
		{"Bearer", badToken, badTokenTitle},
		{"Bearer wrong", badToken, badTokenTitle},
		{"Bearer " + server.APIKey, badToken, badTokenTitle},
	} {
		call.responsesOnly().do(http.MethodGet, "/webhooks", "", "Authorization", test.header).
			assertError(http.StatusUnauthorized, test.slug, test.title, "")
	}
}

func TestServer_credentialSchemeCase(t *testing.T) {
	t.Parallel()
	server, call := start(t)
	tokens := exchange(call)
	for _, header := range []string{"basic " + basic(server.APIKey + ":")[len("Basic "):], "bearer " + tokens.AccessToken} {
		assert.Equal(t, http.StatusOK, call.responsesOnly().do(http.MethodGet, "/webhooks", "", "Authorization", header).status)
	}
}

func TestToken_expiresAfterAnHour(t *testing.T) {
	t.Parallel()
	clock := newClock()
	_, call := start(t, facadetest.WithClock(clock.Now))
	tokens := exchange(call)
	assert.Equal(t, "Bearer", tokens.TokenType)
	assert.Equal(t, 3600, tokens.ExpiresIn)
	list := func() response {
		return call.do(http.MethodGet, "/webhooks", "", "Authorization", "Bearer "+tokens.AccessToken)
	}
	assert.Equal(t, http.StatusOK, refresh(call, tokens.RefreshToken).status)
	assert.Equal(t, http.StatusOK, list().status, "after the refresh")
	clock.add(time.Hour - time.Nanosecond)
	assert.Equal(t, http.StatusOK, list().status)
	clock.add(time.Nanosecond)
	list().assertError(http.StatusUnauthorized, "authentication-invalid-access-token", badTokenTitle, "")
}

func TestToken_refreshOnce(t *testing.T) {
	t.Parallel()
	clock := newClock()
	_, call := start(t, facadetest.WithClock(clock.Now))
	one := exchange(call)
	clock.add(24 * time.Hour)
	resp := refresh(call, one.RefreshToken)
	require.Equal(t, http.StatusOK, resp.status)
	two := decode[gen.AccessToken](resp)
	assert.NotEqual(t, one.AccessToken, two.AccessToken)
	assert.NotEqual(t, one.RefreshToken, two.RefreshToken)
	assert.Equal(t, http.StatusOK, call.do(http.MethodGet, "/webhooks", "", "Authorization", "Bearer "+two.AccessToken).status)
	for _, token := range []string{one.RefreshToken, two.AccessToken, "wrong"} {
		refresh(call, token).assertError(http.StatusUnauthorized, "authentication-invalid-refresh-token", badRefreshTitle, "")
	}
	assert.Equal(t, http.StatusOK, refresh(call, two.RefreshToken).status)
}

func TestToken_invalidKey(t *testing.T) {
	t.Parallel()
	_, call := start(t)
	resp := call.do(http.MethodPost, "/auth/api-key", `{"apiKey":"wrong"}`, "Authorization", "")
	resp.assertError(http.StatusUnauthorized, "authentication-invalid-api-key", badKeyTitle, "")
}
