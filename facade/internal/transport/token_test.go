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

// A fakeExchange counts the token requests of a TokenCache.
type fakeExchange struct {
	mu       sync.Mutex
	requests []string                      // the refresh tokens
	delay    time.Duration                 // of each request
	outcome  func(n int) (*Attempt, error) // of request n, from 1
}

func (f *fakeExchange) fetch(refresh string) (Token, *Attempt, error) {
	f.mu.Lock()
	f.requests = append(f.requests, refresh)
	n := len(f.requests)
	f.mu.Unlock()
	<-time.After(f.delay)
	if f.outcome != nil {
		if a, err := f.outcome(n); err != nil {
			return Token{}, a, err
		}
	}
	return Token{Access: fmt.Sprint("access", n), Refresh: fmt.Sprint("refresh", n), Life: time.Hour}, &Attempt{Status: http.StatusOK}, nil
}

func newCache(f *fakeExchange) *TokenCache {
	return &TokenCache{Fetch: f.fetch, CloneError: func(err error) error { return err }}
}

// requireCredential requires that the cache returns the credential at once.
func requireCredential(t *testing.T, want string, c *TokenCache) {
	t.Helper()
	start := time.Now()
	got, err := c.Credential(t.Context())
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Zero(t, time.Since(start))
}

func TestTokenCache_oneRequestForAllCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeExchange{delay: time.Second}
		c := newCache(f)
		for n, refresh := range []string{"", "refresh1"} {
			var group sync.WaitGroup
			for range 64 {
				group.Go(func() {
					got, err := c.Credential(t.Context())
					assert.NoError(t, err)
					assert.Equal(t, fmt.Sprint("Bearer access", n+1), got)
				})
			}
			group.Wait()
			require.Len(t, f.requests, n+1)
			assert.Equal(t, refresh, f.requests[n])
			<-time.After(2 * time.Hour) // the token expires
		}
	})
}

func TestTokenCache_renewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := new(fakeExchange)
		c := newCache(f)
		requireCredential(t, "Bearer access1", c)
		f.delay = time.Second
		<-time.After(59*time.Minute - time.Nanosecond)
		requireCredential(t, "Bearer access1", c)
		synctest.Wait()
		assert.Len(t, f.requests, 1, "more than a minute before the expiry")
		<-time.After(time.Nanosecond)
		requireCredential(t, "Bearer access1", c)
		<-time.After(time.Second)
		synctest.Wait()
		assert.Len(t, f.requests, 2, "in the background")
		requireCredential(t, "Bearer access2", c)
		assert.Len(t, f.requests, 2)
	})
}

func TestTokenCache_shortLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := &TokenCache{Fetch: func(string) (Token, *Attempt, error) {
			n++
			return Token{Access: fmt.Sprint("access", n), Life: 10 * time.Second}, new(Attempt), nil
		}}
		requireCredential(t, "Bearer access1", c)
		<-time.After(5*time.Second - 1)
		requireCredential(t, "Bearer access1", c)
		synctest.Wait()
		assert.Equal(t, 1, n, "in the first half of its life")
		<-time.After(1)
		requireCredential(t, "Bearer access1", c)
		synctest.Wait()
		requireCredential(t, "Bearer access2", c)
	})
}

func TestTokenCache_failedRenewal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		attempt Attempt
		pause   time.Duration
		refresh string // of the next request
	}{
		{"503", Attempt{Status: 503}, 10 * time.Second, ""},
		{"401", Attempt{Status: 401}, 10 * time.Second, ""},
		{"429 with 40 s", Attempt{Status: 429, RetryAfter: 40 * time.Second}, 40 * time.Second, "refresh1"},
		{"429 with 1 s", Attempt{Status: 429, RetryAfter: time.Second}, 10 * time.Second, "refresh1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakeExchange{outcome: func(n int) (*Attempt, error) {
					if n == 2 {
						return &test.attempt, errors.New("failed")
					}
					return nil, nil //nolint:nilnil // no failure
				}}
				c := newCache(f)
				requireCredential(t, "Bearer access1", c)
				<-time.After(59 * time.Minute)
				for range 10 {
					requireCredential(t, "Bearer access1", c)
					synctest.Wait()
				}
				assert.Equal(t, []string{"", "refresh1"}, f.requests)
				<-time.After(test.pause - 1)
				requireCredential(t, "Bearer access1", c)
				synctest.Wait()
				assert.Len(t, f.requests, 2, "during the pause")
				<-time.After(1)
				requireCredential(t, "Bearer access1", c)
				synctest.Wait()
				requireCredential(t, "Bearer access3", c)
				assert.Equal(t, []string{"", "refresh1", test.refresh}, f.requests)
			})
		})
	}
}

func TestTokenCache_error(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failure, last := errors.New("failed"), &Attempt{Status: http.StatusServiceUnavailable}
		f := &fakeExchange{outcome: func(int) (*Attempt, error) { return last, failure }}
		c := newCache(f)
		for n := range 3 {
			_, err := c.Credential(t.Context())
			var e *TokenError
			require.ErrorAs(t, err, &e)
			assert.Same(t, last, e.Attempt)
			require.ErrorIs(t, err, failure)
			require.EqualError(t, err, "failed")
			assert.Len(t, f.requests, n+1, "without a valid token each call requests one")
		}
	})
}

// A token request outlives the caller.
func TestTokenCache_contextOfACaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeExchange{delay: time.Minute}
		c := newCache(f)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("impatient"))
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() {
			_, err := c.Credential(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, "impatient")
		})
		synctest.Wait()
		group.Go(func() {
			got, err := c.Credential(t.Context())
			assert.NoError(t, err)
			assert.Equal(t, "Bearer access1", got)
		})
		group.Wait()
		assert.Len(t, f.requests, 1)
	})
}

func TestTokenCache_Reject(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := new(fakeExchange)
		c := newCache(f)
		requireCredential(t, "Bearer access1", c)
		assert.True(t, c.Reject("Bearer access1", false))
		requireCredential(t, "Bearer access2", c)
		assert.True(t, c.Reject("Bearer access1", false), "a late response")
		requireCredential(t, "Bearer access2", c)
		assert.False(t, c.Reject("Bearer access2", true))
		requireCredential(t, "Bearer access3", c)
		assert.Equal(t, []string{"", "refresh1", ""}, f.requests, "after the final rejection without the refresh token")
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
			n := 0
			c := &TokenCache{Fetch: func(string) (Token, *Attempt, error) {
				if n++; n == 1 {
					end()
				}
				return Token{Access: "access", Life: time.Hour}, new(Attempt), nil
			}, CloneError: func(err error) error { return err }}
			_, err := c.Credential(t.Context())
			require.EqualError(t, err, want)
			requireCredential(t, "Bearer access", c)
		})
	}
}
