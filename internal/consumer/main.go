// Command consumer is a program that uses each package of the module.
// make check-deps runs the command and compares its modules with modules.txt.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

func run(ctx context.Context) error {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	wh, _, err := client.EnsureWebhook(ctx, facade.CreateWebhookParams{URL: "https://hooks.example.com/", Events: facade.EventTypes()})
	if err != nil {
		return err
	}
	verifier, err := notification.NewVerifier(notification.ClientSecrets(client))
	if err != nil {
		return err
	}
	r := facadetest.NewNotificationRequest(ctx, wh.URL, wh.ID, wh.SignatureSecret, notification.VideoSummaryGenerated{VideoID: "vi1"})
	if _, err = verifier.Verify(ctx, r.Header, []byte("{}")); err == nil { // another body
		return errors.New("the verifier accepted a forged notification")
	}
	return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		os.Exit(1)
	}
}
