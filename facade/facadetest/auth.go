package facadetest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

// tokenLifetime is the time until an access token expires.
const tokenLifetime = time.Hour

// credentials are the API key and its tokens. The keys of the maps are digests, so
// the time of a lookup is independent of a partial match.
type credentials struct {
	apiKey string
	now    func() time.Time

	mu      sync.Mutex
	expiry  map[digest]time.Time // of access tokens
	refresh map[digest]bool      // true until the token is used
}

type digest [sha256.Size]byte

func newDigest(token string) digest { return sha256.Sum256([]byte(token)) }

func newCredentials(apiKey string, now func() time.Time) *credentials {
	return &credentials{apiKey: apiKey, now: now, expiry: map[digest]time.Time{}, refresh: map[digest]bool{}}
}

// authenticate reports whether a request has valid credentials. The error is the
// response to a request with invalid credentials.
func (c *credentials) authenticate(r *http.Request) (gen.Error, bool) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return errMissingHeader, false
	}
	scheme, token, _ := strings.Cut(header, " ")
	if strings.EqualFold(scheme, "Bearer") {
		return errInvalidAccessToken, c.validToken(token)
	}
	user, password, _ := r.BasicAuth()
	return errInvalidAPIKey, c.validKey(user) && password == ""
}

func (c *credentials) validKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(key), []byte(c.apiKey)) == 1
}

func (c *credentials) validToken(token string) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	// The expiry of an unknown token is the zero time.
	return now.Before(c.expiry[newDigest(token)])
}

// issue returns a new pair of tokens. The caller holds the lock.
func (c *credentials) issue(now time.Time) gen.AccessToken {
	access, refresh := randomText(43), randomText(43)
	c.expiry[newDigest(access)] = now.Add(tokenLifetime)
	c.refresh[newDigest(refresh)] = true
	return gen.AccessToken{
		TokenType:    "Bearer",
		ExpiresIn:    int(tokenLifetime / time.Second),
		AccessToken:  access,
		RefreshToken: refresh,
	}
}

// CreateAccessToken exchanges the API key for a pair of tokens.
func (c *credentials) CreateAccessToken(_ context.Context, request gen.CreateAccessTokenRequestObject) (gen.CreateAccessTokenResponseObject, error) {
	if !c.validKey(request.Body.APIKey) {
		return gen.CreateAccessToken401JSONResponse{UnauthorizedJSONResponse: gen.UnauthorizedJSONResponse{Body: errInvalidAPIKey}}, nil
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return gen.CreateAccessToken200JSONResponse(c.issue(now)), nil
}

// RefreshAccessToken exchanges a refresh token for a pair of tokens, once.
func (c *credentials) RefreshAccessToken(_ context.Context, request gen.RefreshAccessTokenRequestObject) (gen.RefreshAccessTokenResponseObject, error) {
	old := newDigest(request.Body.RefreshToken)
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.refresh[old] {
		return gen.RefreshAccessToken401JSONResponse{UnauthorizedJSONResponse: gen.UnauthorizedJSONResponse{Body: errInvalidRefreshToken}}, nil
	}
	delete(c.refresh, old)
	return gen.RefreshAccessToken200JSONResponse(c.issue(now)), nil
}
