package facadetest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

// tokenLifetime is how long an access token is good for.
const tokenLifetime = time.Hour

// tokens are kept by digest, so that finding one takes no longer the more of it
// was guessed.
type tokens struct {
	expiry  map[digest]time.Time // of access tokens
	refresh map[digest]bool      // true as long as the token isn't used up
}

type digest [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

// authenticate returns the error for a request without valid credentials.
func (s *service) authenticate(r *http.Request) (gen.Error, bool) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return errMissingHeader, false
	}
	scheme, token, _ := strings.Cut(header, " ")
	if strings.EqualFold(scheme, "Bearer") {
		return errInvalidAccessToken, s.validToken(token)
	}
	user, password, _ := r.BasicAuth()
	return errInvalidAPIKey, s.validKey(user) && password == ""
}

func (s *service) validKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(key), []byte(s.apiKey)) == 1
}

func (s *service) validToken(token string) bool {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	// A token that isn't known expired in the year 1.
	return now.Before(s.tokens.expiry[digestOf(token)])
}

// issue returns a new pair of tokens. The caller holds the lock.
func (s *service) issue(now time.Time) gen.AccessToken {
	access, refresh := randomText(43), randomText(43)
	s.tokens.expiry[digestOf(access)] = now.Add(tokenLifetime)
	s.tokens.refresh[digestOf(refresh)] = true
	return gen.AccessToken{
		TokenType:    "Bearer",
		ExpiresIn:    int(tokenLifetime / time.Second),
		AccessToken:  access,
		RefreshToken: refresh,
	}
}

// CreateAccessToken exchanges the API key for a pair of tokens.
func (s *service) CreateAccessToken(_ context.Context, request gen.CreateAccessTokenRequestObject) (gen.CreateAccessTokenResponseObject, error) {
	if !s.validKey(request.Body.APIKey) {
		return gen.CreateAccessToken401JSONResponse{UnauthorizedJSONResponse: gen.UnauthorizedJSONResponse{Body: errInvalidAPIKey}}, nil
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return gen.CreateAccessToken200JSONResponse(s.issue(now)), nil
}

// RefreshAccessToken exchanges a refresh token for a pair of tokens, once.
func (s *service) RefreshAccessToken(_ context.Context, request gen.RefreshAccessTokenRequestObject) (gen.RefreshAccessTokenResponseObject, error) {
	old := digestOf(request.Body.RefreshToken)
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.tokens.refresh[old] {
		return gen.RefreshAccessToken401JSONResponse{UnauthorizedJSONResponse: gen.UnauthorizedJSONResponse{Body: errInvalidRefreshToken}}, nil
	}
	delete(s.tokens.refresh, old)
	return gen.RefreshAccessToken200JSONResponse(s.issue(now)), nil
}
