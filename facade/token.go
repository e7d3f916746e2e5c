package facade

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/apivideo-community/webhooks-go/facade/internal/transport"
	"github.com/apivideo-community/webhooks-go/gen"
)

// The lifetime of a token is tokenLife by default, and at most maxTokenLife. An earlier
// expiry causes a 401.
const (
	tokenLife    = time.Hour
	maxTokenLife = 24 * time.Hour
)

// tokenExchange exchanges the API key for tokens.
type tokenExchange struct {
	server    string
	transport *transport.Client // without authentication and retries
	key       Secret
}

func newTokenCache(t *transport.Client, server string, key Secret) *transport.TokenCache {
	x := &tokenExchange{server: server, key: key, transport: &transport.Client{Sender: t.Sender, Logger: t.Logger}}
	return &transport.TokenCache{Fetch: x.fetch, CloneError: cloneError}
}

// fetch requests a token with the refresh token, or with the API key if the refresh
// token is empty or rejected.
func (x *tokenExchange) fetch(refresh string) (transport.Token, *transport.Attempt, error) {
	if refresh != "" {
		token, r, err := x.request("RefreshAccessToken", func() (*http.Request, error) {
			return gen.NewRefreshAccessTokenRequest(x.server, gen.AccessTokenRefresh{RefreshToken: refresh})
		})
		if err == nil || errors.Is(err, ErrTooManyRequests) {
			return token, r, err
		}
	}
	return x.request("CreateAccessToken", func() (*http.Request, error) {
		return gen.NewCreateAccessTokenRequest(x.server, gen.AccessTokenCreation{APIKey: x.key.Reveal()})
	})
}

func (x *tokenExchange) request(op string, build func() (*http.Request, error)) (transport.Token, *transport.Attempt, error) {
	type accessToken gen.AccessToken
	var model struct {
		accessToken
		ExpiresIn json.RawMessage `json:"expires_in"` // of any type
	}
	r, err := do(context.Background(), x.transport, op, &model, build)
	switch {
	case err != nil:
		return transport.Token{}, &r.Attempt, err
	case !strings.EqualFold(model.TokenType, "Bearer"):
		return transport.Token{}, &r.Attempt, invalidResponse(x.transport, op, r, "the token is not a bearer token")
	case !isToken(model.AccessToken):
		return transport.Token{}, &r.Attempt, invalidResponse(x.transport, op, r, "the access token is invalid")
	}
	x.transport.Redactor.AddTokens(model.AccessToken, model.RefreshToken)
	life := tokenLife
	var seconds float64
	_ = json.Unmarshal(bytes.Trim(model.ExpiresIn, `"`), &seconds) // 0 if there is no number
	if seconds > 0 {
		life = time.Duration(min(seconds, maxTokenLife.Seconds()) * float64(time.Second))
	}
	return transport.Token{Access: model.AccessToken, Refresh: model.RefreshToken, Life: life}, &r.Attempt, nil
}
