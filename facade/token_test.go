package facade_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
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
	delay     time.Duration
	expiresIn string                                // as JSON; empty means 3600
	exchange  func(n int) (status int, body string) // replaces the response unless status is 0
	reject    func(credential string) bool
	handler   http.HandlerFunc // of the other requests; nil means succeed

	mu          sync.Mutex
	exchanges   []string // the path and the body
	credentials []string // Authorization headers of the other requests
}

func isTokenRequest(r *http.Request) bool { return strings.Contains(r.URL.EscapedPath(), "/auth/") }

func (s *tokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !isTokenRequest(r) {
		credential := r.Header.Get("Authorization")
		s.credentials = append(s.credentials, credential)
		switch {
		case s.reject != nil && s.reject(credential):
			respond(http.StatusUnauthorized, `{"title":"The access token is invalid or expired."}`)(w, r)
		case s.handler != nil:
			s.handler(w, r)
		default:
			succeed(w, r)
		}
		return
	}
	s.exchanges = append(s.exchanges, r.URL.Path+" "+string(body))
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
	respond(http.StatusOK, fmt.Sprintf(`{"token_type":"Bearer","expires_in":%s,"access_token":"access%d","refresh_token":"refresh%d"}`,
		cmp.Or(s.expiresIn, "3600"), n, n))(w, r)
}

func (s *tokenService) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.exchanges)
}

// rejectFirst rejects the first token.
func rejectFirst(credential string) bool { return credential == "Bearer access1" }

// The token requests of a client whose first token was rejected.
var keyThenRefresh = []string{`/auth/api-key {"apiKey":"` + testKey + `"}`, `/auth/refresh {"refreshToken":"refresh1"}`}

func TestWithTokenExchange(t *testing.T) {
	t.Parallel()
	server, _ := newFake(t)
	newClient := func(key string) *facade.Client {
		transport := facade.WithHTTPClient(&http.Client{Transport: contract.Transport(t, inMemory(server))})
		client, err := facade.NewClient(key, facade.WithBaseURL(server.URL), facade.WithTokenExchange(), transport)
		require.NoError(t, err)
		return client
	}
	require.NoError(t, createWebhook(t.Context(), newClient(server.APIKey)))
	requests := server.Requests()
	require.Len(t, requests, 2)
	assert.Equal(t, "/auth/api-key", requests[0].Path)
	assert.Empty(t, requests[0].Header.Get("Authorization"))
	assert.Regexp(t, "^Bearer .", requests[1].Header.Get("Authorization"))
	err := createWebhook(t.Context(), newClient(testKey))
	require.ErrorIs(t, err, facade.ErrUnauthorized)
	require.NotErrorIs(t, err, facade.ErrUnconfirmed)
	assert.Equal(t, "CreateAccessToken", asError(t, err).Op)
}

func TestWithTokenExchange_expiresIn(t *testing.T) {
	t.Parallel()
	for life, all := range map[time.Duration][]string{
		10 * time.Second: {"10"},
		30 * time.Minute: {"1800", "1800.5", "1.8e3", `"1800"`},
		24 * time.Hour:   {"9223372036854775807", "99999999999999999999"},
		time.Hour: {
			"null", "0", "-5", "1e999", `"Infinity"`, `"NaN"`, `"0x10"`, `"1800s"`, `""`, "true", `{"seconds":1800}`, "[1800]",
		},
	} {
		for _, expiresIn := range all {
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
				assert.Equal(t, []string{"Bearer access1", "Bearer access1", "Bearer access2"}, service.credentials, expiresIn)
			})
		}
	}
}

func TestWithTokenExchange_response(t *testing.T) {
	t.Parallel()
	token := func(tokenType, access string) string {
		return fmt.Sprintf(`{"token_type":%q,"expires_in":3600,"access_token":%q}`, tokenType, access)
	}
	const closed = -1
	for _, test := range []struct {
		want     error
		attempts int
		status   int
		bodies   []string
	}{
		{nil, 1, 200, []string{token("bearer", "a"), token("BEARER", "a")}},
		{nil, 1, 201, []string{token("Bearer", "a")}},
		{facade.ErrUnexpectedResponse, 1, 200, []string{
			token("mac", "a"), token("", "a"), token("Bearer", ""), token("Bearer", "a\r\nX: y"), "<html>", "", "null",
		}},
		{facade.ErrUnexpectedResponse, 1, 307, []string{""}},
		{facade.ErrBadRequest, 1, 400, []string{`{"title":"No."}`}},
		{facade.ErrUnauthorized, 1, 401, []string{`{"title":"No."}`}},
		{facade.ErrTooManyRequests, 4, 429, []string{`{"title":"No."}`}},
		{facade.ErrServer, 4, 500, []string{""}},
		{io.EOF, 4, closed, []string{""}},
	} {
		for _, body := range test.bodies {
			for _, op := range distinctOperations {
				service := &tokenService{exchange: func(int) (int, string) {
					if test.status == closed {
						panic(http.ErrAbortHandler)
					}
					return test.status, body
				}}
				err := op.call(t.Context(), newClient(t, service.ServeHTTP, facade.WithTokenExchange(), fastRetries))
				assert.Equal(t, test.attempts, service.count(), body)
				require.ErrorIs(t, err, test.want, body)
				if err == nil {
					continue
				}
				require.NotErrorIs(t, err, facade.ErrUnconfirmed, body)
				assert.Equal(t, "CreateAccessToken", asError(t, err).Op, body)
				assert.Equal(t, test.attempts, asError(t, err).Attempts, body)
				assert.Empty(t, service.credentials, body)
			}
		}
	}
}

// The retry policy does not count the attempt with a rejected token. A call gets one new
// token.
func TestWithTokenExchange_401(t *testing.T) {
	t.Parallel()
	reject := respond(http.StatusUnauthorized, strings.Repeat(" ", 65<<10)) // above the limit of a body
	limit := tooMany(retryAfter, "0")
	for _, test := range []struct {
		handlers []http.HandlerFunc
		want     error
	}{
		{[]http.HandlerFunc{reject, succeed}, nil},
		{[]http.HandlerFunc{reject, reject}, facade.ErrUnauthorized},
		{[]http.HandlerFunc{reject, limit, succeed}, nil},
		{[]http.HandlerFunc{reject, limit, reject}, facade.ErrUnauthorized},
		{[]http.HandlerFunc{limit, reject, limit}, facade.ErrTooManyRequests},
	} {
		for _, op := range allOperations {
			synctest.Test(t, func(t *testing.T) {
				server := newScript(test.handlers...)
				service := &tokenService{handler: server.ServeHTTP}
				retry := facade.WithRetry(facade.RetryPolicy{MaxAttempts: 2})
				err := op.call(t.Context(), newClient(t, service.ServeHTTP, facade.WithTokenExchange(), retry))
				assert.Equal(t, len(test.handlers), server.requests(), op.name)
				assert.Equal(t, keyThenRefresh, service.exchanges, op.name)
				assert.Equal(t, "Bearer access1", service.credentials[0], op.name)
				assert.Equal(t, "Bearer access2", service.credentials[len(test.handlers)-1], op.name)
				if op.op == "" {
					return // the generated client returns the status
				}
				require.ErrorIs(t, err, test.want, op.name)
				if err != nil {
					assert.Equal(t, len(test.handlers), asError(t, err).Attempts, op.name)
				}
			})
		}
	}
}

// The delay that a token request asks for is the delay of the call.
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
			assert.Equal(t, keyThenRefresh, service.exchanges, "the refresh token is kept")
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
				call := []func(context.Context, *facade.Client) error{getWebhook, rawOperations[1].call}[i%2]
				var e *facade.Error
				if !assert.ErrorAs(t, call(t.Context(), client), &e) {
					return
				}
				assert.Equal(t, "apiKey", e.Problems[0].Name)
				assert.Equal(t, byte('{'), e.Body[0])
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
