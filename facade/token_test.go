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
	"runtime"
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

func TestTokenExchangeAgainstTheFake(t *testing.T) {
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

func TestOneExchangeForAllThatWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{delay: time.Second}
		client := newBubbleClient(t, service.ServeHTTP, facade.WithTokenExchange())
		all := func() {
			var group sync.WaitGroup
			for range 64 {
				group.Go(func() { assert.NoError(t, getOne(t.Context(), client)) })
			}
			group.Wait()
		}
		all()
		assert.Equal(t, 1, service.count(), "at first")
		<-time.After(2 * time.Hour)
		all()
		assert.Equal(t, 2, service.count(), "after the end")
		assert.Equal(t, `refresh {"refreshToken":"refresh1"}`, service.exchanges[1])
	})
}

func TestRenewalCostsCallersNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{}
		client := newBubbleClient(t, service.ServeHTTP, facade.WithTokenExchange())
		require.NoError(t, getOne(t.Context(), client))

		<-time.After(59*time.Minute - time.Second)
		require.NoError(t, getOne(t.Context(), client))
		assert.Equal(t, 1, service.count(), "more than a minute is left")

		<-time.After(2 * time.Second)
		start := time.Now()
		require.NoError(t, getOne(t.Context(), client))
		assert.Zero(t, time.Since(start))
		synctest.Wait()
		assert.Equal(t, 2, service.count(), "less than a minute is left")
		assert.Equal(t, "Bearer access1", service.tokens[2], "the old one serves meanwhile")

		require.NoError(t, getOne(t.Context(), client))
		assert.Equal(t, "Bearer access2", service.tokens[3])
		assert.Equal(t, 2, service.count())
	})
}

func TestFailedRenewalIsNotHurried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{exchange: func(n int) (int, string) {
			if n > 1 {
				return http.StatusServiceUnavailable, ""
			}
			return 0, ""
		}}
		client := newBubbleClient(t, service.ServeHTTP, facade.WithTokenExchange())
		require.NoError(t, getOne(t.Context(), client))
		<-time.After(59*time.Minute + time.Second)
		for range 100 {
			require.NoError(t, getOne(t.Context(), client), "the old token still serves")
			synctest.Wait()
		}
		assert.Equal(t, 3, service.count(), "once by refresh token, once by key, then a pause")
		for _, want := range []int{3, 4} { // after 5 and 10 s
			<-time.After(5 * time.Second)
			require.NoError(t, getOne(t.Context(), client))
			synctest.Wait()
			assert.Equal(t, want, service.count())
		}
		<-time.After(time.Minute)
		require.ErrorIs(t, getOne(t.Context(), client), facade.ErrServer)
	})
}

func TestExchangeBelongsToNoCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{delay: time.Second}
		client := newBubbleClient(t, service.ServeHTTP, facade.WithTokenExchange())
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { assert.ErrorIs(t, getOne(ctx, client), context.Canceled) })
		synctest.Wait() // the first caller has begun the exchange
		for range 9 {
			group.Go(func() { assert.NoError(t, getOne(t.Context(), client)) })
		}
		synctest.Wait()
		cancel()
		group.Wait()
		assert.Equal(t, 1, service.count())
	})
}

func TestRefreshTokenThatIsRefused(t *testing.T) {
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

func TestTokenLife(t *testing.T) {
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

func TestTokenThatCannotBeUsed(t *testing.T) {
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

func TestTokenThatIsRejected(t *testing.T) {
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

func TestTokenStaysWithItsServer(t *testing.T) {
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

func TestRawRequestsHaveTokensToo(t *testing.T) {
	t.Parallel()
	service := &tokenService{}
	client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
	resp, err := client.Raw().GetWebhookWithResponse(t.Context(), "w")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode())
	assert.Equal(t, []string{"Bearer access1"}, service.tokens)
}

func TestExchangeThatEchoesTheKey(t *testing.T) {
	t.Parallel()
	service := &tokenService{exchange: func(int) (int, string) {
		return http.StatusUnauthorized, `{"title":"The key ` + testKey + ` is wrong."}`
	}}
	err := getOne(t.Context(), newClient(t, service.ServeHTTP, facade.WithTokenExchange()))
	assert.Equal(t, "apivideo: CreateAccessToken: 401 The key [REDACTED] is wrong.", err.Error())
	assert.NotContains(t, string(asError(t, err).Body), testKey)
}

// An exchange has the key in its body, which a redirect would send along.
func TestExchangeIsNeverRedirected(t *testing.T) {
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
				follow := &http.Client{Transport: newTransport(t), CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
				client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == path {
						http.Redirect(w, r, elsewhere.URL+path, status)
						return
					}
					service.ServeHTTP(w, r)
				}, facade.WithHTTPClient(follow), facade.WithTokenExchange())
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

func TestCreateThatWaitsForATokenIsNotUnconfirmed(t *testing.T) {
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

func TestExchangeWaitsAsTheServiceAsks(t *testing.T) {
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

func TestTokenRefusedTwiceIsGotByKeyNext(t *testing.T) {
	t.Parallel()
	service := &tokenService{reject: func(token string) bool { return token != "access3" }}
	client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
	require.ErrorIs(t, getOne(t.Context(), client), facade.ErrUnauthorized)
	require.NoError(t, getOne(t.Context(), client))
	require.Len(t, service.exchanges, 3)
	assert.Equal(t, `key {"apiKey":"`+testKey+`"}`, service.exchanges[2])
}

func TestTokenIsMendedAfterALargeRefusal(t *testing.T) {
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

func TestTransportThatPanicsInAnExchange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		stop       func()
	}{
		{"panic, whose text may be anything", "ended in a panic with a string", func() { panic("no: " + testKey) }},
		{"exit", "didn't return", runtime.Goexit},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			hc := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				test.stop()
				return nil, nil
			})}
			client, err := facade.NewClient(testKey, once, facade.WithHTTPClient(hc), facade.WithTokenExchange(),
				facade.WithTimeout(time.Millisecond)) // net/http waits for that long beside a transport that never returns
			require.NoError(t, err)
			err = getOne(t.Context(), client)
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), testKey)
		})
	}
}

// The raw client's own exchanges take no token and cost none.
func TestRawExchange(t *testing.T) {
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

// The moments themselves at which a token is to be renewed, and ends.
func TestTokenAtItsBounds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		after, took time.Duration
		exchanges   int
		token       string
	}{
		{"before the renewal", 59*time.Minute - 1, 0, 1, "access1"},
		{"at the renewal, which others wait for", 59 * time.Minute, 0, 2, "access1"},
		{"before the end", time.Hour - 1, 0, 2, "access1"},
		{"at the end, which it doesn't live to see", time.Hour, time.Second, 2, "access2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := &tokenService{}
				client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/auth/refresh" {
						<-time.After(time.Second)
					}
					service.ServeHTTP(w, r)
				}, facade.WithTokenExchange())
				require.NoError(t, getOne(t.Context(), client))
				<-time.After(test.after)
				start := time.Now()
				require.NoError(t, getOne(t.Context(), client))
				assert.Equal(t, test.took, time.Since(start))
				<-time.After(2 * time.Second)
				assert.Equal(t, test.exchanges, service.count())
				assert.Equal(t, "Bearer "+test.token, service.tokens[1])
			})
		})
	}
}

// Callers that all learn at once that their token is refused.
func TestTokenThatManyFindRejected(t *testing.T) {
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

func TestRenewalThatFailsAfterARejection(t *testing.T) {
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

func TestClientsNeverShareTokens(t *testing.T) {
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

// After an answer that comes early net/http may still be writing the request,
// header and all.
func TestMendLeavesTheFirstHeaderAlone(t *testing.T) {
	t.Parallel()
	service := &tokenService{reject: func(token string) bool { return token == "access1" }}
	transport := newTransport(t)
	var sent []*http.Request
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if !strings.HasPrefix(r.URL.Path, "/auth/") {
			sent = append(sent, r)
		}
		return transport.RoundTrip(r)
	})}
	client := newClient(t, service.ServeHTTP, facade.WithHTTPClient(hc), facade.WithTokenExchange())
	_, err := client.CreateWebhook(t.Context(), validParams)
	require.NoError(t, err)
	require.Len(t, sent, 2)
	assert.Equal(t, "Bearer access1", sent[0].Header.Get("Authorization"))
	assert.Equal(t, "Bearer access2", sent[1].Header.Get("Authorization"))
}

// The 401 did nothing, and the connection after it was refused: so it is sent again.
func TestMendWhoseConnectionIsRefused(t *testing.T) {
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

func TestRenewalWaitsAsTheServiceAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{}
		refreshes := 0
		client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/auth/refresh" {
				refreshes++
				throttled("X-RateLimit-Retry-After", "45")(w, r)
				return
			}
			service.ServeHTTP(w, r)
		}, facade.WithTokenExchange())
		require.NoError(t, getOne(t.Context(), client))
		<-time.After(59*time.Minute + time.Millisecond)
		for _, want := range []int{1, 1, 1, 1, 1, 2} { // at 0, 9, 18, 27, 36 and 45 s
			require.NoError(t, getOne(t.Context(), client), "the old token serves")
			synctest.Wait()
			assert.Equal(t, want, refreshes)
			<-time.After(9 * time.Second)
		}
	})
}

func TestExchangeIsRepeatedAtOnceIfTheServiceAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{}
		server := play(throttled("Retry-After", "0"), service.ServeHTTP)
		client := newBubbleClient(t, server.ServeHTTP, facade.WithTokenExchange(),
			facade.WithRetry(facade.RetryPolicy{MinDelay: 10_000 * time.Hour, MaxDelay: 10_000 * time.Hour}))
		start := time.Now()
		require.NoError(t, getOne(t.Context(), client))
		assert.LessOrEqual(t, time.Since(start), 100*time.Millisecond)
	})
}

// Its body has the key, which the client's own exchanges never send elsewhere.
func TestRawExchangeIsNeverRedirected(t *testing.T) {
	t.Parallel()
	for _, opt := range []facade.Option{once, facade.WithTokenExchange()} {
		var hosts []string
		hc := &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return nil },
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
func TestIDThatLooksLikeAnExchange(t *testing.T) {
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

func TestRawBodyOfWhatIsNeverSentIsClosed(t *testing.T) {
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

func TestRawBodyThatCannotBeReplayedIsNotMended(t *testing.T) {
	t.Parallel()
	service := &tokenService{reject: func(token string) bool { return token == "access1" }}
	client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
	body := `{"url":"https://hooks.example.com/apivideo","events":["video.source.recorded"]}`
	resp, err := client.Raw().CreateWebhookWithBodyWithResponse(t.Context(), "application/json", &closedReader{Reader: strings.NewReader(body)})
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode())
	assert.Equal(t, []string{"Bearer access1"}, service.tokens)
	require.NoError(t, getOne(t.Context(), client))
	assert.Equal(t, []string{"Bearer access1", "Bearer access2"}, service.tokens, "the refused token was dropped")
}

func TestRawRequestsAreMendedToo(t *testing.T) {
	t.Parallel()
	for _, op := range rawOperations {
		service := &tokenService{reject: func(token string) bool { return token == "access1" }}
		client := newClient(t, service.ServeHTTP, facade.WithTokenExchange())
		require.NoError(t, op.call(t.Context(), client), op.name)
		assert.Equal(t, []string{"Bearer access1", "Bearer access2"}, service.tokens, op.name)
	}
}
