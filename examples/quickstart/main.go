// Command quickstart creates, gets, lists and deletes webhooks, and prints each
// step.
//
// With APIVIDEO_API_KEY set it uses the sandbox of api.video. It deletes its
// webhooks at the end, and after SIGINT or SIGTERM. After a crash the next run
// finds and deletes them.
//
// Without a key it uses a fake server in memory, and also receives a notification.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, os.Stdout, os.Getenv("APIVIDEO_API_KEY")); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, apiKey string) error {
	if apiKey == "" {
		server := facadetest.NewServer()
		defer server.Close()
		fmt.Fprintln(out, "APIVIDEO_API_KEY is not set: using a fake server in memory")
		if err := tour(ctx, out, server.Client()); err != nil {
			return err
		}
		return receive(ctx, out, server)
	}
	client, err := facade.NewClient(apiKey, facade.WithSandbox(), facade.WithApplication("quickstart", "1"))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "Using the sandbox")
	return tour(ctx, out, client)
}

// base is the beginning of the URLs of this program.
const base = "https://hooks.example.com/quickstart/"

func tour(ctx context.Context, out io.Writer, client *facade.Client) (err error) {
	defer func() { err = errors.Join(err, cleanUp(ctx, out, client)) }()

	step(out, "Create two webhooks, printed with ID, URL and events")
	var created []*facade.Webhook
	for _, p := range []facade.CreateWebhookParams{
		{URL: base + "encoding", Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted}},
		{URL: base + "live", Events: []facade.EventType{facade.EventLiveStreamBroadcastStarted, facade.EventLiveStreamBroadcastEnded}},
	} {
		// CreateWebhook would make a duplicate after a crash.
		wh, _, err := client.EnsureWebhook(ctx, p)
		if err != nil {
			return err
		}
		created = append(created, wh)
		show(out, wh)
	}

	step(out, "Get the first webhook by its ID")
	wh, err := client.GetWebhook(ctx, created[0].ID)
	if err != nil {
		return err
	}
	show(out, wh)
	fmt.Fprintf(out, "  The signature secret prints as %v\n", wh.SignatureSecret)

	step(out, "List the webhooks with live stream events")
	for wh, err := range client.Webhooks(ctx, facade.ListOptions{Event: facade.EventLiveStreamBroadcastStarted}) {
		if err != nil {
			return err
		}
		show(out, wh)
	}

	step(out, "Delete the first webhook and get it, which is an error")
	if err := client.DeleteWebhook(ctx, created[0].ID); err != nil {
		return err
	}
	_, err = client.GetWebhook(ctx, created[0].ID)
	var e *facade.Error
	if !errors.Is(err, facade.ErrNotFound) || !errors.As(err, &e) {
		return fmt.Errorf("a deleted webhook still exists: %w", err)
	}
	fmt.Fprintf(out, "  error: %v\n  status: %d, parameter: %s\n", err, e.StatusCode, e.Name)
	if rl, ok := client.RateLimit(); ok {
		fmt.Fprintf(out, "  rate limit: %d of %d requests remain in this minute\n", rl.Remaining, rl.Limit)
	}
	return nil
}

// receive delivers an event to a receiver. The program in examples/receiver is
// complete.
func receive(ctx context.Context, out io.Writer, server *facadetest.Server) error {
	step(out, "Receive a notification and verify its signature")
	client := server.Client()
	verifier, err := notification.NewVerifier(notification.ClientSecrets(client), notification.WithMaxAge(5*time.Minute))
	if err != nil {
		return err
	}
	receiver := httptest.NewServer(notification.NewHandler(verifier, func(_ context.Context, n *notification.Notification) error {
		if e, ok := n.Event.(*notification.VideoEncodingQualityCompleted); ok {
			fmt.Fprintf(out, "  video %s is available as %s in %s\n", e.VideoID, e.Encoding, e.Quality)
		}
		return nil
	}))
	defer receiver.Close()
	events := []facade.EventType{facade.EventVideoEncodingQualityCompleted}
	if _, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: receiver.URL, Events: events}); err != nil {
		return err
	}
	for _, d := range server.Deliver(ctx, &notification.VideoEncodingQualityCompleted{VideoID: "vi1", Encoding: "hls", Quality: "720p"}) {
		fmt.Fprintf(out, "  response status: %d\n", d.Attempts[len(d.Attempts)-1].Status)
	}
	return nil
}

// cleanUp deletes the webhooks of this program, even after ctx is canceled.
func cleanUp(ctx context.Context, out io.Writer, client *facade.Client) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	step(out, "Delete the remaining webhooks")
	for wh, err := range client.Webhooks(ctx, facade.ListOptions{}) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(wh.URL, base) {
			continue
		}
		if err := client.DeleteWebhook(ctx, wh.ID); err != nil && !errors.Is(err, facade.ErrNotFound) {
			return err
		}
		show(out, wh)
	}
	return nil
}

func step(out io.Writer, title string) { fmt.Fprintf(out, "\n%s:\n", title) }

func show(out io.Writer, wh *facade.Webhook) {
	fmt.Fprintf(out, "  %s %s %v\n", wh.ID, wh.URL, wh.Events)
}
