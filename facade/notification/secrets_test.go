package notification_test

import (
	"context"
	"errors"
	"io"
	"net/http"
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

// texts reveals secrets, to compare them.
func texts(secrets []facade.Secret) []string {
	var all []string
	for _, s := range secrets {
		all = append(all, s.Reveal())
	}
	return all
}

func TestStaticSecretsAreForEveryWebhook(t *testing.T) {
	t.Parallel()
	source := notification.StaticSecrets(secretOf(1), facade.Secret{}, secretOf(2))
	for _, id := range []string{"", webhookID, "\x00"} {
		secrets, err := source.Secrets(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, texts([]facade.Secret{secretOf(1), secretOf(2)}), texts(secrets))
	}
}

func TestClientSecretsOfTheFake(t *testing.T) {
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
		n, err := v.Verify(t.Context(), signed(wh.ID, vectorBody, wh.SignatureSecret), []byte(vectorBody))
		require.NoError(t, err)
		assert.Equal(t, wh.ID, n.WebhookID)
		_, err = v.Verify(t.Context(), signed(wh.ID, vectorBody, webhooks[(i+1)%3].SignatureSecret), []byte(vectorBody))
		require.ErrorIs(t, err, notification.ErrBadSignature, "the secret is another webhook's")
	}
	_, err = v.Verify(t.Context(), signed(webhookID, vectorBody, webhooks[0].SignatureSecret), []byte(vectorBody))
	require.ErrorIs(t, err, notification.ErrNoSecret)
	_, err = v.Verify(t.Context(), signed("", vectorBody, webhooks[0].SignatureSecret), []byte(vectorBody))
	require.ErrorIs(t, err, notification.ErrNoSecret)
	assert.Len(t, server.Requests(), before+1, "one listing for all of them")
}

func TestClientSecretsNeedsAClient(t *testing.T) {
	t.Parallel()
	assert.PanicsWithValue(t, "apivideo: ClientSecrets: the client is nil", func() { notification.ClientSecrets(nil) })
}

// 100,000 deliveries with ids that nobody knows, from 100 senders within five
// minutes.
func TestAFloodOfUnknownIDsListsOnceIn30Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var listings []time.Time
		client := newClient(t, func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			listings = append(listings, time.Now())
			mu.Unlock()
			<-time.After(200 * time.Millisecond)
			return listOf(r, 2), nil
		})
		v, err := notification.NewVerifier(notification.ClientSecrets(client))
		require.NoError(t, err)
		handler := notification.NewHandler(v, accept)
		start := time.Now()
		var refused, accepted atomic.Int64
		var all sync.WaitGroup
		for sender := range 100 {
			all.Go(func() {
				header := signed("", vectorBody, secretOf(1))
				for i := range 1000 {
					header.Set(notification.HeaderWebhookID, strconv.Itoa(sender*1000+i))
					if post(handler, header, vectorBody).Code == http.StatusUnauthorized {
						refused.Add(1)
					}
					if i%100 == 99 { // a real one in between
						header.Set(notification.HeaderWebhookID, idOf(1))
						if post(handler, header, vectorBody).Code == http.StatusAccepted {
							accepted.Add(1)
						}
					}
					<-time.After(300 * time.Millisecond)
				}
			})
		}
		all.Wait()
		assert.Equal(t, int64(100_000), refused.Load())
		assert.Equal(t, int64(1000), accepted.Load())
		assert.LessOrEqual(t, len(listings), 1+int(time.Since(start)/(30*time.Second)))
		assert.GreaterOrEqual(t, len(listings), 9, "and each time anew")
		for i := range listings[1:] {
			assert.GreaterOrEqual(t, listings[i+1].Sub(listings[i]), 30*time.Second)
		}
	})
}

// A listing may take as long as it is allowed to: the time until the next one
// counts from its end.
func TestAListingIs30SecondsAfterTheEndOfTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		listings := 0
		client := newClient(t, func(r *http.Request) (*http.Response, error) {
			listings++
			<-time.After(10*time.Second - 1)
			return listOf(r, 2), nil
		})
		source := notification.ClientSecrets(client)
		ask := func() {
			t.Helper()
			secrets, err := source.Secrets(t.Context(), idOf(2))
			require.NoError(t, err)
			assert.Empty(t, secrets)
		}
		ask()
		<-time.After(30*time.Second - 1)
		ask()
		assert.Equal(t, 1, listings)
		<-time.After(1)
		ask()
		assert.Equal(t, 2, listings)
	})
}

func TestAnEmptyIDCausesNoListing(t *testing.T) {
	t.Parallel()
	source := notification.ClientSecrets(newClient(t, func(*http.Request) (*http.Response, error) {
		return nil, errors.New("it was asked")
	}))
	secrets, err := source.Secrets(t.Context(), "")
	require.NoError(t, err)
	assert.Empty(t, secrets)
}

// While a listing is stuck, those who are known are let through, and those who
// aren't wait as long as they like.
func TestAKnownIDWaitsForNoListing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := false
		var listings int
		client := newClient(t, func(r *http.Request) (*http.Response, error) {
			listings++
			if stuck {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return listOf(r, 2), nil
		})
		source := notification.ClientSecrets(client)
		secrets, err := source.Secrets(t.Context(), idOf(1))
		require.NoError(t, err)
		assert.Equal(t, texts([]facade.Secret{secretOf(1)}), texts(secrets))

		<-time.After(30 * time.Second)
		stuck = true
		start := time.Now()
		impatient, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err = source.Secrets(impatient, idOf(7)) // who also started the listing
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(start))

		_, err = source.Secrets(t.Context(), idOf(0))
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, time.Since(start), "it didn't wait")

		_, err = source.Secrets(t.Context(), idOf(7)) // joins the listing
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, time.Since(start), "a listing has ten seconds")
		assert.Equal(t, 2, listings)
	})
}

func TestAnOutageRejectsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var listings, total int
		down := true
		client := newClient(t, func(r *http.Request) (*http.Response, error) {
			listings++
			if down {
				return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
			}
			return listOf(r, total), nil
		})
		v, err := notification.NewVerifier(notification.ClientSecrets(client))
		require.NoError(t, err)
		handler := notification.NewHandler(v, accept)
		status := func(i int) int { return post(handler, signed(idOf(i), vectorBody, secretOf(i)), vectorBody).Code }

		// Nobody is known yet: try again.
		for range 3 {
			assert.Equal(t, http.StatusServiceUnavailable, status(0))
			_, err = v.Verify(t.Context(), signed(idOf(0), vectorBody, secretOf(0)), []byte(vectorBody))
			require.ErrorIs(t, err, facade.ErrServer)
			require.NotErrorIs(t, err, notification.ErrNoSecret)
			require.EqualError(t, err, "apivideo: the secret can't be had: ListWebhooks: 503 Service Unavailable")
		}
		assert.Equal(t, 1, listings, "not even an outage is asked about more often")

		down, total = false, 2
		<-time.After(30*time.Second - 1)
		assert.Equal(t, http.StatusServiceUnavailable, status(0))
		<-time.After(1)
		assert.Equal(t, http.StatusAccepted, status(0))
		assert.Equal(t, http.StatusAccepted, status(1))
		assert.Equal(t, http.StatusUnauthorized, status(2))
		assert.Equal(t, 2, listings)

		// Created meanwhile: unknown until the next listing may be made.
		total = 3
		assert.Equal(t, http.StatusUnauthorized, status(2))
		<-time.After(30 * time.Second)
		assert.Equal(t, http.StatusAccepted, status(2))

		// Down for an hour: whoever is known stays so.
		down = true
		for range 120 {
			<-time.After(30 * time.Second)
			assert.Equal(t, http.StatusServiceUnavailable, status(3))
			assert.Equal(t, http.StatusAccepted, status(0))
			assert.Equal(t, http.StatusAccepted, status(2))
		}

		// A deleted one goes with the next listing.
		down, total = false, 1
		<-time.After(30 * time.Second)
		assert.Equal(t, http.StatusUnauthorized, status(3))
		assert.Equal(t, http.StatusUnauthorized, status(2))
		assert.Equal(t, http.StatusAccepted, status(0))
	})
}

// The listing has a goroutine of its own, where nobody else recovers.
func TestAListingThatPanicsIsAFailure(t *testing.T) {
	t.Parallel()
	transport := roundTripper(func(*http.Request) (*http.Response, error) { panic("no: " + vectorSignature) })
	client, err := facade.NewClient("key", facade.WithHTTPClient(&http.Client{Transport: transport}),
		facade.WithTimeout(time.Millisecond)) // net/http waits for that long beside a transport that never returns
	require.NoError(t, err)
	source := notification.ClientSecrets(client)
	_, err = source.Secrets(t.Context(), webhookID)
	require.ErrorContains(t, err, "ended in a panic with a string")
	assert.NotContains(t, err.Error(), vectorSignature)
}

// A list that breaks off in the middle changes nothing.
func TestHalfAListIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		total, broken := 50, false
		client := newClient(t, func(r *http.Request) (*http.Response, error) {
			if broken && r.URL.Query().Get("currentPage") == "2" {
				return nil, io.ErrUnexpectedEOF
			}
			return listOf(r, total), nil
		})
		source := notification.ClientSecrets(client)
		_, err := source.Secrets(t.Context(), idOf(49))
		require.NoError(t, err)
		<-time.After(30 * time.Second)
		total, broken = 150, true
		_, err = source.Secrets(t.Context(), idOf(60))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		secrets, err := source.Secrets(t.Context(), idOf(49))
		require.NoError(t, err)
		assert.Len(t, secrets, 1)
	})
}

func TestClientSecretsKeepsSoMany(t *testing.T) {
	t.Parallel()
	requests := 0
	client := newClient(t, func(r *http.Request) (*http.Response, error) {
		requests++
		return listOf(r, 20_000), nil
	})
	source := notification.ClientSecrets(client)
	for i, want := range map[int]int{0: 1, 9999: 1, 10_000: 0, 19_999: 0} {
		secrets, err := source.Secrets(t.Context(), idOf(i))
		require.NoError(t, err)
		assert.Len(t, secrets, want)
	}
	assert.Equal(t, 100, requests, "what isn't kept isn't fetched")
}

// listWithoutSecret answers a list request for a webhook whose secret isn't shown.
// The service is known to leave members out at times.
func listWithoutSecret(r *http.Request, id string) *http.Response {
	body := `{"data":[{"webhookId":"` + id + `"}],"pagination":{"currentPage":1,"currentPageItems":1,"pageSize":100,"pagesTotal":1,"itemsTotal":1}}`
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

func TestAWebhookWithoutASecretIsUnknown(t *testing.T) {
	t.Parallel()
	client := newClient(t, func(r *http.Request) (*http.Response, error) { return listWithoutSecret(r, webhookID), nil })
	v, err := notification.NewVerifier(notification.ClientSecrets(client))
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), signed(webhookID, vectorBody, facade.Secret{}), []byte(vectorBody))
	require.ErrorIs(t, err, notification.ErrNoSecret)
}

// The source of the example doesn't take the place of another one for nothing.
func TestCreatedHereHidesNothing(t *testing.T) {
	t.Parallel()
	source := &createdHere{others: notification.StaticSecrets(secretOf(1))}
	source.Add(&facade.Webhook{ID: webhookID})
	secrets, err := source.Secrets(t.Context(), webhookID)
	require.NoError(t, err)
	assert.Equal(t, texts([]facade.Secret{secretOf(1)}), texts(secrets))
	source.Add(&facade.Webhook{ID: webhookID, SignatureSecret: secretOf(2)})
	secrets, err = source.Secrets(t.Context(), webhookID)
	require.NoError(t, err)
	assert.Equal(t, texts([]facade.Secret{secretOf(2)}), texts(secrets))
}

// Nor does it become unknown because a later listing leaves its secret out.
func TestASecretThatIsLeftOutStaysKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		leftOut := false
		client := newClient(t, func(r *http.Request) (*http.Response, error) {
			if leftOut {
				return listWithoutSecret(r, idOf(0)), nil
			}
			return listOf(r, 2), nil
		})
		source := notification.ClientSecrets(client)
		secretsOf := func(i int) []string {
			t.Helper()
			secrets, err := source.Secrets(t.Context(), idOf(i))
			require.NoError(t, err)
			return texts(secrets)
		}
		want := []string{secretOf(0).Reveal()}
		assert.Equal(t, want, secretsOf(0))
		leftOut = true
		for range 2 {
			<-time.After(30 * time.Second)
			assert.Empty(t, secretsOf(7), "which makes it list")
			assert.Equal(t, want, secretsOf(0))
			assert.Empty(t, secretsOf(1), "it isn't there any more")
		}
	})
}

// However many ask at once, for known and unknown ids, it is one listing.
func TestOneListingForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var listings atomic.Int64
		client := newClient(t, func(r *http.Request) (*http.Response, error) {
			listings.Add(1)
			<-time.After(time.Second)
			return listOf(r, 500), nil
		})
		source := notification.ClientSecrets(client)
		// The first one leaves at once, which is nothing to the others.
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := source.Secrets(gone, idOf(1))
		require.ErrorIs(t, err, context.Canceled)
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				secrets, err := source.Secrets(t.Context(), idOf(i))
				assert.NoError(t, err)
				assert.Equal(t, i < 500, len(secrets) == 1)
			})
		}
		all.Wait()
		assert.Equal(t, int64(5), listings.Load(), "the five pages of one listing")
	})
}
