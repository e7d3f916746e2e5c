package notification_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// api is the transport to a service in memory. Tests change it between requests.
type api struct {
	webhooks []int // the numbers of testID and testSecret
	hidden   bool  // responses lack the secrets
	latency  time.Duration
	faults   []fault // of the requests in turn
	requests []time.Time
}

// fault replaces a response. Nil leaves the right response.
type fault func() (*http.Response, error)

var errAPI = errors.New("connection refused")

func refuse() (*http.Response, error) { return nil, errAPI }

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	var fault fault
	if len(a.faults) > 0 {
		fault = a.faults[len(a.requests)%len(a.faults)]
	}
	a.requests = append(a.requests, time.Now())
	page, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
	var items []string
	for _, i := range a.webhooks[min(100*(page-1), len(a.webhooks)):min(100*page, len(a.webhooks))] {
		item := fmt.Sprintf(`{"webhookId":%q,"signatureSecret":%q}`, testID(i), testSecret(i).Reveal())
		if a.hidden {
			item = fmt.Sprintf(`{"webhookId":%q}`, testID(i))
		}
		items = append(items, item)
	}
	body := fmt.Sprintf(`{"data":[%s],"pagination":{"currentPage":%d,"currentPageItems":%d,"pageSize":100,`+
		`"pagesTotal":%d,"itemsTotal":%d}}`, strings.Join(items, ","), page, len(items),
		max(1, (len(a.webhooks)+99)/100), len(a.webhooks))
	select {
	case <-time.After(a.latency):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if fault != nil {
		return fault()
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// client returns a client for the service, without retries.
func (a *api) client(t *testing.T) *facade.Client {
	t.Helper()
	client, err := facade.NewClient("testkey-Zm9yZ2V0bWVub3Q", facade.WithHTTPClient(&http.Client{Transport: a}),
		facade.WithRetry(facade.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	return client
}

// fail sets the faults of the requests from now on.
func (a *api) fail(faults ...fault) { a.requests, a.faults = nil, faults }

// secretsTest has ClientSecrets for a service, and a handler with them.
type secretsTest struct {
	*testing.T
	*api
	source  *notification.CachedSecrets
	handler http.Handler
}

// testSecrets runs test with a fake clock. The account has webhook 1.
func testSecrets(t *testing.T, test func(t *secretsTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &api{webhooks: []int{1}}
		source := notification.ClientSecrets(a.client(t))
		test(&secretsTest{t, a, source, notification.NewHandler(verifierWith(t, source), accept)})
		<-time.After(time.Minute) // for listings in the background
	})
}

// deliver asserts the status of a notification for each webhook.
func (t *secretsTest) deliver(status int, webhooks ...int) {
	t.Helper()
	for _, i := range webhooks {
		header := signedHeader(testID(i), vectorBody, testSecret(i))
		assert.Equal(t, status, deliver(t.handler, header, vectorBody).Code, "webhook %d", i)
		synctest.Wait() // for a listing in the background
	}
}

// refresh lists the webhooks.
func (t *secretsTest) refresh() {
	t.Helper()
	require.NoError(t, t.source.Refresh(t.Context()))
}

// secrets asserts the number of secrets of a webhook.
func (t *secretsTest) secrets(want, webhook int) {
	t.Helper()
	secrets, err := t.source.Secrets(t.Context(), testID(webhook))
	assert.NoError(t, err)
	assert.Len(t, secrets, want, "webhook %d", webhook)
}

// The replacement of a leaked secret in the documented order.
func TestClientSecrets_revokedSecret(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.deliver(http.StatusAccepted, 1)
		<-time.After(time.Minute)
		t.webhooks = []int{1, 2}
		t.deliver(http.StatusAccepted, 2)
		t.webhooks = []int{2}
		<-time.After(10*time.Minute - 1)
		t.deliver(http.StatusAccepted, 1, 2)
		assert.Len(t, t.requests, 2, "the list is not old enough")
		<-time.After(1)
		t.latency = 9 * time.Second
		start := time.Now()
		for range 100 {
			t.deliver(http.StatusAccepted, 1, 2)
		}
		assert.Equal(t, start, time.Now(), "the listing is in the background")
		<-time.After(10 * time.Second)
		t.deliver(http.StatusUnauthorized, 1)
		t.deliver(http.StatusAccepted, 2)
		assert.Len(t, t.requests, 3)
	})
}

func TestClientSecrets_webhookIDs(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		header := signedHeader("", vectorBody, testSecret(1))
		assert.Equal(t, http.StatusUnauthorized, deliver(t.handler, header, vectorBody).Code)
		assert.Empty(t, t.requests, "an empty ID causes no listing")
		t.webhooks = []int{1, 2}
		t.deliver(http.StatusAccepted, 1, 2)
		header = signedHeader(testID(1), vectorBody, testSecret(2)) // the secret of another webhook
		assert.Equal(t, http.StatusUnauthorized, deliver(t.handler, header, vectorBody).Code)
	})
}

// The API fails for a day.
func TestClientSecrets_outage(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.webhooks = []int{1, 2}
		t.refresh()
		t.fail(refuse)
		for range 24 {
			<-time.After(time.Hour)
			t.deliver(http.StatusAccepted, 1, 2)
			t.deliver(http.StatusServiceUnavailable, 3) // it may be new
		}
		t.fail()
		t.webhooks = []int{2}
		<-time.After(5 * time.Second)
		t.deliver(http.StatusAccepted, 2)
		t.deliver(http.StatusUnauthorized, 1)
	})
}

// A stranger sends a made-up ID each second.
func TestClientSecrets_interval(t *testing.T) {
	t.Parallel()
	refused := func() (*http.Response, error) {
		header := http.Header{"Retry-After": {"20"}}
		return &http.Response{StatusCode: http.StatusTooManyRequests, Header: header, Body: http.NoBody}, nil
	}
	for name, test := range map[string]struct {
		latency time.Duration
		faults  []fault
		want    []int // the seconds of the first listings
	}{
		"fast":                 {0, []fault{nil}, []int{0, 5, 10, 15}},
		"slow":                 {3 * time.Second, []fault{nil}, []int{0, 8, 16, 24}},
		"outage":               {0, []fault{refuse}, []int{0, 1, 6, 11}},
		"every second fails":   {0, []fault{nil, refuse}, []int{0, 5, 6, 11, 12}},
		"429 with Retry-After": {0, []fault{refused}, []int{0, 20, 40, 60}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSecrets(t, func(t *secretsTest) {
				t.refresh()
				<-time.After(5 * time.Second)
				t.fail(test.faults...)
				t.latency = test.latency
				start, listings := time.Now(), []int{}
				for len(t.requests) < len(test.want) {
					status := deliver(t.handler, signedHeader("made up", vectorBody, testSecret(1)), vectorBody).Code
					failed := test.faults[(len(t.requests)-1)%len(test.faults)] != nil
					assert.Equal(t, failed, status == http.StatusServiceUnavailable)
					assert.Equal(t, !failed, status == http.StatusUnauthorized)
					t.deliver(http.StatusAccepted, 1)
					<-time.After(time.Second)
				}
				for _, at := range t.requests {
					listings = append(listings, int(at.Sub(start)/time.Second))
				}
				assert.Equal(t, test.want, listings)
			})
		})
	}
}

func TestClientSecrets_context(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.refresh()
		<-time.After(5 * time.Second)
		t.latency = time.Hour
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := t.source.Secrets(ctx, testID(2))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, t.source.Refresh(ctx), context.DeadlineExceeded, "waits for the listing in flight")
		t.secrets(1, 1)
		assert.Equal(t, 3*time.Second, time.Since(start), "a known ID does not wait")
		_, err = t.source.Secrets(t.Context(), testID(2)) // joins the listing
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, time.Since(start), "a listing takes at most 10 seconds")
		assert.Len(t, t.requests, 2)
		t.latency, t.webhooks = time.Second, []int{1, 2}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		require.ErrorIs(t, t.source.Refresh(ctx), context.DeadlineExceeded)
		<-time.After(time.Second)
		t.secrets(1, 2)
		assert.Len(t, t.requests, 3, "the listing of Refresh went on")
	})
}

func TestClientSecrets_concurrent(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.latency = time.Second
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() { t.secrets(map[int]int{1: 1}[i], i) })
		}
		all.Wait()
		assert.Len(t, t.requests, 1)
	})
}

// Later notifications of known and new webhooks are accepted.
func TestClientSecrets_brokenTransport(t *testing.T) {
	t.Parallel()
	panics := func(value any) fault { return func() (*http.Response, error) { panic(value) } }
	for name, test := range map[string]struct {
		fault fault
		want  string
	}{
		"panic":       {panics("no: " + vectorSignature), "the listing panicked with a string"},
		"nil panic":   {panics(nil), "the listing panicked with a *runtime.PanicNilError"},
		"abort panic": {panics(http.ErrAbortHandler), "the listing panicked with a *errors.errorString"},
		"Goexit":      {func() (*http.Response, error) { runtime.Goexit(); return nil, errAPI }, "the listing ended its goroutine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSecrets(t, func(t *secretsTest) {
				t.fail(test.fault)
				_, err := t.source.Secrets(t.Context(), testID(1))
				require.ErrorContains(t, err, test.want)
				assertNoSecrets(t.T, err.Error())
				t.deliver(http.StatusServiceUnavailable, 1)
				require.Error(t, t.source.Refresh(t.Context()))
				t.fail()
				<-time.After(5 * time.Second)
				t.deliver(http.StatusAccepted, 1)
				t.fail(test.fault)
				<-time.After(10 * time.Minute)
				t.deliver(http.StatusAccepted, 1, 1) // known while the refresh fails
				t.fail()
				t.webhooks = []int{1, 2}
				<-time.After(5 * time.Second)
				t.deliver(http.StatusAccepted, 1, 2)
			})
		})
	}
}

func TestClientSecrets_brokenSecondPage(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.refresh()
		t.webhooks = make([]int, 150) // without webhook 1
		t.fail(nil, refuse)
		require.ErrorIs(t, t.source.Refresh(t.Context()), errAPI)
		t.secrets(1, 1)
	})
}

func TestClientSecrets_limit(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.webhooks = nil
		for i := range 20_000 {
			t.webhooks = append(t.webhooks, i)
		}
		t.secrets(1, 0)
		t.secrets(1, 9_999)
		t.secrets(0, 10_000)
		assert.Len(t, t.requests, 100, "no page beyond the limit")
	})
}

func TestClientSecrets_webhookWithoutSecret(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.webhooks, t.hidden = []int{1, 2}, true
		t.deliver(http.StatusUnauthorized, 1)
		t.hidden = false
		t.refresh()
		t.hidden, t.webhooks = true, []int{1}
		for range 2 {
			t.refresh()
			t.deliver(http.StatusAccepted, 1)     // keeps the known secret
			t.deliver(http.StatusUnauthorized, 2) // was deleted
		}
	})
}

func TestCachedSecrets_Refresh(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.refresh()
		t.webhooks = []int{2}
		t.refresh() // at once
		t.deliver(http.StatusAccepted, 2)
		t.deliver(http.StatusUnauthorized, 1)
		assert.Len(t, t.requests, 2)
		t.fail(refuse)
		require.ErrorIs(t, t.source.Refresh(t.Context()), errAPI)
		t.deliver(http.StatusAccepted, 2)
		t.fail()
		t.refresh() // at once after a failure
	})
}

// A listing that began before the webhook was created is not enough.
func TestCachedSecrets_Refresh_duringListing(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.latency = 2 * time.Second
		start := time.Now()
		var all sync.WaitGroup
		all.Go(func() { t.secrets(0, 2) })
		<-time.After(time.Second)
		t.webhooks = []int{1, 2}
		for range 10 {
			all.Go(func() {
				assert.NoError(t, t.source.Refresh(t.Context()))
				t.secrets(1, 2)
			})
		}
		all.Wait()
		assert.Len(t, t.requests, 2, "one listing for all callers")
		assert.Equal(t, 4*time.Second, time.Since(start), "one listing at a time")
	})
}
