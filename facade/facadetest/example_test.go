package facadetest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// A test of a receiver that fails at first.
func ExampleServer_Deliver() {
	ctx := context.Background()
	server := facadetest.NewServer(facadetest.WithDeliveryRetries(3, time.Millisecond))
	defer server.Close()
	failures := 2
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failures--; failures >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer receiver.Close()
	if _, err := server.Client().CreateWebhook(ctx, facade.CreateWebhookParams{
		URL:    receiver.URL,
		Events: []facade.EventType{facade.EventVideoSummaryGenerated},
	}); err != nil {
		panic(err)
	}

	for _, d := range server.Deliver(ctx, &notification.VideoSummaryGenerated{VideoID: "vi1", SummaryID: "summary1"}) {
		fmt.Println(d.Delivered(), d.Attempts)
	}
	// Output: true [{503 <nil>} {503 <nil>} {200 <nil>}]
}

// A test of a handler, without any server.
func ExampleNewNotificationRequest() {
	secret := facade.NewSecret("sig_sec_1")
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	if err != nil {
		panic(err)
	}
	handler := notification.NewHandler(verifier, func(_ context.Context, n *notification.Notification) error {
		fmt.Println(n.Type)
		return nil
	})

	for _, signedWith := range []facade.Secret{secret, facade.NewSecret("a guess")} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, facadetest.NewNotificationRequest(context.Background(), "/", "webhook_1", signedWith,
			&notification.LiveStreamBroadcastStarted{LiveStreamID: "li1"}))
		fmt.Println(answer.Code)
	}
	// Output:
	// live-stream.broadcast.started
	// 202
	// 401
}
