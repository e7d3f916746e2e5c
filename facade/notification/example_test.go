package notification_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// must returns v. A program handles err instead.
func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// verifier has the secret of the deliveries in the examples.
var verifier = must(notification.NewVerifier(notification.StaticSecrets(secret)))

var params = facade.CreateWebhookParams{
	URL:    "https://hooks.example.com/apivideo",
	Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
}

func ExampleNewHandler() {
	server := facadetest.NewServer() // instead of the service
	defer server.Close()
	client, ctx := server.Client(), context.Background()
	wh := must(client.CreateWebhook(ctx, params))
	publish := func(_ context.Context, videoID, quality string) error {
		fmt.Println(videoID, "is ready in", quality)
		return nil
	}

	verifier := must(notification.NewVerifier(notification.ClientSecrets(client), notification.WithMaxAge(5*time.Minute)))
	handle := func(ctx context.Context, n *notification.Notification) error {
		switch e := n.Event.(type) {
		case *notification.VideoEncodingQualityCompleted:
			return publish(ctx, e.VideoID, e.Quality) // the service retries after an error
		default:
			return nil // n.Type and n.Raw are set for unknown events, too
		}
	}
	handler := notification.NewHandler(verifier, handle,
		// Twice the maximum age, because emittedAt may be in the future.
		notification.WithDeduplicator(notification.NewMemoryDeduplicator(10*time.Minute, 100_000)))

	event := &notification.VideoEncodingQualityCompleted{EmittedAt: time.Now(), VideoID: "vi1", Quality: "720p"}
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

// A worker decodes the body that a receiver has verified and put into a queue. A full
// queue responds with 503, and the service retries.
func ExampleDecode() {
	queue := make(chan []byte, 1)
	handler := notification.NewHandler(verifier, func(_ context.Context, n *notification.Notification) error {
		select {
		case queue <- n.Raw:
			return nil
		default:
			return fmt.Errorf("the queue is full: %w", notification.ErrUnavailable)
		}
	})
	for range 2 {
		fmt.Println(deliver(handler, vectorHeader(), vectorBody).Code)
	}

	n := must(notification.Decode(webhookID, <-queue)) // no verification
	if e, ok := n.Event.(*notification.VideoEncodingQualityCompleted); ok {
		fmt.Println(e.VideoID, e.Encoding, e.Quality)
	}
	// Output:
	// 202
	// 503
	// vi0000000000000000000000 hls 720p
}

// The reason for a rejection is logged and not sent to the client.
func ExampleWithHandlerLogger() {
	onlyReason := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "reason" {
			return a
		}
		return slog.Attr{}
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: onlyReason}))
	handler := notification.NewHandler(verifier, accept, notification.WithHandlerLogger(logger))
	fmt.Print(deliver(handler, http.Header{}, vectorBody).Body)
	// Output:
	// reason="apivideo: unsigned: the X-Api-Video-Signature header is missing or empty"
	// Unauthorized
}

func ExampleWithDeduplicator() {
	dedup := notification.NewMemoryDeduplicator(5*time.Minute, 10_000)
	handle := func(context.Context, *notification.Notification) error {
		return errors.New("the database is down") // the next delivery calls the function again
	}
	handler := notification.NewHandler(verifier, handle, notification.WithDeduplicator(dedup))
	fmt.Println(deliver(handler, vectorHeader(), vectorBody).Code)
	// Output: 500
}

// Servers without NewHandler call the Deduplicator themselves.
func ExampleNewMemoryDeduplicator() {
	dedup, ctx := notification.NewMemoryDeduplicator(5*time.Minute, 10_000), context.Background()
	n := must(notification.Decode(webhookID, []byte(vectorBody)))
	for _, owner := range []string{"owner 1", "owner 2"} { // rand.Text() is a good owner
		state, err := dedup.Begin(ctx, n.ID(), owner, 5*time.Second)
		fmt.Println(state == notification.StateNew, err)
	}
	if err := dedup.Done(ctx, n.ID(), "owner 1"); err != nil { // or Forget after a failure
		log.Fatal(err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

// sharedDeduplicator is for all replicas of a receiver. The value of a claimed key is the
// owner. The map stands for a common store with atomic operations, for example Redis.
type sharedDeduplicator struct{ store *sync.Map }

const handled = "handled"

func (d sharedDeduplicator) Begin(_ context.Context, key, owner string, _ time.Duration) (notification.State, error) {
	switch value, _ := d.store.LoadOrStore(key, owner); value { // expires after the ttl
	case owner:
		return notification.StateNew, nil
	case handled:
		return notification.StateHandled, nil
	default:
		return notification.StateInProgress, nil
	}
}

func (d sharedDeduplicator) Done(_ context.Context, key, owner string) error {
	d.store.CompareAndSwap(key, owner, handled) // expires after twice the maximum age
	return nil
}

func (d sharedDeduplicator) Forget(_ context.Context, key, owner string) error {
	d.store.CompareAndDelete(key, owner)
	return nil
}

// Replicas with a common URL need a common store. The directory examples/deduplicator
// has an implementation for database/sql.
func ExampleDeduplicator() {
	store := new(sync.Map)
	for replica := range 2 {
		handle := func(context.Context, *notification.Notification) error {
			fmt.Println("handled by replica", replica)
			return nil
		}
		handler := notification.NewHandler(verifier, handle, notification.WithDeduplicator(sharedDeduplicator{store}))
		fmt.Println(deliver(handler, vectorHeader(), vectorBody).Code)
	}
	// Output:
	// handled by replica 0
	// 202
	// 202
}

func ExampleClientSecrets() {
	server := facadetest.NewServer()
	defer server.Close()
	client, ctx := server.Client(), context.Background()
	verifier := must(notification.NewVerifier(notification.ClientSecrets(client)))

	wh := must(client.CreateWebhook(ctx, params))
	n, err := verifier.Verify(ctx, signedHeader(wh.ID, vectorBody, wh.SignatureSecret), []byte(vectorBody))
	fmt.Println(n.WebhookID == wh.ID, err)
	// Output: true <nil>
}

// The service cannot change a secret, so a new webhook replaces the old webhook.
// During the replacement each event is delivered for both. The deliveries differ in
// their webhook ID and are not duplicates.
func ExampleCachedSecrets_rotation() {
	ctx := context.Background()
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	secrets := notification.ClientSecrets(client)
	verifier := must(notification.NewVerifier(secrets))
	receiver := httptest.NewServer(notification.NewHandler(verifier, accept))
	defer receiver.Close()
	old := must(client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: receiver.URL, Events: params.Events}))
	deliver := func() {
		if err := secrets.Refresh(ctx); err != nil { // also fails for an invalid API key
			log.Fatal(err)
		}
		for _, d := range server.Deliver(ctx, []byte(vectorBody)) {
			fmt.Println(d.WebhookID == old.ID, d.OK()) // from the old webhook, and accepted
		}
	}
	deliver()

	// The webhook limit of the account must allow another webhook.
	must(client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: old.URL, Events: old.Events}))
	deliver()

	// The old secret is invalid after the next listing.
	if err := client.DeleteWebhook(ctx, old.ID); err != nil {
		log.Fatal(err)
	}
	deliver()
	known, err := secrets.Secrets(ctx, old.ID)
	fmt.Println(known, err)
	// Output:
	// true true
	// true true
	// false true
	// false true
	// [] <nil>
}

func ExampleNewVerifier() {
	_, err := notification.NewVerifier(notification.StaticSecrets(facade.NewSecret(os.Getenv("APIVIDEO_SECRET"))))
	fmt.Println(err)
	// Output: apivideo: NewVerifier: invalid argument: StaticSecrets has no secret, or only empty secrets
}

func ExampleWithMaxAge() {
	verifier := must(notification.NewVerifier(notification.StaticSecrets(secret), notification.WithMaxAge(5*time.Minute)))
	_, err := verifier.Verify(context.Background(), vectorHeader(), []byte(vectorBody)) // an event of 2021
	fmt.Println(errors.Is(err, notification.ErrStale))
	// Output: true
}

func ExampleWithMaxBody() {
	verifier := must(notification.NewVerifier(notification.StaticSecrets(secret), notification.WithMaxBody(100)))
	_, err := verifier.Verify(context.Background(), vectorHeader(), []byte(vectorBody))
	fmt.Println(err)
	// Output: apivideo: notification too large: 195 bytes, the limit is 100
}

// While a webhook is replaced, both secrets are valid.
func ExampleStaticSecrets_rotation() {
	secrets := []facade.Secret{facade.NewSecret("sig_sec_old"), facade.NewSecret("sig_sec_new")}
	verifier := must(notification.NewVerifier(notification.StaticSecrets(secrets...)))
	for _, secret := range append(secrets, facade.NewSecret("sig_sec_other")) {
		_, err := verifier.Verify(context.Background(), signedHeader(webhookID, vectorBody, secret), []byte(vectorBody))
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
	// apivideo: bad signature: it matches no secret (secrets: 2, bytes: 195)
}

// vault is a SecretSource in front of a store of secrets.
type vault map[string][]facade.Secret

func (v vault) Secrets(_ context.Context, webhookID string) ([]facade.Secret, error) {
	return v[webhookID], nil // no secret for an unknown webhook
}

func ExampleSecretSource() {
	verifier := must(notification.NewVerifier(vault{webhookID: {secret}}))
	_, err := verifier.Verify(context.Background(), signedHeader("another", vectorBody, secret), []byte(vectorBody))
	fmt.Println(err)
	// Output: apivideo: no signature secret for this webhook
}

// Servers with their own responses use VerifyRequest. Functions of cloud providers use
// Verify, with the headers in any spelling.
func ExampleVerifier() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		n, err := verifier.VerifyRequest(r)
		if err != nil {
			w.WriteHeader(notification.StatusCode(err)) // log err
			return
		}
		fmt.Println(n.ID()[:8], n.Type)
		w.WriteHeader(http.StatusNoContent)
	}
	fmt.Println(deliver(http.HandlerFunc(handler), vectorHeader(), vectorBody).Code)

	header := http.Header{"x-api-video-webhookid": {webhookID}, "x-api-video-signature": {vectorSignature}}
	n, err := verifier.Verify(context.Background(), header, []byte(vectorBody))
	fmt.Println(n.Type, err)
	// Output:
	// ed260ad8 video.encoding.quality.completed
	// 204
	// video.encoding.quality.completed <nil>
}

// A notification out of a queue has the same ID as in the receiver.
func ExampleNotification_ID() {
	n := must(notification.Decode("webhook_1", []byte(`{"type":"video.summary.generated"}`)))
	fmt.Println(n.ID())
	// Output: 0a4efdebebd1afa23580c88500d247a6b5b2d87bda389b0d5462ab771c46110a
}

func ExampleStatusCode() {
	fmt.Println(notification.StatusCode(notification.ErrBadSignature), notification.StatusCode(nil))
	// Output: 401 202
}

// A test of a receiver signs its notifications.
func ExampleSign() {
	body := []byte(`{"type":"video.caption.generated","videoId":"vi1","captionId":"ca1"}`)
	n := must(verifier.Verify(context.Background(), http.Header{
		notification.HeaderWebhookID: {webhookID},
		notification.HeaderSignature: {notification.Sign(body, secret)},
	}, body))
	fmt.Println(n.Type)
	// Output: video.caption.generated
}
