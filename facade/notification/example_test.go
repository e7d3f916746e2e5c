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
