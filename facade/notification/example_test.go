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
				return publish(ctx, e.VideoID, e.Quality) // an error makes the service try again
			default:
				return nil // n.Type and n.Raw tell of what isn't known here
			}
		}
		return notification.NewHandler(verifier, handle,
			// Twice the age, so that no gap is left.
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
	for range 2 { // the second is a duplicate
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, facadetest.NewNotificationRequest(ctx, "/apivideo", wh.ID, wh.SignatureSecret, event))
		fmt.Println(w.Code)
	}
	// Output:
	// vi1 is ready in 720p
	// 202
	// 202
}

// What is needed is out of reach: the service is told so and tries again.
func ExampleNewHandler_unavailable() {
	queue := make(chan []byte, 1)
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	if err != nil {
		log.Fatal(err)
	}
	handler := notification.NewHandler(verifier, func(_ context.Context, n *notification.Notification) error {
		select {
		case queue <- n.Raw: // a worker decodes it, see Decode
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

// The reason of a refusal is for the log. Whoever sent it isn't told.
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
	// level=INFO msg="apivideo: notification answered" status=401 webhook_id=webhook_4XbQpGz7mWkT2nVr8sYcLd reason="apivideo: bad signature: no secret has signed this body"
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
				return errors.New("not this time")
			}
			return nil
		},
		notification.WithDeduplicator(notification.NewMemoryDeduplicator(5*time.Minute, 10_000)),
	)

	for range 3 { // what failed is tried again, what was handled is not
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, facadetest.NewNotificationRequest(context.Background(), "/apivideo", webhookID, secret, []byte(vectorBody)))
		fmt.Println(w.Code, calls)
	}
	// Output:
	// 500 1
	// 202 2
	// 202 2
}

// What NewHandler does with a deduplicator, for other servers.
func ExampleNewMemoryDeduplicator() {
	ctx := context.Background()
	dedup := notification.NewMemoryDeduplicator(5*time.Minute, 10_000)

	state, err := dedup.Begin(ctx, "a key")
	fmt.Println(state == notification.StateNew, err)
	state, err = dedup.Begin(ctx, "a key")
	fmt.Println(state == notification.StateInProgress, err)

	if err := dedup.Done(ctx, "a key"); err != nil { // or Forget, if it failed
		log.Fatal(err)
	}
	state, err = dedup.Begin(ctx, "a key")
	fmt.Println(state == notification.StateHandled, err)
	// Output:
	// true <nil>
	// true <nil>
	// true <nil>
}

// store is what a shared store has to offer: Redis does with SET NX PX, SET PX and DEL,
// a database with a row that has a time in it.
type store interface {
	// Claim sets a key that isn't there, and returns the value that is there then.
	Claim(ctx context.Context, key, value string, life time.Duration) (string, error)
	Set(ctx context.Context, key, value string, life time.Duration) error
	Delete(ctx context.Context, key string) error
}

// shared deduplicates for all replicas of a receiver.
type shared struct{ store store }

const (
	// claimed is how long the claim of a replica holds that has died. It is longer
	// than the function ever runs, which has to see to that, and shorter than the
	// service keeps trying: it gives up after about ten seconds.
	claimed = 5 * time.Second
	// handled is twice the age that the verifier takes.
	handled = 10 * time.Minute
)

func (d *shared) Begin(ctx context.Context, key string) (notification.State, error) {
	mine := rand.Text()
	switch value, err := d.store.Claim(ctx, key, mine, claimed); {
	case err != nil:
		return 0, err
	case value == mine:
		return notification.StateNew, nil
	case value == "handled":
		return notification.StateHandled, nil
	default:
		return notification.StateInProgress, nil
	}
}

func (d *shared) Done(ctx context.Context, key string) error {
	return d.store.Set(ctx, key, "handled", handled)
}

func (d *shared) Forget(ctx context.Context, key string) error {
	return d.store.Delete(ctx, key)
}

// Several processes behind one url share a store.
func ExampleDeduplicator() {
	store := &storeInMemory{values: make(map[string]string)}
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
			notification.WithDeduplicator(&shared{store: store}),
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

// storeInMemory stands for the shared store. It forgets nothing.
type storeInMemory struct {
	mu     sync.Mutex
	values map[string]string
}

func (s *storeInMemory) Claim(_ context.Context, key, value string, _ time.Duration) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values[key] == "" {
		s.values[key] = value
	}
	return s.values[key], nil
}

func (s *storeInMemory) Set(_ context.Context, key, value string, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
	return nil
}

func (s *storeInMemory) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, key)
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
	n, err := verifier.Verify(context.Background(), signed(wh.ID, vectorBody, wh.SignatureSecret), body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n.Type, n.WebhookID == wh.ID)
	// Output: video.encoding.quality.completed true
}

var params = facade.CreateWebhookParams{
	URL:    "https://hooks.example.com/apivideo",
	Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
}

func ExampleNewVerifier() {
	_, err := notification.NewVerifier(notification.StaticSecrets(facade.NewSecret(os.Getenv("APIVIDEO_SIGNATURE_SECRET"))))
	fmt.Println(err)
	// Output: apivideo: NewVerifier: invalid argument: StaticSecrets has no secret, or only empty ones
}

func ExampleWithMaxAge() {
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret), notification.WithMaxAge(5*time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	for _, age := range []time.Duration{0, time.Hour} {
		body := fmt.Sprintf(`{"type":"video.summary.generated","emittedAt":%q}`, time.Now().Add(-age).Format(time.RFC3339))
		_, err := verifier.Verify(context.Background(), signed(webhookID, body, secret), []byte(body))
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
	_, err = verifier.Verify(context.Background(), signed(webhookID, vectorBody, secret), []byte(vectorBody))
	fmt.Println(err)
	// Output: apivideo: notification too large: more than 100 bytes
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
			return "too old, or sent again by somebody"
		case err != nil:
			return err.Error()
		}
		return fmt.Sprint("take ", n.Type)
	}

	fmt.Println(receive(context.Background(), signed(webhookID, vectorBody, secret), []byte(vectorBody)))
	fmt.Println(receive(context.Background(), http.Header{}, []byte(vectorBody)))
	// Output:
	// too old, or sent again by somebody
	// apivideo: unsigned: there is no X-Api-Video-Signature header
}

// While a webhook is replaced, notifications come signed with either secret.
func ExampleStaticSecrets_rotation() {
	oldSecret := facade.NewSecret("sig_sec_0000000000000000000000")
	newSecret := facade.NewSecret("sig_sec_1111111111111111111111")

	verifier, err := notification.NewVerifier(notification.StaticSecrets(oldSecret, newSecret))
	if err != nil {
		log.Fatal(err)
	}

	for _, secret := range []facade.Secret{oldSecret, newSecret, facade.NewSecret("sig_sec_2222222222222222222222")} {
		_, err := verifier.Verify(context.Background(), signed(webhookID, vectorBody, secret), []byte(vectorBody))
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
	// apivideo: bad signature: no secret has signed this body
}

// createdHere knows the secrets of the webhooks that this program creates as soon
// as they exist, and asks another source for all others.
type createdHere struct {
	others  notification.SecretSource
	created sync.Map // of facade.Secret, by id
}

// Add is for what CreateWebhook returns. An answer that left the secret out must
// not hide the other source.
func (s *createdHere) Add(wh *facade.Webhook) {
	if !wh.SignatureSecret.IsZero() {
		s.created.Store(wh.ID, wh.SignatureSecret)
	}
}

// Secrets makes it a SecretSource.
func (s *createdHere) Secrets(ctx context.Context, webhookID string) ([]facade.Secret, error) {
	if secret, ok := s.created.Load(webhookID); ok {
		return []facade.Secret{secret.(facade.Secret)}, nil
	}
	return s.others.Secrets(ctx, webhookID)
}

// A program that creates webhooks while notifications arrive tells its verifier
// of them, since the next listing of ClientSecrets may be 30 seconds off.
func ExampleSecretSource() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	ctx := context.Background()

	source := &createdHere{others: notification.ClientSecrets(client)}
	verifier, err := notification.NewVerifier(source)
	if err != nil {
		log.Fatal(err)
	}
	// A stranger makes ClientSecrets list, just before the webhook is created.
	_, err = verifier.Verify(ctx, signed("who knows", vectorBody, secret), []byte(vectorBody))
	fmt.Println(err)

	wh, err := client.CreateWebhook(ctx, params)
	if err != nil {
		log.Fatal(err)
	}
	source.Add(wh)

	_, err = verifier.Verify(ctx, signed(wh.ID, vectorBody, wh.SignatureSecret), []byte(vectorBody))
	fmt.Println(err)
	// Output:
	// apivideo: no signature secret for this webhook
	// <nil>
}

// A secret can't be changed, so a new webhook takes the place of the old one. As
// long as there are both, each event comes twice, and not as a duplicate: it is for
// two webhooks.
func Example_rotation() {
	ctx := context.Background()
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	source := &createdHere{others: notification.ClientSecrets(client)}
	verifier, err := notification.NewVerifier(source)
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
			fmt.Println("old webhook:", d.WebhookID == old.ID, "delivered:", d.Delivered())
		}
	}
	deliver()

	// The account needs room for one more.
	fresh, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: old.URL, Events: old.Events})
	if err != nil {
		log.Fatal(err)
	}
	source.Add(fresh) // at once: the next listing may be 30 seconds off
	deliver()

	// What is under way for the old one is still taken, until the next listing.
	if err := client.DeleteWebhook(ctx, old.ID); err != nil {
		log.Fatal(err)
	}
	deliver()
	// Output:
	// old webhook: true delivered: true
	// old webhook: true delivered: true
	// old webhook: false delivered: true
	// old webhook: false delivered: true
}

// A test of one's own receiver signs what it sends.
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

// A worker decodes what a receiver verified and put into a queue.
func ExampleDecode() {
	work := func(webhookID string, stored []byte) error {
		n, err := notification.Decode(webhookID, stored) // verifies nothing
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
