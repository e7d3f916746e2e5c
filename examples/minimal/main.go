// Command minimal creates a webhook in the sandbox and receives its notifications.
// The README shows this program.
//
//nolint:depguard // package log keeps the program short
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

func main() {
	client, err := facade.NewClient(os.Getenv("APIVIDEO_API_KEY"), facade.WithSandbox())
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := notification.NewVerifier(notification.ClientSecrets(client), notification.WithMaxAge(5*time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	handler := notification.NewHandler(verifier, func(_ context.Context, n *notification.Notification) error {
		if e, ok := n.Event.(*notification.VideoEncodingQualityCompleted); ok {
			fmt.Println("video", e.VideoID, "is ready in", e.Quality)
		}
		return nil // after an error the service retries
	}, notification.WithDeduplicator(notification.NewMemoryDeduplicator(10*time.Minute, 10_000)))
	if _, _, err := client.EnsureWebhook(context.Background(), facade.CreateWebhookParams{
		URL:    os.Getenv("WEBHOOK_URL"),
		Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
	}); err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: handler, ReadTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
