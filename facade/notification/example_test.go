package notification_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

func ExampleNewHandler() {
	publish := func(_ context.Context, videoID, quality string) error {
		fmt.Println(videoID, "is ready in", quality)
		return nil
	}

	receiver := func(client *facade.Client) (http.Handler, error) {
		verifier, err := notification.NewVerifier(notification.ClientSecrets(client), notification.WithMaxAge(5*time.Minute))
		if err != nil {
			return nil, err
		}
		handle := func(ctx context.Context, n *notification.Notification) error {
			switch e := n.Event.(type) {
			case *notification.VideoEncodingQualityCompleted:
				return publish(ctx, e.VideoID, e.Quality) // the service retries after an error
			default:
				return nil // n.Type and n.Raw are set for unknown events, too
			}
		}
		return notification.NewHandler(verifier, handle,
			// Twice the maximum age, because emittedAt may be in the future.
			notification.WithDeduplicator(notification.NewMemoryDeduplicator(10*time.Minute, 100_000)),
			notification.WithHandlerLogger(slog.Default()),
		), nil
	}

	server := facadetest.NewServer()
	defer server.Close()
	client, ctx := server.Client(), context.Background()
	wh, err := client.CreateWebhook(ctx, params)
	if err != nil {
		log.Fatal(err)
	}
	handler, err := receiver(client)
	if err != nil {
		log.Fatal(err)
	}
	event := &notification.VideoEncodingQualityCompleted{EmittedAt: time.Now(), VideoID: "vi1", Encoding: "hls", Quality: "720p"}
	for range 2 { // the second delivery is a duplicate
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, facadetest.NewNotificationRequest(ctx, "/apivideo", wh.ID, wh.SignatureSecret, event))
		fmt.Println(w.Code)
	}
	// Output:
	// vi1 is ready in 720p
	// 202
	// 202
}

// A full queue responds with 503, and the service retries.
func ExampleNewHandler_unavailable() {
	queue := make(chan []byte, 1)
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	if err != nil {
		log.Fatal(err)
	}
	handler := notification.NewHandler(verifier, func(_ context.Context, n *notification.Notification) error {
		select {
		case queue <- n.Raw: // for a worker, see Decode
			return nil
		default:
			return fmt.Errorf("the queue is full: %w", notification.ErrUnavailable)
		}
	})

	for range 2 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, facadetest.NewNotificationRequest(context.Background(), "/apivideo", webhookID, secret, []byte(vectorBody)))
		fmt.Println(w.Code)
	}
	// Output:
	// 202
	// 503
}

// The reason for a rejection is logged and not sent to the client.
func ExampleWithHandlerLogger() {
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	if err != nil {
		log.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	handler := notification.NewHandler(verifier,
		func(context.Context, *notification.Notification) error { return nil },
		notification.WithHandlerLogger(logger),
	)

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, facadetest.NewNotificationRequest(context.Background(), "/apivideo", webhookID, facade.NewSecret("a guess"), []byte(vectorBody)))
	fmt.Print(w.Body)
	// Output:
	// level=INFO msg="apivideo: notification response" status=401 webhook_id=webhook_4XbQpGz7mWkT2nVr8sYcLd reason="apivideo: bad signature: it matches no secret (secrets: 1, bytes: 195)"
	// Unauthorized
}

func ExampleWithDeduplicator() {
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	if err != nil {
		log.Fatal(err)
	}
	calls := 0
	handler := notification.NewHandler(verifier,
		func(context.Context, *notification.Notification) error {
			if calls++; calls == 1 {
				return errors.New("the database is down")
			}
			return nil
		},
		notification.WithDeduplicator(notification.NewMemoryDeduplicator(5*time.Minute, 10_000)),
	)

	for range 3 { // the first call fails
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, facadetest.NewNotificationRequest(context.Background(), "/apivideo", webhookID, secret, []byte(vectorBody)))
		fmt.Println(w.Code, calls)
	}
	// Output:
	// 500 1
	// 202 2
	// 202 2
}

// Servers without NewHandler call the Deduplicator themselves.
func ExampleNewMemoryDeduplicator() {
	ctx := context.Background()
	dedup := notification.NewMemoryDeduplicator(5*time.Minute, 10_000)
	n, err := notification.Decode(webhookID, []byte(vectorBody))
	if err != nil {
		log.Fatal(err)
	}

	owner := rand.Text()
	state, err := dedup.Begin(ctx, n.ID(), owner, 5*time.Second)
	fmt.Println(state == notification.StateNew, err)
	state, err = dedup.Begin(ctx, n.ID(), rand.Text(), 5*time.Second)
	fmt.Println(state == notification.StateInProgress, err)

	if err := dedup.Done(ctx, n.ID(), owner); err != nil { // or Forget after a failure
		log.Fatal(err)
	}
	state, err = dedup.Begin(ctx, n.ID(), rand.Text(), 5*time.Second)
	fmt.Println(state == notification.StateHandled, err)
	// Output:
	// true <nil>
	// true <nil>
	// true <nil>
}

// keyValueStore is a common store with compare-and-set, for example Redis with a
// script for the two conditional operations.
type keyValueStore interface {
	// SetIfAbsent sets a value with an expiry. It returns the stored value.
	SetIfAbsent(ctx context.Context, key, value string, ttl time.Duration) (string, error)
	// SetIfEqual replaces the old value with a new value.
	SetIfEqual(ctx context.Context, key, old, value string, ttl time.Duration) error
	// DeleteIfEqual deletes a key that has the value.
	DeleteIfEqual(ctx context.Context, key, value string) error
}

// sharedDeduplicator is for all replicas of a receiver. The value of a claimed key
// is the owner.
type sharedDeduplicator struct{ store keyValueStore }

const handled = "handled"

func (d sharedDeduplicator) Begin(ctx context.Context, key, owner string, ttl time.Duration) (notification.State, error) {
	switch value, err := d.store.SetIfAbsent(ctx, key, owner, ttl); {
	case err != nil:
		return 0, err
	case value == owner:
		return notification.StateNew, nil
	case value == handled:
		return notification.StateHandled, nil
	default:
		return notification.StateInProgress, nil
	}
}

func (d sharedDeduplicator) Done(ctx context.Context, key, owner string) error {
	return d.store.SetIfEqual(ctx, key, owner, handled, 10*time.Minute) // twice the maximum age
}

func (d sharedDeduplicator) Forget(ctx context.Context, key, owner string) error {
	return d.store.DeleteIfEqual(ctx, key, owner)
}

// Replicas with a common URL need a common store. The directory
// examples/deduplicator has an implementation for database/sql.
func ExampleDeduplicator() {
	store := &memoryStore{values: make(map[string]string)}
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	if err != nil {
		log.Fatal(err)
	}
	for replica := range 2 {
		handler := notification.NewHandler(verifier,
			func(context.Context, *notification.Notification) error {
				fmt.Println("handled by replica", replica)
				return nil
			},
			notification.WithDeduplicator(sharedDeduplicator{store}),
		)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, facadetest.NewNotificationRequest(context.Background(), "/apivideo", webhookID, secret, []byte(vectorBody)))
		fmt.Println(w.Code)
	}
	// Output:
	// handled by replica 0
	// 202
	// 202
}

// memoryStore is a keyValueStore without expiry.
type memoryStore struct {
	mu     sync.Mutex
	values map[string]string
}

func (s *memoryStore) SetIfAbsent(_ context.Context, key, value string, _ time.Duration) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values[key] == "" {
		s.values[key] = value
	}
	return s.values[key], nil
}

func (s *memoryStore) SetIfEqual(_ context.Context, key, old, value string, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values[key] == old {
		s.values[key] = value
	}
	return nil
}

func (s *memoryStore) DeleteIfEqual(_ context.Context, key, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values[key] == value {
		delete(s.values, key)
	}
	return nil
}

func ExampleClientSecrets() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	verifier, err := notification.NewVerifier(notification.ClientSecrets(client))
	if err != nil {
		log.Fatal(err)
	}

	wh, err := client.CreateWebhook(context.Background(), params)
	if err != nil {
		log.Fatal(err)
	}
	body := []byte(vectorBody)
	n, err := verifier.Verify(context.Background(), signedHeader(wh.ID, vectorBody, wh.SignatureSecret), body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n.Type, n.WebhookID == wh.ID)
	// Output: video.encoding.quality.completed true
}

// A program that creates a webhook refreshes the secrets, so that the first
// notification is verified at once.
func ExampleCachedSecrets() {
	ctx := context.Background()
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	secrets := notification.ClientSecrets(client)
	if err := secrets.Refresh(ctx); err != nil { // fails for an invalid API key
		log.Fatal(err)
	}
	wh, err := client.CreateWebhook(ctx, params)
	if err != nil {
		log.Fatal(err)
	}
	known, err := secrets.Secrets(ctx, wh.ID)
	fmt.Println(len(known), err)

	if err := secrets.Refresh(ctx); err != nil {
		log.Fatal(err)
	}
	known, err = secrets.Secrets(ctx, wh.ID)
	fmt.Println(len(known), err)
	// Output:
	// 0 <nil>
	// 1 <nil>
}

var params = facade.CreateWebhookParams{
	URL:    "https://hooks.example.com/apivideo",
	Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
}

func ExampleNewVerifier() {
	_, err := notification.NewVerifier(notification.StaticSecrets(facade.NewSecret(os.Getenv("APIVIDEO_SIGNATURE_SECRET"))))
	fmt.Println(err)
	// Output: apivideo: NewVerifier: invalid argument: StaticSecrets has no secret, or only empty secrets
}

func ExampleWithMaxAge() {
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret), notification.WithMaxAge(5*time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	for _, age := range []time.Duration{0, time.Hour} {
		body := fmt.Sprintf(`{"type":"video.summary.generated","emittedAt":%q}`, time.Now().Add(-age).Format(time.RFC3339))
		_, err := verifier.Verify(context.Background(), signedHeader(webhookID, body, secret), []byte(body))
		fmt.Println(age, errors.Is(err, notification.ErrStale))
	}
	// Output:
	// 0s false
	// 1h0m0s true
}

func ExampleWithMaxBody() {
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret), notification.WithMaxBody(100))
	if err != nil {
		log.Fatal(err)
	}
	_, err = verifier.Verify(context.Background(), signedHeader(webhookID, vectorBody, secret), []byte(vectorBody))
	fmt.Println(err)
	// Output: apivideo: notification too large: 195 bytes, the limit is 100
}

func ExampleVerifier_Verify() {
	verifier, err := notification.NewVerifier(
		notification.StaticSecrets(facade.NewSecret("sig_sec_0000000000000000000000")),
		notification.WithMaxAge(5*time.Minute),
	)
	if err != nil {
		log.Fatal(err)
	}

	receive := func(ctx context.Context, header http.Header, body []byte) string {
		n, err := verifier.Verify(ctx, header, body)
		switch {
		case errors.Is(err, notification.ErrStale):
			return "too old, perhaps a replay"
		case err != nil:
			return err.Error()
		}
		return fmt.Sprint("accepted ", n.Type)
	}

	fmt.Println(receive(context.Background(), signedHeader(webhookID, vectorBody, secret), []byte(vectorBody)))
	fmt.Println(receive(context.Background(), http.Header{}, []byte(vectorBody)))
	// Output:
	// too old, perhaps a replay
	// apivideo: unsigned: the X-Api-Video-Signature header is missing or empty
}

// While a webhook is replaced, both secrets are valid.
func ExampleStaticSecrets_rotation() {
	oldSecret := facade.NewSecret("sig_sec_0000000000000000000000")
	newSecret := facade.NewSecret("sig_sec_1111111111111111111111")

	verifier, err := notification.NewVerifier(notification.StaticSecrets(oldSecret, newSecret))
	if err != nil {
		log.Fatal(err)
	}

	for _, secret := range []facade.Secret{oldSecret, newSecret, facade.NewSecret("sig_sec_2222222222222222222222")} {
		_, err := verifier.Verify(context.Background(), signedHeader(webhookID, vectorBody, secret), []byte(vectorBody))
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
	// apivideo: bad signature: it matches no secret (secrets: 2, bytes: 195)
}

// vault is a SecretSource in front of a store of secrets.
type vault map[string]facade.Secret

// Secrets returns no secret for an unknown webhook.
func (v vault) Secrets(_ context.Context, webhookID string) ([]facade.Secret, error) {
	if secret, ok := v[webhookID]; ok {
		return []facade.Secret{secret}, nil
	}
	return nil, nil
}

func ExampleSecretSource() {
	verifier, err := notification.NewVerifier(vault{webhookID: secret})
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range []string{webhookID, "another"} {
		_, err = verifier.Verify(context.Background(), signedHeader(id, vectorBody, secret), []byte(vectorBody))
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// apivideo: no signature secret for this webhook
}

// The service cannot change a secret, so a new webhook replaces the old webhook.
// During the replacement each event is delivered for both. The deliveries differ in
// their webhook ID and are not duplicates.
func Example_rotation() {
	ctx := context.Background()
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	secrets := notification.ClientSecrets(client)
	verifier, err := notification.NewVerifier(secrets)
	if err != nil {
		log.Fatal(err)
	}
	receiver := httptest.NewServer(notification.NewHandler(verifier,
		func(context.Context, *notification.Notification) error { return nil }))
	defer receiver.Close()
	old, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: receiver.URL, Events: params.Events})
	if err != nil {
		log.Fatal(err)
	}
	deliver := func() {
		for _, d := range server.Deliver(ctx, []byte(vectorBody)) {
			fmt.Println("old webhook:", d.WebhookID == old.ID, "delivered:", d.OK())
		}
	}
	deliver()

	// The webhook limit of the account must allow another webhook.
	if _, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: old.URL, Events: old.Events}); err != nil {
		log.Fatal(err)
	}
	if err := secrets.Refresh(ctx); err != nil {
		log.Fatal(err)
	}
	deliver()

	// The old secret is invalid after the next listing.
	if err := client.DeleteWebhook(ctx, old.ID); err != nil {
		log.Fatal(err)
	}
	if err := secrets.Refresh(ctx); err != nil {
		log.Fatal(err)
	}
	deliver()
	_, err = verifier.Verify(ctx, signedHeader(old.ID, vectorBody, old.SignatureSecret), []byte(vectorBody))
	fmt.Println(err)
	// Output:
	// old webhook: true delivered: true
	// old webhook: true delivered: true
	// old webhook: false delivered: true
	// old webhook: false delivered: true
	// apivideo: no signature secret for this webhook
}

// A server with its own responses and its own deduplication.
func ExampleVerifier_VerifyRequest() {
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	if err != nil {
		log.Fatal(err)
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		n, err := verifier.VerifyRequest(r)
		if err != nil {
			w.WriteHeader(notification.StatusCode(err)) // log err
			return
		}
		fmt.Println(n.ID(), n.Type)
		w.WriteHeader(http.StatusNoContent)
	}

	for _, secret := range []facade.Secret{secret, facade.NewSecret("a guess")} {
		w := httptest.NewRecorder()
		handler(w, facadetest.NewNotificationRequest(context.Background(), "/apivideo", webhookID, secret, []byte(vectorBody)))
		fmt.Println(w.Code)
	}
	// Output:
	// ed260ad8830262dad4928244383b3b9ab1d0735eed4987f892a9e2c9130ccdcd video.encoding.quality.completed
	// 204
	// 401
}

// A notification out of a queue has the same key as in the receiver.
func ExampleNotification_ID() {
	n, err := notification.Decode("webhook_1", []byte(`{"type":"video.summary.generated"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n.ID())
	// Output: 0a4efdebebd1afa23580c88500d247a6b5b2d87bda389b0d5462ab771c46110a
}

func ExampleStatusCode() {
	for _, err := range []error{nil, notification.ErrBadSignature, notification.ErrMalformed, notification.ErrUnavailable} {
		fmt.Println(notification.StatusCode(err), err)
	}
	// Output:
	// 202 <nil>
	// 401 bad signature
	// 400 malformed notification
	// 503 unavailable
}

// A test of a receiver signs its notifications.
func ExampleSign() {
	secret := facade.NewSecret("sig_sec_0000000000000000000000")
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	if err != nil {
		log.Fatal(err)
	}
	handler := notification.NewHandler(verifier, func(context.Context, *notification.Notification) error { return nil })

	body := `{"type":"video.caption.generated","emittedAt":"2024-08-08T14:12:18+00:00","videoId":"vi1","captionId":"ca1"}`
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/apivideo", strings.NewReader(body))
	r.Header.Set(notification.HeaderWebhookID, "webhook_4XbQpGz7mWkT2nVr8sYcLd")
	r.Header.Set(notification.HeaderSignature, notification.Sign([]byte(body), secret))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output: 202
}

// A worker decodes the body that a receiver has verified and put into a queue.
func ExampleDecode() {
	work := func(webhookID string, stored []byte) error {
		n, err := notification.Decode(webhookID, stored) // no verification
		if err != nil {
			return err
		}
		if e, ok := n.Event.(*notification.VideoEncodingQualityCompleted); ok {
			fmt.Println(e.VideoID, e.Encoding, e.Quality)
		}
		return nil
	}
	if err := work(webhookID, []byte(vectorBody)); err != nil {
		log.Fatal(err)
	}
	// Output: vi0000000000000000000000 hls 720p
}
