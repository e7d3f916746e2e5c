package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	renewBefore  = time.Minute      // before its expiry, a token is renewed
	renewBackoff = 10 * time.Second // after a failed renewal
)

// A Token is an access token and the refresh token that renews it.
type Token struct {
	Access, Refresh string
	Life            time.Duration
}

// A TokenCache is an Authenticator for bearer tokens. Tokens are renewed in the
// background before the expiry. At most one token request is in flight, independent
// of the contexts of callers.
type TokenCache struct {
	// Fetch requests a token, with the refresh token unless that is empty. The
	// Attempt is the last token request, also after an error.
	Fetch func(refresh string) (Token, *Attempt, error)
	// CloneError copies an error of Fetch for each caller in wait of the token.
	CloneError func(error) error

	mu         sync.Mutex
	credential string // empty if there is no token
	refresh    string
	expiry     time.Time
	renewAt    time.Time
	inFlight   *tokenFetch
}

// A tokenFetch is a token request in flight. All other fields are set before done is
// closed.
type tokenFetch struct {
	done       chan struct{}
	credential string
	attempt    *Attempt
	err        error
}

// Credential returns the cached token, or waits for a new one.
func (c *TokenCache) Credential(ctx context.Context) (string, error) {
	c.mu.Lock()
	now, credential := time.Now(), c.credential
	valid := credential != "" && now.Before(c.expiry)
	if valid && now.Before(c.renewAt) {
		c.mu.Unlock()
		return credential, nil
	}
	f := c.inFlight
	if f == nil {
		f = &tokenFetch{done: make(chan struct{})}
		c.inFlight = f
		go c.fetch(f, c.refresh)
	}
	c.mu.Unlock()
	if valid {
		return credential, nil
	}
	select {
	case <-f.done:
		if f.err != nil {
			return "", &TokenError{f.attempt, c.CloneError(f.err)}
		}
		return f.credential, contextError(ctx, nil)
	case <-ctx.Done():
		return "", contextError(ctx, nil)
	}
}

// Reject drops a token. If final is set, a new token was rejected too, and the
// refresh token is dropped as well.
func (c *TokenCache) Reject(credential string, final bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.credential == credential {
		c.credential = ""
		if final {
			c.refresh = ""
		}
	}
	return !final
}

// fetch requests a token and passes it to all waiting callers.
func (c *TokenCache) fetch(f *tokenFetch, refresh string) {
	var (
		token   Token
		attempt = new(Attempt)
		err     = errors.New("the token request did not return")
	)
	defer func() {
		if p := recover(); p != nil { // in the http.RoundTripper
			err = fmt.Errorf("the token request panicked with a %T", p)
			attempt = &Attempt{Err: err}
		}
		c.finish(f, token, attempt, err)
	}()
	token, attempt, err = c.Fetch(refresh)
}

// finish stores the outcome of a token request.
func (c *TokenCache) finish(f *tokenFetch, token Token, attempt *Attempt, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if err == nil {
		f.credential = "Bearer " + token.Access
		c.credential, c.refresh = f.credential, token.Refresh
		c.expiry = now.Add(token.Life)
		c.renewAt = c.expiry.Add(-min(renewBefore, token.Life/2))
	} else {
		f.attempt, f.err = attempt, err
		c.renewAt = now.Add(max(renewBackoff, attempt.RetryAfter))
		if attempt.Status != http.StatusTooManyRequests {
			c.refresh = "" // the next request uses the API key
		}
	}
	c.inFlight = nil
	close(f.done)
}
