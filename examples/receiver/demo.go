package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// demo receives from a fake server. Log lines would disturb the output.
func demo(ctx context.Context, out io.Writer) error {
	server := facadetest.NewServer(facadetest.WithUnknownEvents())
	defer server.Close()
	fmt.Fprintln(out, "APIVIDEO_API_KEY is not set. This demo uses a fake server in memory.")
	r := &receiver{addr: "127.0.0.1:0", out: out, logger: slog.New(slog.DiscardHandler)}
	return r.receive(ctx, server.Client(), func(ctx context.Context, wh *facade.Webhook) error {
		send := func(title string, event any) {
			fmt.Fprintf(out, "\n%s:\n", title)
			fmt.Fprintln(out, "  response status:", server.Deliver(ctx, event)[0].Attempts[0].Status)
		}
		event := &notification.VideoEncodingQualityCompleted{EmittedAt: time.Now(), VideoID: "vi1", Encoding: "hls", Quality: "720p"}
		send("An event", event)
		send("A duplicate of the event, acknowledged without printing", event)
		send("An event of an unknown type, because the service adds types over time",
			fmt.Appendf(nil, `{"type":"video.new","emittedAt":%q,"videoId":"vi1"}`, time.Now().Format(time.RFC3339)))
		return forge(ctx, out, wh, event)
	}, facade.EventVideoEncodingQualityCompleted, "video.new")
}

// forge sends a notification with the signature of another secret.
func forge(ctx context.Context, out io.Writer, wh *facade.Webhook, event any) error {
	fmt.Fprint(out, "\nA forged notification with the signature of another secret, rejected:\n")
	req := facadetest.NewNotificationRequest(ctx, wh.URL, wh.ID, facade.NewSecret("sig_sec_guess"), event)
	req.RequestURI, req.Close = "", true  // the request of a client with its own connection
	resp, err := new(http.Client).Do(req) //nolint:gosec // the URL of the webhook
	if err == nil {
		fmt.Fprintln(out, "  response status:", resp.StatusCode)
		err = resp.Body.Close()
	}
	return err
}
