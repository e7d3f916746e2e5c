package facade

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

const (
	// renewBefore is how long before its end an access token is renewed, and how
	// long the renewal may take before callers wait for it.
	renewBefore = time.Minute
	// tokenLife is taken for granted where the service doesn't say, and maxLife
	// is what is believed at most: a token that dies early is found by its 401.
	tokenLife = time.Hour
	maxLife   = 24 * time.Hour
	// renewPause is between two renewals in the background, should one fail.
	renewPause = 10 * time.Second
)

// WithTokenExchange authenticates with bearer tokens in place of Basic. The API
// key is then sent only to be exchanged for tokens, when the first request needs
// one; they are renewed a minute before they end, while requests go on with the
// old one. However many requests wait, there is one exchange at a time, and none
// ends with the context of a request. A request that is answered 401 drops its
// token and is sent once more with another.
//
// What a request waits for an exchange comes on top of the timeout of its own
// attempt: the exchange has that once for the refresh token, and once for the
// key if the refresh token doesn't serve.
//
// A failed exchange fails the request as an *Error whose Op is
// "CreateAccessToken" or "RefreshAccessToken"; the request itself was never sent.
func WithTokenExchange() Option {
	return func(c *config) error {
		c.tokens = true
		return nil
	}
}

// exchangeKey is for the context of an exchange: the credential in its body.
type exchangeKey struct{}

// isExchange tells requests that have a credential in their body. In the path of a
// webhook slashes are escaped.
func isExchange(u *url.URL) bool {
	path := u.EscapedPath()
	return strings.HasSuffix(path, "/auth/api-key") || strings.HasSuffix(path, "/auth/refresh")
}

// unsentError is why there was no token, so that the request did nothing.
type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

// tokenDoer authenticates requests with a token, which it gets and renews.
type tokenDoer struct {
	next   gen.HttpRequestDoer
	auth   *gen.Client // asks for tokens, past this doer
	base   *url.URL
	key    Secret
	logger *slog.Logger

	mu      sync.Mutex
	current tokenPair
	renewal *renewal // under way, or nil
}

type tokenPair struct {
	access, refresh string
	renew, end      time.Time
}

func (p tokenPair) live(now time.Time) bool { return p.access != "" && now.Before(p.end) }

// renewal is an exchange under way; token and err are set when done is closed.
type renewal struct {
	done  chan struct{}
	token string
	err   error
}

func newTokenDoer(next gen.HttpRequestDoer, apiKey string, cfg *config, identify gen.RequestEditorFn) (*tokenDoer, error) {
	auth, err := gen.NewClient(cfg.baseURL, gen.WithHTTPClient(&logDoer{next: next, logger: cfg.logger}), gen.WithRequestEditorFn(identify))
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(cfg.baseURL)
	return &tokenDoer{next: next, auth: auth, base: base, key: NewSecret(apiKey), logger: cfg.logger}, err
}

func (d *tokenDoer) Do(req *http.Request) (*http.Response, error) {
	if !sameOrigin(req.URL, d.base) || isExchange(req.URL) {
		return d.next.Do(req) // from the raw client, which may send what and where it likes
	}
	token, err := d.token(req.Context(), "")
	if err != nil {
		return nil, unsentError{err}
	}
	resp, err := d.send(req, token)
	if !isUnauthorized(resp) {
		return resp, err
	}
	t := triesOf(req.Context())
	if t.mended || req.Body != nil && req.GetBody == nil {
		d.drop(token)
		return resp, err
	}
	t.mended = true
	logRetry(d.logger, req, outcome{status: resp.StatusCode}, 0)
	_ = resp.Body.Close()
	fresh, err := d.token(req.Context(), token)
	if err != nil {
		return nil, unsentError{err}
	}
	if req.GetBody != nil {
		if req.Body, err = req.GetBody(); err != nil {
			return nil, unsentError{err}
		}
	}
	t.n++
	t.anew()
	resp, err = d.send(req, fresh)
	if isUnauthorized(resp) {
		d.drop(fresh)
	}
	return resp, err
}

func isUnauthorized(resp *http.Response) bool {
	return resp != nil && resp.StatusCode == http.StatusUnauthorized
}

// drop forgets a token that was refused though it was new, and what would renew
// it: the next one is got by the key.
func (d *tokenDoer) drop(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current.access == token {
		d.current = tokenPair{}
	}
}

func (d *tokenDoer) send(req *http.Request, token string) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, unsentError{err}
	}
	if triesOf(ctx).n > 1 {
		// After an early answer the transport may still be writing the header of the
		// attempt before.
		req = req.WithContext(ctx)
		req.Header = req.Header.Clone()
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return d.next.Do(req)
}

// token returns a token that isn't the rejected one, and waits for it if there
// is none that lives.
func (d *tokenDoer) token(ctx context.Context, rejected string) (string, error) {
	d.mu.Lock()
	if rejected != "" && d.current.access == rejected {
		d.current.access = ""
	}
	now, pair := time.Now(), d.current
	live := pair.live(now)
	if live && now.Before(pair.renew) {
		d.mu.Unlock()
		return pair.access, nil
	}
	if d.renewal == nil {
		d.renewal = &renewal{done: make(chan struct{})}
		go d.renew(d.renewal, pair.refresh) //nolint:contextcheck // it belongs to no request, others wait for it too
	}
	r := d.renewal
	d.mu.Unlock()
	if live {
		return pair.access, nil
	}
	select {
	case <-r.done:
		return r.token, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// renew gets a new pair by the refresh token, else by the key. It belongs to no
// request; the timeout of an attempt bounds each of the two.
func (d *tokenDoer) renew(r *renewal, refresh string) {
	var pair tokenPair
	err := errors.New("the token exchange didn't return")
	defer func() {
		if p := recover(); p != nil { // in the caller's transport, which is no reason to end the program
			err = fmt.Errorf("the token exchange ended in a panic with a %T", p)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if err == nil {
			d.current = pair
		} else {
			pause := renewPause
			var e *Error
			if errors.As(err, &e) {
				pause = max(pause, e.RetryAfter)
			}
			d.current.renew = time.Now().Add(pause)
			if !errors.Is(err, ErrTooManyRequests) {
				d.current.refresh = "" // the key serves as well
			}
		}
		r.token, r.err = pair.access, err
		d.renewal = nil
		close(r.done)
	}()
	pair, err = d.exchange(refresh)
}

// exchange gets a new pair by the refresh token, or by the key if there is none
// or it doesn't serve.
func (d *tokenDoer) exchange(refresh string) (tokenPair, error) {
	if refresh != "" {
		resp, err := d.auth.RefreshAccessToken(exchanging(refresh), gen.AccessTokenRefresh{RefreshToken: refresh})
		pair, err := pairOf("RefreshAccessToken", resp, err)
		if err == nil || errors.Is(err, ErrTooManyRequests) {
			return pair, err
		}
	}
	key := d.key.Reveal()
	resp, err := d.auth.CreateAccessToken(exchanging(key), gen.AccessTokenCreation{APIKey: key})
	return pairOf("CreateAccessToken", resp, err)
}

// exchanging returns the context of an exchange, which isn't that of any request.
func exchanging(credential string) context.Context {
	return context.WithValue(context.Background(), exchangeKey{}, credential)
}

// pairOf reads the answer to an exchange.
func pairOf(op string, resp *http.Response, err error) (tokenPair, error) {
	t := &tries{n: 1}
	type accessToken gen.AccessToken
	var model struct {
		accessToken
		ExpiresIn json.RawMessage `json:"expires_in"` // where an int would refuse a good token for its life
	}
	if err := call(op, http.StatusOK, &model, t, resp, err); err != nil {
		return tokenPair{}, err
	}
	switch {
	case !strings.EqualFold(model.TokenType, "Bearer"):
		return tokenPair{}, unusable(op, t, resp, "a token that is no bearer token")
	case !validKey(model.AccessToken):
		return tokenPair{}, unusable(op, t, resp, "an access token that can't be one")
	}
	life := tokenLife
	var seconds float64
	_ = json.Unmarshal(bytes.Trim(model.ExpiresIn, `"`), &seconds) // stays 0 if it is no number
	if seconds > 0 {
		life = time.Duration(min(seconds, maxLife.Seconds()) * float64(time.Second))
	}
	end := time.Now().Add(life)
	return tokenPair{access: model.AccessToken, refresh: model.RefreshToken, renew: end.Add(-min(renewBefore, life/2)), end: end}, nil
}
