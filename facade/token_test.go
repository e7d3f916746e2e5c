package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

// tokenService is the token side of the service, and says of each exchange what
// it was and of each request which token came with it.
type tokenService struct {
	mu        sync.Mutex
	exchanges []string // "key" or "refresh", and what was exchanged
	tokens    []string // Authorization headers of the other requests
	delay     time.Duration
	expiresIn string                                // as JSON; "3600" if empty
	exchange  func(n int) (status int, body string) // in place of the answer, if status isn't 0
	reject    func(token string) bool
}

func (s *tokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	kind, isExchange := map[string]string{"/auth/api-key": "key", "/auth/refresh": "refresh"}[r.URL.Path]
	if !isExchange {
		authorization := r.Header.Get("Authorization")
		s.tokens = append(s.tokens, authorization)
		if s.reject != nil && s.reject(strings.TrimPrefix(authorization, "Bearer ")) {
			answer(http.StatusUnauthorized, `{"title":"The access token is invalid or expired."}`)(w, r)
			return
		}
		switch r.Method {
		case http.MethodPost:
			answer(http.StatusCreated, webhookJSON(1))(w, r)
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			answer(http.StatusOK, strings.TrimSuffix(webhookJSON(1), "}")+`,`+strings.TrimPrefix(listJSON(1, 100, 1), "{"))(w, r)
		}
		return
	}
	s.exchanges = append(s.exchanges, kind+" "+string(body))
	n := len(s.exchanges)
	if s.delay > 0 {
		<-time.After(s.delay)
	}
	if s.exchange != nil {
		if status, body := s.exchange(n); status != 0 {
			answer(status, body)(w, r)
			return
		}
	}
	expiresIn := s.expiresIn
	if expiresIn == "" {
		expiresIn = "3600"
	}
	answer(http.StatusOK, fmt.Sprintf(`{"token_type":"Bearer","expires_in":%s,"access_token":"access%d","refresh_token":"refresh%d"}`, expiresIn, n, n))(w, r)
}

func (s *tokenService) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.exchanges)
}

func getOne(ctx context.Context, client *facade.Client) error {
	_, err := client.GetWebhook(ctx, "w")
	return err
}

func TestWithTokenExchange(t *testing.T) {
	t.Parallel()
	server, _ := newFake(t)
	bearer, err := facade.NewClient(server.APIKey, once, facade.WithBaseURL(server.URL), facade.WithTokenExchange(),
		facade.WithHTTPClient(&http.Client{Transport: contract.Transport(t, newTransport(t))}))
	require.NoError(t, err)
	wh, err := bearer.CreateWebhook(t.Context(), validParams)
	require.NoError(t, err)
	require.NoError(t, bearer.DeleteWebhook(t.Context(), wh.ID))
	requests := server.Requests()
	require.Len(t, requests, 3)
	assert.Equal(t, "/auth/api-key", requests[0].Path)
	assert.Empty(t, requests[0].Header.Get("Authorization"))
	for _, r := range requests[1:] {
		assert.True(t, strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "))
	}

	wrong, err := facade.NewClient(testKey, once, facade.WithBaseURL(server.URL), facade.WithTokenExchange())
	require.NoError(t, err)
	_, err = wrong.CreateWebhook(t.Context(), validParams)
	require.ErrorIs(t, err, facade.ErrUnauthorized)
	require.NotErrorIs(t, err, facade.ErrUnconfirmed, "it was never sent")
	assert.Equal(t, "CreateAccessToken", asError(t, err).Op)
}

func TestWithTokenExchange_refreshTokenRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{exchange: func(n int) (int, string) {
			if n == 2 {
				return http.StatusUnauthorized, `{"title":"The refresh token is invalid."}`
			}
			return 0, ""
		}}
		client := newBubbleClient(t, service.ServeHTTP, facade.WithTokenExchange())
		require.NoError(t, getOne(t.Context(), client))
		<-time.After(2 * time.Hour)
		require.NoError(t, getOne(t.Context(), client))
		assert.Equal(t, []string{
			`key {"apiKey":"` + testKey + `"}`,
			`refresh {"refreshToken":"refresh1"}`,
			`key {"apiKey":"` + testKey + `"}`,
		}, service.exchanges)
	})
}

func TestWithTokenExchange_expiresIn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, expiresIn string
		life            time.Duration
	}{
		{"as told", "1800", 30 * time.Minute},
		{"missing: an hour", "null", time.Hour},
		{"zero: an hour, for its 401 tells when it ends", "0", time.Hour},
		{"negative: an hour", "-5", time.Hour},
		{"huge: a day", "9223372036854775807", 24 * time.Hour},
		{"shorter than the minute before its end", "10", 10 * time.Second},
		{"a float", "1800.5", 30 * time.Minute},
		{"a float that is written otherwise", "1.8e3", 30 * time.Minute},
		{"a number in text", `"1800"`, 30 * time.Minute},
		{"beyond 64 bits: a day", "99999999999999999999", 24 * time.Hour},
		{"beyond any float: an hour", "1e999", time.Hour},
		{"infinite, which JSON doesn't have: an hour", `"Infinity"`, time.Hour},
		{"hexadecimal, which it doesn't either: an hour", `"0x10"`, time.Hour},
		{"garbage: an hour", `"soon"`, time.Hour},
		{"a number with garbage: an hour", `"1800s"`, time.Hour},
		{"empty: an hour", `""`, time.Hour},
		{"not a number: an hour", `"NaN"`, time.Hour},
		{"a truth: an hour", "true", time.Hour},
		{"an object: an hour", `{"seconds":1800}`, time.Hour},
		{"a list: an hour", "[1800]", time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := &tokenService{expiresIn: test.expiresIn}
				client := newBubbleClient(t, service.ServeHTTP, facade.WithTokenExchange())
				require.NoError(t, getOne(t.Context(), client))
				<-time.After(test.life/2 - min(time.Minute, test.life/4))
				require.NoError(t, getOne(t.Context(), client))
				synctest.Wait()
				assert.Equal(t, 1, service.count(), "it lives")
				<-time.After(test.life)
				require.NoError(t, getOne(t.Context(), client))
				assert.Equal(t, 2, service.count(), "it has ended")
				assert.Equal(t, "Bearer access2", service.tokens[2])
			})
		})
	}
}

func TestWithTokenExchange_invalidToken(t *testing.T) {
	t.Parallel()
	token := func(tokenType, access string) func(int) (int, string) {
		return func(int) (int, string) {
			return http.StatusOK, fmt.Sprintf(`{"token_type":%q,"expires_in":3600,"access_token":%q}`, tokenType, access)
		}
	}
	tests := []struct {
		name     string
		exchange func(int) (int, string)
		want     error
	}{
		{"lower case", token("bearer", "a"), nil},
		{"upper case", token("BEARER", "a"), nil},
		{"another type", token("mac", "a"), facade.ErrUnexpectedResponse},
		{"no type", token("", "a"), facade.ErrUnexpectedResponse},
		{"no token", token("Bearer", ""), facade.ErrUnexpectedResponse},
		{"a token with a line end, which no header holds", token("Bearer", "a\r\nX: y"), facade.ErrUnexpectedResponse},
		{"400", func(int) (int, string) { return 400, `{"title":"No."}` }, facade.ErrBadRequest},
		{"401", func(int) (int, string) { return 401, `{"title":"No."}` }, facade.ErrUnauthorized},
		{"429", func(int) (int, string) { return 429, `{"title":"No."}` }, facade.ErrTooManyRequests},
		{"500", func(int) (int, string) { return 500, `` }, facade.ErrServer},
		{"HTML", func(int) (int, string) { return 200, `<html>` }, facade.ErrUnexpectedResponse},
		{"nothing", func(int) (int, string) { return 200, `` }, facade.ErrUnexpectedResponse},
		{"null", func(int) (int, string) { return 200, `null` }, facade.ErrUnexpectedResponse},
	}
	for _, test := range tests {
		for _, op := range operations {
			t.Run(test.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				service := &tokenService{exchange: test.exchange}
				client := newClient(t, service.ServeHTTP, facade.WithTokenExchange(), quickly)
				err := op.call(t.Context(), client)
				exchanges := 1 // for what is wrong with an answer stays wrong
				if test.name == "429" || test.name == "500" {
					exchanges = 4
				}
				assert.Equal(t, exchanges, service.count())
				if test.want == nil {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, test.want)
				require.NotErrorIs(t, err, facade.ErrUnconfirmed, "the request was never sent")
				assert.Equal(t, "CreateAccessToken", asError(t, err).Op)
				assert.NotContains(t, err.Error(), testKey)
				assert.Empty(t, service.tokens)
			})
		}
	}
}

func TestWithTokenExchange_401(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		t.Run(op.name+"/once", func(t *testing.T) {
			t.Parallel()
			service := &tokenService{reject: func(token string) bool { return token == "access1" }}
			client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
			require.NoError(t, op.call(t.Context(), client))
			assert.Equal(t, []string{"Bearer access1", "Bearer access2"}, service.tokens)
			assert.Equal(t, 2, service.count())
		})
		t.Run(op.name+"/always", func(t *testing.T) {
			t.Parallel()
			service := &tokenService{reject: func(string) bool { return true }}
			client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
			err := op.call(t.Context(), client)
			require.ErrorIs(t, err, facade.ErrUnauthorized)
			require.NotErrorIs(t, err, facade.ErrUnconfirmed)
			assert.Equal(t, op.op, asError(t, err).Op)
			assert.Equal(t, 2, asError(t, err).Attempts)
			assert.Len(t, service.tokens, 2, "never a loop")
		})
		t.Run(op.name+"/again after a 503", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				refuse := answer(http.StatusUnauthorized, "{}")
				server := play(refuse, unavailable, refuse)
				service := &tokenService{}
				client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.URL.Path, "/auth/") {
						service.ServeHTTP(w, r)
						return
					}
					server.ServeHTTP(w, r)
				}, facade.WithTokenExchange(), byDefault)
				err := op.call(t.Context(), client)
				want, requests := facade.ErrUnauthorized, 3
				if op.name == "create" {
					want, requests = facade.ErrServer, 2 // which isn't repeated
				}
				require.ErrorIs(t, err, want)
				assert.Equal(t, requests, asError(t, err).Attempts)
				assert.Equal(t, requests, server.requests())
				assert.Equal(t, 2, service.count(), "mended once")
			})
		})
	}
}

func TestRaw_tokenAndAnotherServer(t *testing.T) {
	t.Parallel()
	service := &tokenService{}
	elsewhere := make(chan string, 1)
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "elsewhere.example" {
			elsewhere <- r.Header.Get("Authorization")
			return nil, errors.New("nobody")
		}
		return newTransport(t).RoundTrip(r)
	})}
	client := newClient(t, service.ServeHTTP, facade.WithHTTPClient(hc), facade.WithTokenExchange())
	require.NoError(t, getOne(t.Context(), client))
	_, err := client.Raw().GetWebhookWithResponse(t.Context(), "w", gen.RequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.URL = &url.URL{Scheme: "https", Host: "elsewhere.example", Path: r.URL.Path}
		return nil
	}))
	require.ErrorContains(t, err, "nobody")
	assert.Empty(t, <-elsewhere)
}

func TestRaw_bearerToken(t *testing.T) {
	t.Parallel()
	service := &tokenService{}
	client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
	resp, err := client.Raw().GetWebhookWithResponse(t.Context(), "w")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode())
	assert.Equal(t, []string{"Bearer access1"}, service.tokens)
}

func TestWithTokenExchange_echoedKey(t *testing.T) {
	t.Parallel()
	service := &tokenService{exchange: func(int) (int, string) {
		return http.StatusUnauthorized, `{"title":"The key ` + testKey + ` is wrong."}`
	}}
	err := getOne(t.Context(), newClient(t, service.ServeHTTP, facade.WithTokenExchange()))
	assert.Contains(t, err.Error(), "apivideo: CreateAccessToken: 401 The key [REDACTED] is wrong. (host ")
	assert.NotContains(t, string(asError(t, err).Body), testKey)
}

// An exchange has the key in its body, which a redirect would send along.
func TestWithTokenExchange_redirect(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/auth/api-key", "/auth/refresh"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprint(status, " of ", path), func(t *testing.T) {
				t.Parallel()
				elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					t.Error("it went elsewhere")
				}))
				t.Cleanup(elsewhere.Close)
				service := &tokenService{reject: func(token string) bool { return token == "access1" }}
				client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == path {
						http.Redirect(w, r, elsewhere.URL+path, status)
						return
					}
					service.ServeHTTP(w, r)
				}, facade.WithTokenExchange())
				err := getOne(t.Context(), client)
				if path == "/auth/refresh" {
					require.NoError(t, err, "the key serves as well")
					return
				}
				require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
				assert.Equal(t, status, asError(t, err).StatusCode)
			})
		}
	}
}

func TestCreateWebhook_deadlineBeforeToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{delay: 10 * time.Second}
		client := newBubbleClient(t, service.ServeHTTP, facade.WithTokenExchange())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.CreateWebhook(ctx, validParams)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, facade.ErrUnconfirmed, "it was never sent")
		<-time.After(time.Minute) // the exchange goes on without it
		assert.Equal(t, 1, service.count())
	})
}

func TestWithTokenExchange_429(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := true
		service := &tokenService{}
		client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
			if busy {
				busy = false
				w.Header().Set("Retry-After", "30")
				answer(http.StatusTooManyRequests, ``)(w, r)
				return
			}
			service.ServeHTTP(w, r)
		}, facade.WithTokenExchange(), facade.WithRetry(facade.RetryPolicy{}))
		start := time.Now()
		_, err := client.CreateWebhook(t.Context(), validParams)
		require.NoError(t, err)
		assert.InDelta(t, 31.5*float64(time.Second), time.Since(start), 1.6*float64(time.Second))
	})
}

func TestWithTokenExchange_large401(t *testing.T) {
	t.Parallel()
	service := &tokenService{}
	first := true
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if first && !strings.HasPrefix(r.URL.Path, "/auth/") {
			first = false
			answer(http.StatusUnauthorized, strings.Repeat(" ", 65<<10))(w, r)
			return
		}
		service.ServeHTTP(w, r)
	}, facade.WithTokenExchange())
	require.NoError(t, getOne(t.Context(), client))
	assert.Equal(t, []string{"Bearer access2"}, service.tokens)
}

// The raw client's own exchanges take no token and cost none.
func TestRaw_tokenRequest(t *testing.T) {
	t.Parallel()
	service := &tokenService{exchange: func(n int) (int, string) {
		if n == 2 {
			return http.StatusUnauthorized, `{}`
		}
		return 0, ""
	}}
	client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
	require.NoError(t, getOne(t.Context(), client))
	resp, err := client.Raw().RefreshAccessTokenWithResponse(t.Context(), gen.AccessTokenRefresh{RefreshToken: "stale"})
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode())
	require.NoError(t, getOne(t.Context(), client))
	assert.Equal(t, []string{"Bearer access1", "Bearer access1"}, service.tokens)
	assert.Equal(t, 2, service.count())
}

// Callers that all learn at once that their token is refused.
func TestWithTokenExchange_concurrent401(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		renewal bool // is under way then
	}{{"one exchange for all", false}, {"the renewal under way serves", true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const callers = 64
				var dead atomic.Bool
				service := &tokenService{reject: func(token string) bool { return dead.Load() && token == "access1" }}
				client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/auth/refresh" {
						<-time.After(3 * time.Second)
					} else {
						<-time.After(time.Second)
					}
					service.ServeHTTP(w, r)
				}, facade.WithTokenExchange())
				require.NoError(t, getOne(t.Context(), client))
				if test.renewal {
					<-time.After(time.Hour - 30*time.Second)
				}
				dead.Store(true)
				start := time.Now()
				var group sync.WaitGroup
				for range callers {
					group.Go(func() { assert.NoError(t, getOne(t.Context(), client)) })
				}
				group.Wait()
				took := 5 * time.Second // the refusal, the exchange, and the request again
				if test.renewal {
					took -= time.Second // it began with the first request
				}
				assert.Equal(t, took, time.Since(start))
				assert.Equal(t, 2, service.count())
				sent := make(map[string]int)
				for _, token := range service.tokens {
					sent[token]++
				}
				assert.Equal(t, map[string]int{"Bearer access1": 1 + callers, "Bearer access2": callers}, sent, "each once more")
			})
		})
	}
}

func TestWithTokenExchange_failedRenewalAfter401(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := &tokenService{
					reject: func(token string) bool { return token == "access1" },
					exchange: func(n int) (int, string) {
						if n == 2 || n == 3 {
							return http.StatusServiceUnavailable, ""
						}
						return 0, ""
					},
				}
				client := newBubbleClient(t, service.ServeHTTP, facade.WithTokenExchange())
				err := op.call(t.Context(), client)
				require.ErrorIs(t, err, facade.ErrServer)
				require.NotErrorIs(t, err, facade.ErrUnconfirmed, "the 401 refused it")
				assert.Equal(t, "CreateAccessToken", asError(t, err).Op)
				require.NoError(t, op.call(t.Context(), client))
				require.Len(t, service.exchanges, 4)
				assert.Equal(t, `refresh {"refreshToken":"refresh1"}`, service.exchanges[1])
				assert.Equal(t, `key {"apiKey":"`+testKey+`"}`, service.exchanges[3], "the refresh token isn't tried again")
				assert.Equal(t, []string{"Bearer access1", "Bearer access4"}, service.tokens)
			})
		})
	}
}

func TestWithTokenExchange_twoClients(t *testing.T) {
	t.Parallel()
	services := []*tokenService{{}, {exchange: func(int) (int, string) {
		return http.StatusOK, `{"token_type":"Bearer","access_token":"other"}`
	}}}
	hc := facade.WithHTTPClient(&http.Client{Transport: newTransport(t)})
	first := newClient(t, services[0].ServeHTTP, hc, facade.WithTokenExchange())
	second := newClient(t, services[1].ServeHTTP, hc, facade.WithTokenExchange())
	for range 2 {
		require.NoError(t, getOne(t.Context(), first))
		require.NoError(t, getOne(t.Context(), second))
	}
	assert.Equal(t, []string{"Bearer access1", "Bearer access1"}, services[0].tokens)
	assert.Equal(t, []string{"Bearer other", "Bearer other"}, services[1].tokens)
	assert.Equal(t, 2, services[0].count()+services[1].count())
}

// The 401 did nothing, and the connection after it was refused: so it is sent again.
func TestWithTokenExchange_connectionRefusedAfter401(t *testing.T) {
	t.Parallel()
	service := &tokenService{reject: func(token string) bool { return token == "access1" }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	dials := 0
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials++; dials == 4 { // key, create, refresh, create
			return nil, syscall.ECONNREFUSED
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	for _, policy := range []facade.Option{once, quickly} {
		dials, service.tokens, service.exchanges = 0, nil, nil
		client, err := facade.NewClient(testKey, policy, facade.WithBaseURL(server.URL), facade.WithTokenExchange(),
			facade.WithHTTPClient(&http.Client{Transport: transport}))
		require.NoError(t, err)
		wh, err := client.CreateWebhook(t.Context(), validParams)
		if len(service.tokens) == 1 {
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.NotErrorIs(t, err, facade.ErrUnconfirmed, "nothing was written after the 401")
			assert.Equal(t, 2, asError(t, err).Attempts)
			continue
		}
		require.NoError(t, err)
		assert.NotEmpty(t, wh.ID)
		assert.Equal(t, []string{"Bearer access1", "Bearer access2"}, service.tokens)
	}
}

// Its body has the key, which the client's own exchanges never send elsewhere.
func TestRaw_tokenRequestRedirected(t *testing.T) {
	t.Parallel()
	for _, opt := range []facade.Option{once, facade.WithTokenExchange()} {
		var hosts []string
		hc := &http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				hosts = append(hosts, r.URL.Host)
				return reply(http.StatusTemporaryRedirect, "", http.Header{"Location": {"https://other.example/auth/api-key"}}), nil
			}),
		}
		client, err := facade.NewClient(testKey, facade.WithHTTPClient(hc), opt)
		require.NoError(t, err)
		resp, err := client.Raw().CreateAccessTokenWithResponse(t.Context(), gen.AccessTokenCreation{APIKey: testKey})
		require.NoError(t, err)
		assert.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode())
		assert.Equal(t, []string{"ws.api.video"}, hosts)
	}
}

// A webhook's id may look like the path of an exchange.
func TestRaw_idLikeTokenRequest(t *testing.T) {
	t.Parallel()
	service := &tokenService{}
	client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
	_, err := client.GetWebhook(t.Context(), "w/auth/refresh")
	require.NoError(t, err)
	assert.Equal(t, []string{"Bearer access1"}, service.tokens)
}

// closedReader can't be read twice, and tells whether it was closed.
type closedReader struct {
	io.Reader
	closed bool
}

func (r *closedReader) Close() error {
	r.closed = true
	return nil
}

func TestRaw_closesBodyOfUnsentRequest(t *testing.T) {
	t.Parallel()
	refuse := &tokenService{exchange: func(int) (int, string) { return http.StatusUnauthorized, "" }}
	client := newClient(t, refuse.ServeHTTP, facade.WithTokenExchange())
	body := &closedReader{Reader: strings.NewReader("{}")}
	_, err := client.Raw().CreateWebhookWithBodyWithResponse(t.Context(), "application/json", body)
	require.ErrorIs(t, err, facade.ErrUnauthorized)
	assert.True(t, body.closed, "no token")

	over, cancel := context.WithCancel(t.Context())
	cancel()
	body = &closedReader{Reader: strings.NewReader("{}")}
	_, err = client.Raw().CreateWebhookWithBodyWithResponse(over, "application/json", body)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, body.closed, "no time")
}

func TestRaw_bodyWithoutGetBodyAfter401(t *testing.T) {
	t.Parallel()
	service := &tokenService{reject: func(token string) bool { return token == "access1" }}
	client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
	body := `{"url":"https://hooks.example.com/apivideo","events":["video.source.recorded"]}`
	resp, err := client.Raw().CreateWebhookWithBodyWithResponse(t.Context(), "application/json", &closedReader{Reader: strings.NewReader(body)})
	require.NoError(t, err)
	assert.Equal(t, http.StatusCreated, resp.StatusCode())
	assert.Equal(t, []string{"Bearer access1", "Bearer access2"}, service.tokens)
}

func TestRaw_401(t *testing.T) {
	t.Parallel()
	for _, op := range rawOperations {
		service := &tokenService{reject: func(token string) bool { return token == "access1" }}
		client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
		require.NoError(t, op.call(t.Context(), client), op.name)
		assert.Equal(t, []string{"Bearer access1", "Bearer access2"}, service.tokens, op.name)
	}
}

// All calls that wait for a token fail with the same token request.
func TestWithTokenExchange_errorsAreNotShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{delay: time.Second, exchange: func(int) (int, string) {
			return http.StatusBadRequest, `{"title":"No.","problems":[{"name":"apiKey","title":"Bad."}]}`
		}}
		client := newBubbleClient(t, service.ServeHTTP, facade.WithTokenExchange())
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				e := asError(t, getOne(t.Context(), client))
				assert.Equal(t, "apiKey", e.Problems[0].Name)
				e.Header.Set("X-Changed", "1")
				e.Problems[0].Name = "changed"
				e.Body[0] = 'x'
			})
		}
		group.Wait()
		assert.Equal(t, 1, service.count())
	})
}

// The service echoes every credential that it has received, and sends more.
func TestWithTokenExchange_redactsAllCredentials(t *testing.T) {
	t.Parallel()
	const long = "-0123456789abcdef"
	credentials := []string{testKey, strings.TrimPrefix(basicKey, "Basic ")}
	for n := 1; n <= 2; n++ {
		credentials = append(credentials, fmt.Sprint("access", n, long), fmt.Sprint("refresh", n, long))
	}
	n := 0
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/auth/"):
			n++
			answer(http.StatusOK, fmt.Sprintf(`{"token_type":"Bearer","expires_in":3600,"access_token":"access%d%s","refresh_token":"refresh%d%s"}`, n, long, n, long))(w, r)
		case n == 1:
			answer(http.StatusUnauthorized, "{}")(w, r)
		default:
			w.Header().Set("X-Echo", strings.Join(credentials, " "))
			status := http.StatusForbidden
			if r.Method == http.MethodGet && r.URL.Path == "/webhooks" {
				status = http.StatusOK
			}
			id := strings.Join(credentials, "")
			answer(status, fmt.Sprintf(`{"title":%q,"data":[{"webhookId":%q}],"pagination":{"currentPage":1,"pageSize":25,"pagesTotal":1,"itemsTotal":1}}`, id, id))(w, r)
		}
	}, facade.WithTokenExchange())
	calls := map[string]func() error{
		"get": func() error { return getOne(t.Context(), client) },
		"ensure": func() error { // a webhook of the list has no URL
			_, _, err := client.EnsureWebhook(t.Context(), validParams)
			return err
		},
		"an invalid argument": func() error {
			_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: "ftp://x/" + strings.Join(credentials, "/")})
			return err
		},
	}
	for name, call := range calls {
		err := call()
		require.Error(t, err, name)
		texts := []string{err.Error()}
		assert.Contains(t, err.Error(), "[REDACTED]", name)
		var e *facade.Error
		if errors.As(err, &e) {
			texts = append(texts, fmt.Sprintf("%+v", *e), string(e.Body))
		}
		for _, text := range texts {
			for _, credential := range credentials {
				assert.NotContains(t, text, credential, name)
			}
		}
	}
}
