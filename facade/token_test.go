package facade_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

// A tokenService is a service with token requests. The token requests and the
// credentials of all other requests are recorded.
type tokenService struct {
	mu          sync.Mutex
	exchanges   []string // "key" or "refresh", and the body
	credentials []string // Authorization headers of the other requests
	delay       time.Duration
	expiresIn   string                                // as JSON; empty means 3600
	exchange    func(n int) (status int, body string) // replaces the response unless status is 0
	reject      func(credential string) bool
}

func isTokenRequest(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/auth/") }

func (s *tokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !isTokenRequest(r) {
		credential := r.Header.Get("Authorization")
		s.credentials = append(s.credentials, credential)
		if s.reject != nil && s.reject(credential) {
			respond(http.StatusUnauthorized, `{"title":"The access token is invalid or expired."}`)(w, r)
			return
		}
		succeed(w, r)
		return
	}
	kind := map[string]string{"/auth/api-key": "key", "/auth/refresh": "refresh"}[r.URL.Path]
	s.exchanges = append(s.exchanges, kind+" "+string(body))
	n := len(s.exchanges)
	if s.delay > 0 {
		<-time.After(s.delay)
	}
	if s.exchange != nil {
		if status, body := s.exchange(n); status != 0 {
			respond(status, body)(w, r)
			return
		}
	}
	expiresIn := s.expiresIn
	if expiresIn == "" {
		expiresIn = "3600"
	}
	respond(http.StatusOK, fmt.Sprintf(`{"token_type":"Bearer","expires_in":%s,"access_token":"access%d","refresh_token":"refresh%d"}`, expiresIn, n, n))(w, r)
}

func (s *tokenService) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.exchanges)
}

// rejectFirst rejects the first token.
func rejectFirst(credential string) bool { return credential == "Bearer access1" }

const keyExchange = `key {"apiKey":"` + testKey + `"}`

func TestWithTokenExchange(t *testing.T) {
	t.Parallel()
	server, _ := newFake(t)
	transport := facade.WithHTTPClient(&http.Client{Transport: contract.Transport(t, inMemory(server))})
	client, err := facade.NewClient(server.APIKey, facade.WithBaseURL(server.URL), facade.WithTokenExchange(), transport)
	require.NoError(t, err)
	wh, err := client.CreateWebhook(t.Context(), validParams)
	require.NoError(t, err)
	require.NoError(t, client.DeleteWebhook(t.Context(), wh.ID))
	requests := server.Requests()
	require.Len(t, requests, 3)
	assert.Equal(t, "/auth/api-key", requests[0].Path)
	assert.Empty(t, requests[0].Header.Get("Authorization"))
	for _, r := range requests[1:] {
		assert.True(t, strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "))
	}
	client, err = facade.NewClient(testKey, facade.WithBaseURL(server.URL), facade.WithTokenExchange(), transport)
	require.NoError(t, err)
	err = createWebhook(t.Context(), client)
	require.ErrorIs(t, err, facade.ErrUnauthorized)
	require.NotErrorIs(t, err, facade.ErrUnconfirmed)
	assert.Equal(t, "CreateAccessToken", asError(t, err).Op)
}

func TestWithTokenExchange_expiresIn(t *testing.T) {
	t.Parallel()
	for expiresIn, life := range map[string]time.Duration{
		"1800":                 30 * time.Minute,
		"1800.5":               30 * time.Minute,
		"1.8e3":                30 * time.Minute,
		`"1800"`:               30 * time.Minute,
		"10":                   10 * time.Second,
		"9223372036854775807":  24 * time.Hour,
		"99999999999999999999": 24 * time.Hour,
		"null":                 time.Hour,
		"0":                    time.Hour,
		"-5":                   time.Hour,
		"1e999":                time.Hour,
		`"Infinity"`:           time.Hour,
		`"NaN"`:                time.Hour,
		`"0x10"`:               time.Hour,
		`"1800s"`:              time.Hour,
		`""`:                   time.Hour,
		"true":                 time.Hour,
		`{"seconds":1800}`:     time.Hour,
		"[1800]":               time.Hour,
	} {
		synctest.Test(t, func(t *testing.T) {
			service := &tokenService{expiresIn: expiresIn}
			client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
			require.NoError(t, getWebhook(t.Context(), client))
			<-time.After(life/2 - min(time.Minute, life/4))
			require.NoError(t, getWebhook(t.Context(), client))
			synctest.Wait()
			assert.Equal(t, 1, service.count(), expiresIn)
			<-time.After(life)
			require.NoError(t, getWebhook(t.Context(), client))
			assert.Equal(t, 2, service.count(), expiresIn)
			assert.Equal(t, "Bearer access2", service.credentials[2], expiresIn)
		})
	}
}

func TestWithTokenExchange_response(t *testing.T) {
	t.Parallel()
	token := func(tokenType, access string) string {
		return fmt.Sprintf(`{"token_type":%q,"expires_in":3600,"access_token":%q}`, tokenType, access)
	}
	tests := []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"type in lower case", 200, token("bearer", "a"), nil},
		{"type in upper case", 200, token("BEARER", "a"), nil},
		{"201", 201, token("Bearer", "a"), nil},
		{"another type", 200, token("mac", "a"), facade.ErrUnexpectedResponse},
		{"no type", 200, token("", "a"), facade.ErrUnexpectedResponse},
		{"no token", 200, token("Bearer", ""), facade.ErrUnexpectedResponse},
		{"token with a line end", 200, token("Bearer", "a\r\nX: y"), facade.ErrUnexpectedResponse},
		{"HTML", 200, `<html>`, facade.ErrUnexpectedResponse},
		{"empty", 200, ``, facade.ErrUnexpectedResponse},
		{"null", 200, `null`, facade.ErrUnexpectedResponse},
		{"307", 307, ``, facade.ErrUnexpectedResponse},
		{"400", 400, `{"title":"No."}`, facade.ErrBadRequest},
		{"401", 401, `{"title":"No."}`, facade.ErrUnauthorized},
		{"429", 429, `{"title":"No."}`, facade.ErrTooManyRequests},
		{"500", 500, ``, facade.ErrServer},
		{"closed connection", 0, ``, io.EOF},
	}
	for _, test := range tests {
		for _, op := range distinctOperations {
			service := &tokenService{exchange: func(int) (int, string) {
				if test.status == 0 {
					panic(http.ErrAbortHandler)
				}
				return test.status, test.body
			}}
			err := op.call(t.Context(), newClient(t, service.ServeHTTP, facade.WithTokenExchange(), fastRetries))
			exchanges := 1
			if test.status == 429 || test.status == 500 || test.status == 0 {
				exchanges = 4
			}
			assert.Equal(t, exchanges, service.count(), test.name)
			if test.want == nil {
				require.NoError(t, err, test.name)
				continue
			}
			require.ErrorIs(t, err, test.want, test.name)
			require.NotErrorIs(t, err, facade.ErrUnconfirmed, test.name)
			assert.Equal(t, "CreateAccessToken", asError(t, err).Op, test.name)
			assert.Equal(t, exchanges, asError(t, err).Attempts, test.name)
			assert.Empty(t, service.credentials, test.name)
		}
	}
}

func TestWithTokenExchange_401(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations {
		service := &tokenService{reject: rejectFirst}
		require.NoError(t, op.call(t.Context(), newClient(t, service.ServeHTTP, facade.WithTokenExchange())), op.name)
		assert.Equal(t, []string{"Bearer access1", "Bearer access2"}, service.credentials, op.name)
		assert.Equal(t, []string{keyExchange, `refresh {"refreshToken":"refresh1"}`}, service.exchanges, op.name)
	}
	for _, op := range operations {
		service := &tokenService{reject: func(string) bool { return true }}
		err := op.call(t.Context(), newClient(t, service.ServeHTTP, facade.WithTokenExchange()))
		require.ErrorIs(t, err, facade.ErrUnauthorized, op.name)
		require.NotErrorIs(t, err, facade.ErrUnconfirmed, op.name)
		assert.Equal(t, op.op, asError(t, err).Op)
		assert.Equal(t, 2, asError(t, err).Attempts, op.name)
		assert.Len(t, service.credentials, 2, op.name)
	}
}

// The retry policy does not count the attempt with a rejected token. A call gets one new
// token.
func TestWithTokenExchange_401AndRetries(t *testing.T) {
	t.Parallel()
	reject := respond(http.StatusUnauthorized, strings.Repeat(" ", 65<<10)) // above the limit of a body
	for _, test := range []struct {
		handlers []http.HandlerFunc
		attempts int
		want     error
	}{
		{[]http.HandlerFunc{reject, tooMany(retryAfter, "0"), succeed}, 3, nil},
		{[]http.HandlerFunc{reject, tooMany(retryAfter, "0"), reject}, 3, facade.ErrUnauthorized},
		{[]http.HandlerFunc{tooMany(retryAfter, "0"), reject, tooMany(retryAfter, "0")}, 3, facade.ErrTooManyRequests},
	} {
		synctest.Test(t, func(t *testing.T) {
			service, server := new(tokenService), newScript(test.handlers...)
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				if isTokenRequest(r) {
					service.ServeHTTP(w, r)
					return
				}
				server.ServeHTTP(w, r)
			}, facade.WithTokenExchange(), facade.WithRetry(facade.RetryPolicy{MaxAttempts: 2}))
			err := createWebhook(t.Context(), client)
			assert.Equal(t, test.attempts, server.requests())
			assert.Equal(t, 2, service.count())
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, test.want)
			assert.Equal(t, test.attempts, asError(t, err).Attempts)
		})
	}
}

func TestWithTokenExchange_429(t *testing.T) {
	t.Parallel()
	for _, busy := range []string{"/auth/api-key", "/auth/refresh"} {
		synctest.Test(t, func(t *testing.T) {
			isBusy := true
			service := &tokenService{reject: rejectFirst}
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				if isBusy && r.URL.Path == busy {
					isBusy = false
					tooMany(retryAfter, "30")(w, r)
					return
				}
				service.ServeHTTP(w, r)
			}, facade.WithTokenExchange(), defaultRetries)
			start := time.Now()
			require.NoError(t, createWebhook(t.Context(), client))
			assert.InDelta(t, 31.5*float64(time.Second), time.Since(start), 1.6*float64(time.Second))
			assert.Equal(t, []string{keyExchange, `refresh {"refreshToken":"refresh1"}`}, service.exchanges, "the refresh token is kept")
		})
	}
}

func TestWithTokenExchange_concurrent401(t *testing.T) {
	t.Parallel()
	for name, renewal := range map[string]bool{"without a renewal": false, "during a renewal": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const callers = 64
				var isExpired atomic.Bool
				service := &tokenService{reject: func(credential string) bool { return isExpired.Load() && rejectFirst(credential) }}
				client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/auth/refresh" {
						<-time.After(2 * time.Second)
					}
					<-time.After(time.Second)
					service.ServeHTTP(w, r)
				}, facade.WithTokenExchange())
				require.NoError(t, getWebhook(t.Context(), client))
				if renewal {
					<-time.After(time.Hour - 30*time.Second)
				}
				isExpired.Store(true)
				start := time.Now()
				var group sync.WaitGroup
				for range callers {
					group.Go(func() { assert.NoError(t, getWebhook(t.Context(), client)) })
				}
				group.Wait()
				want := 5 * time.Second // the 401, the token request and the second attempt
				if renewal {
					want -= time.Second // the token request began with the first attempt
				}
				assert.Equal(t, want, time.Since(start))
				assert.Equal(t, 2, service.count())
				sent := make(map[string]int)
				for _, credential := range service.credentials {
					sent[credential]++
				}
				assert.Equal(t, map[string]int{"Bearer access1": 1 + callers, "Bearer access2": callers}, sent)
			})
		})
	}
}

// All calls that wait for a token fail with the same token request, also calls of the
// generated client.
func TestWithTokenExchange_errorsAreNotShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{delay: time.Second, exchange: func(int) (int, string) {
			return http.StatusBadRequest, `{"title":"No.","problems":[{"name":"apiKey","title":"Bad."}]}`
		}}
		client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				call := func() error { return getWebhook(t.Context(), client) }
				if i%2 == 1 {
					call = func() error {
						_, err := client.Raw().GetWebhookWithResponse(t.Context(), "w")
						return err
					}
				}
				e := asError(t, call())
				assert.Equal(t, "apiKey", e.Problems[0].Name)
				assert.Empty(t, e.Header.Get("X-Changed"))
				e.Header.Set("X-Changed", "1")
				e.Problems[0].Name = "changed"
				e.Body[0] = 'x'
			})
		}
		group.Wait()
		assert.Equal(t, 1, service.count())
	})
}

// A token request of the generated client has no Authorization header. A 401 does not
// reject the token of the client.
func TestRaw_tokenRequest(t *testing.T) {
	t.Parallel()
	service := &tokenService{exchange: func(n int) (int, string) {
		if n == 2 {
			return http.StatusUnauthorized, `{}`
		}
		return 0, ""
	}}
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, isTokenRequest(r), r.Header.Get("Authorization") == "", r.URL)
		service.ServeHTTP(w, r)
	}, facade.WithTokenExchange())
	require.NoError(t, getWebhook(t.Context(), client))
	resp, err := client.Raw().RefreshAccessTokenWithResponse(t.Context(), gen.AccessTokenRefresh{RefreshToken: "stale"})
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode())
	_, err = client.Raw().GetWebhookWithResponse(t.Context(), "w/auth/refresh") // the path of a token request
	require.NoError(t, err)
	assert.Equal(t, []string{"Bearer access1", "Bearer access1"}, service.credentials)
	assert.Equal(t, 2, service.count())
}
