package transport //nolint:testpackage // with the other tests of the package

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A fakeExchange responds to token request n with the token "access<n>".
type fakeExchange struct {
	requests []string      // the refresh tokens
	delay    time.Duration // of each request
	life     time.Duration
	fail     func(n int) (*Attempt, error) // returns an error if request n, from 1, fails
}

// newCache returns a cache whose tokens come from f and live for an hour.
func newCache(f *fakeExchange) *TokenCache {
	f.life = time.Hour
	fetch := func(refresh string) (Token, *Attempt, error) {
		f.requests = append(f.requests, refresh)
		n := len(f.requests)
		<-time.After(f.delay)
		if f.fail != nil {
			if a, err := f.fail(n); err != nil {
				return Token{}, a, err
			}
		}
		token := Token{Access: fmt.Sprint("access", n), Refresh: fmt.Sprint("refresh", n), Life: f.life}
		return token, &Attempt{Status: http.StatusOK}, nil
	}
	return &TokenCache{Fetch: fetch, CloneError: func(err error) error { return err }}
}

// requireToken requires that the cache returns the token "access<n>" at once, and waits
// for the end of a renewal.
func requireToken(t *testing.T, n int, c *TokenCache) {
	t.Helper()
	start := time.Now()
	got, err := c.Credential(t.Context())
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprint("Bearer access", n), got)
	assert.Zero(t, time.Since(start))
	synctest.Wait()
}

// A token request outlives its caller.
func TestTokenCache_oneRequestForAllCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeExchange{delay: time.Minute}
		c := newCache(f)
		for n, refresh := range []string{"", "refresh1"} {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("impatient"))
			var group sync.WaitGroup
			group.Go(func() {
				_, err := c.Credential(ctx)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.ErrorContains(t, err, "impatient")
			})
			synctest.Wait()
			for range 64 {
				group.Go(func() {
					got, err := c.Credential(t.Context())
					assert.NoError(t, err)
					assert.Equal(t, fmt.Sprint("Bearer access", n+1), got)
				})
			}
			group.Wait()
			cancel()
			require.Len(t, f.requests, n+1)
			assert.Equal(t, refresh, f.requests[n])
			<-time.After(2 * time.Hour) // the token expires
		}
	})
}

// A token is renewed in the background, while callers get the old token. After a failure
// there is a pause.
func TestTokenCache_renewal(t *testing.T) {
	t.Parallel()
	const hour, renewal = time.Hour, 59 * time.Minute
	limited := func(d time.Duration) *Attempt { return &Attempt{Status: 429, RetryAfter: d} }
	for _, test := range []struct {
		name          string
		life, renewAt time.Duration
		failure       *Attempt // of the first renewal
		pause         time.Duration
		requests      []string
	}{
		{"an hour", hour, renewal, nil, 0, []string{"", "refresh1"}},
		{"ten seconds", 10 * time.Second, 5 * time.Second, nil, 0, []string{"", "refresh1"}},
		{"503", hour, renewal, &Attempt{Status: 503}, 10 * time.Second, []string{"", "refresh1", ""}},
		{"401", hour, renewal, &Attempt{Status: 401}, 10 * time.Second, []string{"", "refresh1", ""}},
		{"429 with 40 s", hour, renewal, limited(40 * time.Second), 40 * time.Second, []string{"", "refresh1", "refresh1"}},
		{"429 with 1 s", hour, renewal, limited(time.Second), 10 * time.Second, []string{"", "refresh1", "refresh1"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeExchange{fail: func(n int) (*Attempt, error) {
				if n == 2 && test.failure != nil {
					return test.failure, errors.New("failed")
				}
				return nil, nil //nolint:nilnil // no failure
			}}
			c := newCache(f)
			f.life = test.life
			requireToken(t, 1, c)
			<-time.After(test.renewAt - 1)
			requireToken(t, 1, c)
			assert.Len(t, f.requests, 1, "%s, too early", test.name)
			<-time.After(1)
			requireToken(t, 1, c)
			if test.failure != nil {
				<-time.After(test.pause - 1)
				requireToken(t, 1, c)
				assert.Len(t, f.requests, 2, "%s, during the pause", test.name)
				<-time.After(1)
				requireToken(t, 1, c)
			}
			requireToken(t, len(test.requests), c)
			assert.Equal(t, test.requests, f.requests, test.name)
		})
	}
}

// Without a valid token each call requests one.
func TestTokenCache_error(t *testing.T) {
	t.Parallel()
	failure, last := errors.New("failed"), &Attempt{Status: http.StatusServiceUnavailable}
	f := &fakeExchange{fail: func(int) (*Attempt, error) { return last, failure }}
	c := newCache(f)
	for n := range 3 {
		_, err := c.Credential(t.Context())
		assert.Equal(t, &TokenError{last, failure}, err)
		require.EqualError(t, err, "failed")
		require.ErrorIs(t, err, failure)
		assert.Len(t, f.requests, n+1)
	}
}

func TestTokenCache_Reject(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := new(fakeExchange)
		c := newCache(f)
		requireToken(t, 1, c)
		assert.True(t, c.Reject("Bearer access1", false))
		requireToken(t, 2, c)
		assert.True(t, c.Reject("Bearer access1", false), "a late response")
		requireToken(t, 2, c)
		assert.False(t, c.Reject("Bearer access2", true))
		requireToken(t, 3, c)
		want := []string{"", "refresh1", ""} // after the final rejection without the refresh token
		assert.Equal(t, want, f.requests)

		f.delay = time.Second
		<-time.After(59 * time.Minute)
		requireToken(t, 3, c) // begins a renewal
		c.Reject("Bearer access3", false)
		got, err := c.Credential(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "Bearer access4", got, "of the renewal")
		assert.Len(t, f.requests, 4)
	})
}

// The http.RoundTripper of the caller runs in the goroutine of the token request.
func TestTokenCache_panic(t *testing.T) {
	t.Parallel()
	for want, end := range map[string]func(){
		"the token request panicked with a string": func() { panic("secret") },
		"the token request did not return":         runtime.Goexit,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(&fakeExchange{fail: func(n int) (*Attempt, error) {
				if n == 1 {
					end()
				}
				return nil, nil //nolint:nilnil // no failure
			}})
			_, err := c.Credential(t.Context())
			require.EqualError(t, err, want)
			requireToken(t, 2, c)
		})
	}
}
