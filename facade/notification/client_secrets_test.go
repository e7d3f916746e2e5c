package notification_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

// api is a service in memory for ClientSecrets.
type api struct {
	mu       sync.Mutex
	webhooks map[int]bool // by the number of testID
	hidden   bool         // responses lack the secrets
	latency  time.Duration
	fail     func()         // replaces the response after the latency
	refusal  *http.Response // replaces the response, if set
	listings []time.Time
}

var errAPI = errors.New("connection refused")

func newAPI(webhooks ...int) *api {
	a := &api{webhooks: make(map[int]bool)}
	for _, i := range webhooks {
		a.webhooks[i] = true
	}
	return a
}

func (a *api) roundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.listings = append(a.listings, time.Now())
	items, fail, latency, refusal := []string{}, a.fail, a.latency, a.refusal
	for i := range a.webhooks {
		item := `{"webhookId":"` + testID(i) + `","signatureSecret":"` + testSecret(i).Reveal() + `"}`
		if a.hidden {
			item = `{"webhookId":"` + testID(i) + `"}`
		}
		items = append(items, item)
	}
	a.mu.Unlock()
	select {
	case <-time.After(latency):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if fail != nil {
		fail()
		return nil, errAPI
	}
	if refusal != nil {
		resp := *refusal
		resp.Request, resp.Body = r, http.NoBody
		return &resp, nil
	}
	n := strconv.Itoa(len(items))
	body := `{"data":[` + strings.Join(items, ",") + `],"pagination":{"currentPage":1,"currentPageItems":` + n +
		`,"pageSize":100,"pagesTotal":1,"itemsTotal":` + n + `}}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// set changes the service.
func (a *api) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *api) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.listings)
}

// refuse makes the service refuse connections.
func refuse() {}

// secretsTest has a handler with ClientSecrets.
type secretsTest struct {
	*testing.T
	*api
	source  *notification.CachedSecrets
	handler http.Handler
}

// testSecrets runs test with a fake clock.
func testSecrets(t *testing.T, a *api, test func(t *secretsTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		source := notification.ClientSecrets(newClient(t, a.roundTrip))
		v, err := notification.NewVerifier(source)
		require.NoError(t, err)
		test(&secretsTest{t, a, source, notification.NewHandler(v, accept)})
		<-time.After(time.Minute) // for listings in the background
	})
}

// deliver returns the status of a notification for webhook i. It waits for a
// listing in the background.
func (t *secretsTest) deliver(i int) int {
	t.Helper()
	status := post(t.handler, signedHeader(testID(i), vectorBody, testSecret(i)), vectorBody).Code
	synctest.Wait()
	return status
}

func TestClientSecrets_facadetest(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	client := server.Client(facade.WithHTTPClient(&http.Client{Transport: contract.Transport(t, transport)}))
	for range 3 {
		_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{
			URL: "https://hooks.example.com/apivideo", Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
		})
		require.NoError(t, err)
	}
	before := len(server.Requests())
	v, err := notification.NewVerifier(notification.ClientSecrets(client))
	require.NoError(t, err)
	webhooks := server.Webhooks()
	for i, wh := range webhooks {
		n, err := v.Verify(t.Context(), signedHeader(wh.ID, vectorBody, wh.SignatureSecret), []byte(vectorBody))
		require.NoError(t, err)
		assert.Equal(t, wh.ID, n.WebhookID)
		_, err = v.Verify(t.Context(), signedHeader(wh.ID, vectorBody, webhooks[(i+1)%3].SignatureSecret), []byte(vectorBody))
		require.ErrorIs(t, err, notification.ErrBadSignature, "the secret of another webhook")
	}
	_, err = v.Verify(t.Context(), signedHeader(webhookID, vectorBody, webhooks[0].SignatureSecret), []byte(vectorBody))
	require.ErrorIs(t, err, notification.ErrNoSecret)
	_, err = v.Verify(t.Context(), signedHeader("", vectorBody, webhooks[0].SignatureSecret), []byte(vectorBody))
	require.ErrorIs(t, err, notification.ErrNoSecret)
	assert.Len(t, server.Requests(), before+1, "one listing for all")
}

func TestClientSecrets_nilClient(t *testing.T) {
	t.Parallel()
	assert.PanicsWithValue(t, "apivideo: ClientSecrets: the client is nil", func() { notification.ClientSecrets(nil) })
}

// The replacement of a leaked secret in the documented order.
func TestClientSecrets_revokedSecret(t *testing.T) {
	t.Parallel()
	testSecrets(t, newAPI(1), func(t *secretsTest) {
		assert.Equal(t, http.StatusAccepted, t.deliver(1))
		<-time.After(time.Minute)
		t.set(func() { t.webhooks[2] = true })
		assert.Equal(t, http.StatusAccepted, t.deliver(2))
		t.set(func() { delete(t.webhooks, 1) })
		assert.Equal(t, 2, t.count())
		<-time.After(10*time.Minute - 1)
		assert.Equal(t, http.StatusAccepted, t.deliver(1), "the list is not old enough")
		assert.Equal(t, 2, t.count())
		<-time.After(1)
		assert.Equal(t, http.StatusAccepted, t.deliver(2), "refreshes in the background")
		assert.Equal(t, 3, t.count())
		assert.Equal(t, http.StatusUnauthorized, t.deliver(1))
		assert.Equal(t, http.StatusAccepted, t.deliver(2))
		assert.Equal(t, 3, t.count())
	})
}

func TestClientSecrets_backgroundRefresh(t *testing.T) {
	t.Parallel()
	testSecrets(t, newAPI(1), func(t *secretsTest) {
		assert.Equal(t, http.StatusAccepted, t.deliver(1))
		<-time.After(10 * time.Minute)
		t.set(func() { t.latency = 9 * time.Second })
		start := time.Now()
		for range 100 {
			assert.Equal(t, http.StatusAccepted, t.deliver(1))
		}
		assert.Equal(t, start, time.Now())
		assert.Equal(t, 2, t.count(), "one listing in the background")
	})
}

// The API fails for a day.
func TestClientSecrets_outage(t *testing.T) {
	t.Parallel()
	testSecrets(t, newAPI(1, 2), func(t *secretsTest) {
		assert.Equal(t, http.StatusAccepted, t.deliver(1))
		t.set(func() { t.fail = refuse })
		for range 24 {
			<-time.After(time.Hour)
			assert.Equal(t, http.StatusAccepted, t.deliver(1))
			assert.Equal(t, http.StatusAccepted, t.deliver(2))
			assert.Equal(t, http.StatusServiceUnavailable, t.deliver(3), "it may be new")
		}
		t.set(func() { t.fail = nil; delete(t.webhooks, 2) })
		<-time.After(5 * time.Second)
		assert.Equal(t, http.StatusAccepted, t.deliver(1))
		assert.Equal(t, http.StatusUnauthorized, t.deliver(2))
	})
}

// The service retries after 3, 6 and 9 seconds. The API fails until the last retry.
func TestClientSecrets_repeatedFailure(t *testing.T) {
	t.Parallel()
	testSecrets(t, newAPI(1), func(t *secretsTest) {
		t.set(func() { t.fail = refuse })
		assert.Equal(t, http.StatusServiceUnavailable, t.deliver(1))
		<-time.After(3 * time.Second)
		assert.Equal(t, http.StatusServiceUnavailable, t.deliver(1))
		assert.Equal(t, 2, t.count())
		<-time.After(3 * time.Second)
		assert.Equal(t, http.StatusServiceUnavailable, t.deliver(1))
		assert.Equal(t, 2, t.count(), "5 seconds after the second failure in a row")
		t.set(func() { t.fail = nil })
		<-time.After(3 * time.Second)
		assert.Equal(t, http.StatusAccepted, t.deliver(1))
		t.set(func() { t.fail = refuse })
		<-time.After(5 * time.Second)
		assert.Equal(t, http.StatusServiceUnavailable, t.deliver(2))
		<-time.After(time.Second - 1)
		assert.Equal(t, http.StatusServiceUnavailable, t.deliver(2))
		assert.Equal(t, 4, t.count())
		<-time.After(1)
		assert.Equal(t, http.StatusServiceUnavailable, t.deliver(2))
		assert.Equal(t, 5, t.count(), "a second after the first failure since a success")
	})
}

// A stranger sends made-up IDs while the API fails.
func TestClientSecrets_floodDuringOutage(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]string{"outage": "", "429 with Retry-After": "20"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSecrets(t, newAPI(1), func(t *secretsTest) {
				interval := 5 * time.Second
				if after == "" {
					t.set(func() { t.fail = refuse })
				} else {
					interval = 20 * time.Second
					t.set(func() {
						t.refusal = &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {after}}}
					})
				}
				for i := range 1000 {
					assert.Equal(t, http.StatusServiceUnavailable, t.deliver(1000+i))
					<-time.After(100 * time.Millisecond)
				}
				assert.InDelta(t, int(100*time.Second/interval), t.count(), 2)
				for i := range t.listings[1:] {
					if i > 0 || after != "" { // the first retry is early
						assert.GreaterOrEqual(t, t.listings[i+1].Sub(t.listings[i]), interval)
					}
				}
				t.set(func() { t.fail, t.refusal = nil, nil })
				<-time.After(interval)
				assert.Equal(t, http.StatusAccepted, t.deliver(1))
			})
		})
	}
}

func TestClientSecrets_interval(t *testing.T) {
	t.Parallel()
	testSecrets(t, newAPI(1), func(t *secretsTest) {
		t.set(func() { t.latency = 9 * time.Second })
		assert.Equal(t, http.StatusUnauthorized, t.deliver(2))
		<-time.After(5*time.Second - 1) // since the end of the listing
		assert.Equal(t, http.StatusUnauthorized, t.deliver(2))
		assert.Equal(t, 1, t.count())
		<-time.After(1)
		assert.Equal(t, http.StatusUnauthorized, t.deliver(2))
		assert.Equal(t, 2, t.count())
	})
}

// Ten attackers send 10,000 made-up IDs within five minutes.
func TestClientSecrets_floodOfUnknownIDs(t *testing.T) {
	t.Parallel()
	a := newAPI(1, 2)
	a.latency = 200 * time.Millisecond
	testSecrets(t, a, func(t *secretsTest) {
		start := time.Now()
		var rejected, accepted atomic.Int64
		var all sync.WaitGroup
		for attacker := range 10 {
			all.Go(func() {
				header := signedHeader("", vectorBody, testSecret(1))
				for i := range 1000 {
					header.Set(notification.HeaderWebhookID, strconv.Itoa(attacker*1000+i))
					if post(t.handler, header, vectorBody).Code == http.StatusUnauthorized {
						rejected.Add(1)
					}
					if i%100 == 99 { // an authentic notification
						header.Set(notification.HeaderWebhookID, testID(1))
						if post(t.handler, header, vectorBody).Code == http.StatusAccepted {
							accepted.Add(1)
						}
					}
					<-time.After(300 * time.Millisecond)
				}
			})
		}
		all.Wait()
		assert.Equal(t, int64(10_000), rejected.Load())
		assert.Equal(t, int64(100), accepted.Load())
		assert.LessOrEqual(t, t.count(), 1+int(time.Since(start)/(5*time.Second)))
		assert.Greater(t, t.count(), 50)
		for i := range t.listings[1:] {
			assert.GreaterOrEqual(t, t.listings[i+1].Sub(t.listings[i]), 5*time.Second)
		}
	})
}

func TestClientSecrets_emptyID(t *testing.T) {
	t.Parallel()
	testSecrets(t, newAPI(1), func(t *secretsTest) {
		secrets, err := t.source.Secrets(t.Context(), "")
		require.NoError(t, err)
		assert.Empty(t, secrets)
		assert.Zero(t, t.count(), "it causes no listing")
	})
}

func TestClientSecrets_callerContext(t *testing.T) {
	t.Parallel()
	testSecrets(t, newAPI(1), func(t *secretsTest) {
		_, err := t.source.Secrets(t.Context(), testID(1))
		require.NoError(t, err)
		<-time.After(5 * time.Second)
		t.set(func() { t.latency = time.Hour })
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err = t.source.Secrets(ctx, testID(7))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(start))
		_, err = t.source.Secrets(t.Context(), testID(1))
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, time.Since(start), "a known ID does not wait")
		_, err = t.source.Secrets(t.Context(), testID(7)) // joins the listing
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, time.Since(start), "a listing takes at most 10 seconds")
		assert.Equal(t, 2, t.count())
	})
}

func TestClientSecrets_concurrent(t *testing.T) {
	t.Parallel()
	var webhooks []int
	for i := range 50 {
		webhooks = append(webhooks, i)
	}
	a := newAPI(webhooks...)
	a.latency = time.Second
	testSecrets(t, a, func(t *secretsTest) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := t.source.Secrets(ctx, testID(1)) // starts the listing
		require.ErrorIs(t, err, context.Canceled)
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				secrets, err := t.source.Secrets(t.Context(), testID(i))
				assert.NoError(t, err)
				assert.Equal(t, i < 50, len(secrets) == 1)
			})
		}
		all.Wait()
		assert.Equal(t, 1, t.count())
	})
}

// panicWith panics with a value that linters do not see.
func panicWith(v any) { panic(v) }

// Later notifications of known and new webhooks are accepted.
func TestClientSecrets_brokenTransport(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fail func()
		want string
	}{
		"panic":       {func() { panic("no: " + vectorSignature) }, "the listing panicked with a string"},
		"nil panic":   {func() { panicWith(nil) }, "the listing panicked with a *runtime.PanicNilError"},
		"abort panic": {func() { panic(http.ErrAbortHandler) }, "the listing panicked with a *errors.errorString"},
		"Goexit":      {runtime.Goexit, "the listing ended its goroutine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSecrets(t, newAPI(1), func(t *secretsTest) {
				t.set(func() { t.fail = test.fail })
				_, err := t.source.Secrets(t.Context(), testID(1))
				require.ErrorContains(t, err, test.want)
				assertNoSecrets(t.T, err.Error())
				require.Error(t, t.source.Refresh(t.Context()))
				assert.Equal(t, http.StatusServiceUnavailable, t.deliver(1), "not rejected")
				t.set(func() { t.fail = nil })
				<-time.After(5 * time.Second)
				assert.Equal(t, http.StatusAccepted, t.deliver(1))
				t.set(func() { t.fail = test.fail })
				<-time.After(10 * time.Minute)
				for range 3 {
					assert.Equal(t, http.StatusAccepted, t.deliver(1), "known while the refresh fails")
					<-time.After(time.Second)
				}
				assert.Equal(t, http.StatusServiceUnavailable, t.deliver(2))
				t.set(func() { t.fail = nil; t.webhooks[2] = true })
				<-time.After(5 * time.Second)
				assert.Equal(t, http.StatusAccepted, t.deliver(2))
			})
		})
	}
}

func TestClientSecrets_brokenSecondPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		total, broken := 50, false
		source := notification.ClientSecrets(newClient(t, func(r *http.Request) (*http.Response, error) {
			if broken && r.URL.Query().Get("currentPage") == "2" {
				return nil, io.ErrUnexpectedEOF
			}
			return listResponse(r, total), nil
		}))
		require.NoError(t, source.Refresh(t.Context()))
		total, broken = 150, true
		require.ErrorIs(t, source.Refresh(t.Context()), io.ErrUnexpectedEOF)
		secrets, err := source.Secrets(t.Context(), testID(49))
		require.NoError(t, err)
		assert.Len(t, secrets, 1, "half a list changes nothing")
	})
}

func TestClientSecrets_limit(t *testing.T) {
	t.Parallel()
	requests := 0
	source := notification.ClientSecrets(newClient(t, func(r *http.Request) (*http.Response, error) {
		requests++
		return listResponse(r, 20_000), nil
	}))
	for i, want := range map[int]int{0: 1, 9999: 1, 10_000: 0, 19_999: 0} {
		secrets, err := source.Secrets(t.Context(), testID(i))
		require.NoError(t, err)
		assert.Len(t, secrets, want)
	}
	assert.Equal(t, 100, requests, "no page beyond the limit")
}

func TestClientSecrets_webhookWithoutSecret(t *testing.T) {
	t.Parallel()
	testSecrets(t, newAPI(1, 2), func(t *secretsTest) {
		t.set(func() { t.hidden = true })
		assert.Equal(t, http.StatusUnauthorized, t.deliver(1))
		t.set(func() { t.hidden = false })
		require.NoError(t, t.source.Refresh(t.Context()))
		t.set(func() { t.hidden = true; delete(t.webhooks, 2) })
		for range 2 {
			require.NoError(t, t.source.Refresh(t.Context()))
			assert.Equal(t, http.StatusAccepted, t.deliver(1), "keeps the known secret")
			assert.Equal(t, http.StatusUnauthorized, t.deliver(2), "was deleted")
		}
	})
}

func TestCachedSecrets_Refresh(t *testing.T) {
	t.Parallel()
	testSecrets(t, newAPI(1), func(t *secretsTest) {
		require.NoError(t, t.source.Refresh(t.Context()))
		assert.Equal(t, 1, t.count())
		t.set(func() { t.webhooks[2] = true })
		require.NoError(t, t.source.Refresh(t.Context()), "at once")
		assert.Equal(t, http.StatusAccepted, t.deliver(2))
		assert.Equal(t, http.StatusAccepted, t.deliver(1))
		assert.Equal(t, 2, t.count())
		t.set(func() { delete(t.webhooks, 1) })
		require.NoError(t, t.source.Refresh(t.Context()))
		assert.Equal(t, http.StatusUnauthorized, t.deliver(1))
		t.set(func() { t.fail = refuse })
		require.ErrorIs(t, t.source.Refresh(t.Context()), errAPI)
		assert.Equal(t, http.StatusAccepted, t.deliver(2))
		t.set(func() { t.fail = nil })
		require.NoError(t, t.source.Refresh(t.Context()), "at once after a failure")
	})
}

// A listing that began before the webhook was created is not enough.
func TestCachedSecrets_Refresh_duringListing(t *testing.T) {
	t.Parallel()
	a := newAPI(1)
	a.latency = 2 * time.Second
	testSecrets(t, a, func(t *secretsTest) {
		start := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			assert.Equal(t, http.StatusUnauthorized, post(t.handler, signedHeader(testID(2), vectorBody, testSecret(2)), vectorBody).Code)
		})
		<-time.After(time.Second)
		t.set(func() { t.webhooks[2] = true })
		for range 10 {
			all.Go(func() {
				assert.NoError(t, t.source.Refresh(t.Context()))
				secrets, err := t.source.Secrets(t.Context(), testID(2))
				assert.NoError(t, err)
				assert.Len(t, secrets, 1)
			})
		}
		all.Wait()
		assert.Equal(t, 2, t.count(), "one listing for all callers")
		assert.Equal(t, 4*time.Second, time.Since(start), "one listing at a time")
	})
}

func TestCachedSecrets_Refresh_context(t *testing.T) {
	t.Parallel()
	testSecrets(t, newAPI(1), func(t *secretsTest) {
		t.set(func() { t.latency = 2 * time.Second })
		for range 2 { // a new listing, then the listing in flight
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
			require.ErrorIs(t, t.source.Refresh(ctx), context.DeadlineExceeded)
			cancel()
		}
		<-time.After(2 * time.Second)
		assert.Equal(t, http.StatusAccepted, t.deliver(1), "the listing went on")
		assert.Equal(t, 1, t.count())
	})
}
