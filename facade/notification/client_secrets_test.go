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

// fault replaces a response. Nil leaves the response unchanged.
type fault func() (*http.Response, error)

var errAPI = errors.New("connection refused")

func refuse() (*http.Response, error) { return nil, errAPI }

// setFaults sets the faults of the requests from now on.
func (a *api) setFaults(faults ...fault) { a.requests, a.faults = nil, faults }

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	var fault fault
	if len(a.faults) > 0 {
		fault = a.faults[len(a.requests)%len(a.faults)]
	}
	a.requests = append(a.requests, time.Now())
	page, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
	total := len(a.webhooks)
	var items []string
	for _, i := range a.webhooks[100*(page-1) : min(100*page, total)] {
		item := fmt.Sprintf(`{"webhookId":%q,"signatureSecret":%q}`, testID(i), testSecret(i).Reveal())
		if a.hidden {
			item = fmt.Sprintf(`{"webhookId":%q}`, testID(i))
		}
		items = append(items, item)
	}
	select {
	case <-time.After(a.latency):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if fault != nil {
		return fault()
	}
	body := fmt.Sprintf(`{"data":[%s],"pagination":{"currentPage":%d,"currentPageItems":%d,"pageSize":100,`+
		`"pagesTotal":%d,"itemsTotal":%d}}`, strings.Join(items, ","), page, len(items), (total+99)/100, total)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// secrets returns ClientSecrets for the service.
func (a *api) secrets(t *testing.T) *notification.CachedSecrets {
	t.Helper()
	client, err := facade.NewClient("testkey-Zm9yZ2V0bWVub3Q", facade.WithHTTPClient(&http.Client{Transport: a}),
		facade.WithRetry(facade.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	return notification.ClientSecrets(client)
}

// secretsTest is a test with the secrets of an account.
type secretsTest struct {
	*testing.T
	*api
	*notification.CachedSecrets
}

// testSecrets runs test with a fake clock. The account has webhook 1.
func testSecrets(t *testing.T, test func(t *secretsTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &api{webhooks: []int{1}}
		test(&secretsTest{t, a, a.secrets(t)})
		<-time.After(time.Minute) // for listings in the background
	})
}

// assertKnown asserts that each webhook has its secret.
func (t *secretsTest) assertKnown(webhooks ...int) {
	t.Helper()
	for _, i := range webhooks {
		secrets, err := t.Secrets(t.Context(), testID(i))
		assert.NoError(t, err)
		assert.Equal(t, []facade.Secret{testSecret(i)}, secrets, "webhook %d", i)
		synctest.Wait() // for a listing in the background
	}
}

// assertUnknown asserts that a webhook has no secret.
func (t *secretsTest) assertUnknown(webhook int) {
	t.Helper()
	secrets, err := t.Secrets(t.Context(), testID(webhook))
	assert.NoError(t, err)
	assert.Empty(t, secrets, "webhook %d", webhook)
}

// assertError asserts the error for a webhook that may be new, so that the service retries.
func (t *secretsTest) assertError(webhook int, want string) {
	t.Helper()
	_, err := t.Secrets(t.Context(), testID(webhook))
	require.ErrorContains(t, err, want)
	assertNoSecrets(t.T, err.Error())
}

// The replacement of a leaked secret in the documented order.
func TestClientSecrets_revokedSecret(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.assertKnown(1)
		<-time.After(time.Minute)
		t.webhooks = []int{1, 2}
		t.assertKnown(2)
		t.webhooks = []int{2}
		<-time.After(10*time.Minute - 1)
		t.assertKnown(1, 2)
		assert.Len(t, t.requests, 2, "the list is not old enough")
		<-time.After(1)
		t.latency = 8 * time.Second
		start := time.Now()
		for range 100 {
			t.assertKnown(1, 2)
		}
		assert.Equal(t, start, time.Now(), "the listing is in the background")
		<-time.After(9 * time.Second)
		t.assertUnknown(1)
		t.assertKnown(2)
		assert.Len(t, t.requests, 3)
	})
}

// A stranger sends a made-up ID ten times a second.
func TestClientSecrets_interval(t *testing.T) {
	t.Parallel()
	limited := func() (*http.Response, error) {
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
		"429 with Retry-After": {0, []fault{limited}, []int{0, 20, 40, 60}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSecrets(t, func(t *secretsTest) {
				t.assertKnown(1)
				<-time.After(5 * time.Second)
				t.setFaults(test.faults...)
				t.latency = test.latency
				start, listings := time.Now(), []int{}
				for len(t.requests) < len(test.want) {
					_, err := t.Secrets(t.Context(), "made up")
					failed := test.faults[(len(t.requests)-1)%len(test.faults)] != nil
					assert.Equal(t, failed, err != nil, "also between listings")
					t.assertKnown(1)
					<-time.After(time.Second / 10)
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
		t.assertKnown(1)
		<-time.After(5 * time.Second)
		t.latency = time.Hour
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := t.Secrets(ctx, testID(2))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, t.Refresh(ctx), context.DeadlineExceeded, "waits for the listing in flight")
		t.assertKnown(1)
		assert.Equal(t, 3*time.Second, time.Since(start), "a known ID does not wait")
		t.assertError(2, "context deadline exceeded") // joins the listing
		assert.Equal(t, 10*time.Second, time.Since(start), "a listing takes at most 10 seconds")
		t.latency, t.webhooks = time.Second, []int{1, 2}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		require.ErrorIs(t, t.Refresh(ctx), context.DeadlineExceeded)
		<-time.After(time.Second)
		t.assertKnown(2)
		assert.Len(t, t.requests, 3, "the listing of Refresh went on")
	})
}

// Later notifications of known and new webhooks are accepted.
func TestClientSecrets_failures(t *testing.T) {
	t.Parallel()
	panics := func(value any) fault { return func() (*http.Response, error) { panic(value) } }
	goexit := func() (*http.Response, error) {
		defer runtime.Goexit()
		return refuse()
	}
	for want, fault := range map[string]fault{
		"connection refused":                                 refuse,
		"the listing ended its goroutine":                    goexit,
		"the listing panicked with a string":                 panics("no: " + vectorSignature),
		"the listing panicked with a *runtime.PanicNilError": panics(nil),
		"the listing panicked with a *errors.errorString":    panics(http.ErrAbortHandler),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			testSecrets(t, func(t *secretsTest) {
				t.setFaults(fault)
				t.assertError(1, want)
				require.ErrorContains(t, t.Refresh(t.Context()), want)
				t.setFaults()
				<-time.After(5 * time.Second)
				t.assertKnown(1)
				t.setFaults(fault)
				for range 24 {
					<-time.After(time.Hour)
					t.assertKnown(1)
					t.assertError(2, want)
				}
				t.setFaults()
				t.webhooks = []int{2}
				<-time.After(5 * time.Second)
				t.assertKnown(2)
				t.assertUnknown(1)
			})
		})
	}
}

func TestClientSecrets_lists(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		// An empty ID causes no listing.
		secrets, err := t.Secrets(t.Context(), "")
		require.NoError(t, err)
		assert.Empty(t, secrets)
		assert.Empty(t, t.requests)

		// A webhook without a secret in the response keeps the known one.
		t.hidden = true
		t.assertUnknown(1)
		t.hidden, t.webhooks = false, []int{1, 2}
		require.NoError(t, t.Refresh(t.Context()))
		t.hidden, t.webhooks = true, []int{1}
		for range 2 {
			require.NoError(t, t.Refresh(t.Context()))
			t.assertKnown(1)
			t.assertUnknown(2)
		}

		// A list without its second page changes nothing.
		t.hidden, t.webhooks = false, make([]int, 150)
		t.setFaults(nil, refuse)
		require.ErrorIs(t, t.Refresh(t.Context()), errAPI)
		t.assertKnown(1)

		// A list of 20,000 webhooks is cut after 100 pages.
		t.setFaults()
		for i := range 20_000 {
			t.webhooks = append(t.webhooks[:i], i)
		}
		require.NoError(t, t.Refresh(t.Context()))
		t.assertKnown(0, 9_999)
		t.assertUnknown(10_000)
		assert.Len(t, t.requests, 100)
	})
}

// A listing that began before the webhook was created is not enough for Refresh.
func TestCachedSecrets_Refresh(t *testing.T) {
	t.Parallel()
	testSecrets(t, func(t *secretsTest) {
		t.latency = 2 * time.Second
		start := time.Now()
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() { t.assertUnknown(2 + i) })
		}
		<-time.After(time.Second)
		synctest.Wait()
		t.webhooks = []int{1, 2}
		for range 10 {
			all.Go(func() {
				assert.NoError(t, t.Refresh(t.Context()))
				secrets, err := t.Secrets(t.Context(), testID(2))
				assert.NoError(t, err)
				assert.Len(t, secrets, 1)
			})
		}
		all.Wait()
		assert.Len(t, t.requests, 2, "one listing for all callers")
		assert.Equal(t, 4*time.Second, time.Since(start), "one listing at a time")
		t.setFaults(refuse)
		require.ErrorIs(t, t.Refresh(t.Context()), errAPI)
		t.assertKnown(1, 2)
		t.setFaults()
		require.NoError(t, t.Refresh(t.Context()), "at once after a failure")
	})
}
