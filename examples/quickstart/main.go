// Command quickstart creates, gets, lists and deletes webhooks and tells what
// it does. With APIVIDEO_API_KEY set it does so in api.video's sandbox, and
// removes what it made, also when interrupted; otherwise against a server in
// its own memory, which then sends it a notification.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, os.Stdout, os.Getenv("APIVIDEO_API_KEY")); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, apiKey string) error {
	if apiKey == "" {
		server := facadetest.NewServer()
		defer server.Close()
		fmt.Fprintf(out, "APIVIDEO_API_KEY is not set: using a server in memory, %s\n", server.URL)
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

func tour(ctx context.Context, out io.Writer, client *facade.Client) (err error) {
	// What this run makes is known by its url, even if the answer to a create is lost.
	base := "https://hooks.example.com/quickstart/" + rand.Text() + "/"
	defer func() { err = errors.Join(err, cleanUp(ctx, out, client, base)) }()

	step(out, "Create three webhooks")
	var created []*facade.Webhook
	for _, p := range []facade.CreateWebhookParams{
		{URL: base + "encoding", Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted}},
		{URL: base + "live", Events: []facade.EventType{facade.EventLiveStreamBroadcastStarted, facade.EventLiveStreamBroadcastEnded}},
		{URL: base + "captions", Events: []facade.EventType{facade.EventVideoCaptionGenerated}},
	} {
		wh, err := client.CreateWebhook(ctx, p)
		if err != nil {
			return err
		}
		created = append(created, wh)
		show(out, wh)
	}

	step(out, "Get the first by its id")
	wh, err := client.GetWebhook(ctx, created[0].ID)
	if err != nil {
		return err
	}
	show(out, wh)
	fmt.Fprintf(out, "  Its signature secret doesn't print: %v\n", wh.SignatureSecret)

	step(out, "Range over all webhooks")
	for wh, err := range client.Webhooks(ctx, facade.ListOptions{}) {
		if err != nil {
			return err
		}
		show(out, wh)
	}

	step(out, "Only those that hear of live streams")
	for wh, err := range client.Webhooks(ctx, facade.ListOptions{Event: facade.EventLiveStreamBroadcastStarted}) {
		if err != nil {
			return err
		}
		show(out, wh)
	}

	step(out, "The second page, two to a page")
	page, err := client.ListWebhooks(ctx, facade.ListOptions{Page: 2, PageSize: 2})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  page %d of %d, %d webhooks in all\n", page.Number, page.TotalPages, page.TotalItems)
	for _, wh := range page.Webhooks {
		show(out, wh)
	}

	step(out, "Delete one, and ask for it again: a typed error")
	if err := client.DeleteWebhook(ctx, created[0].ID); err != nil {
		return err
	}
	_, err = client.GetWebhook(ctx, created[0].ID)
	var e *facade.Error
	if !errors.Is(err, facade.ErrNotFound) || !errors.As(err, &e) {
		return fmt.Errorf("a deleted webhook is still there: %w", err)
	}
	fmt.Fprintf(out, "  %v\n  status %d, parameter %s\n", err, e.StatusCode, e.Name)

	step(out, "Create one from nothing: refused before anything is sent")
	_, err = client.CreateWebhook(ctx, facade.CreateWebhookParams{})
	if !errors.Is(err, facade.ErrInvalidArgument) {
		return fmt.Errorf("it wasn't refused: %w", err)
	}
	fmt.Fprintf(out, "  %v\n", err)

	step(out, "The same with the raw client: the service lists each problem")
	resp, err := client.Raw().CreateWebhookWithBodyWithResponse(ctx, "application/json", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	if resp.JSON400 == nil {
		return fmt.Errorf("the service answered %s", resp.Status())
	}
	fmt.Fprintf(out, "  %s: %s\n", resp.Status(), resp.JSON400.Title)
	for _, p := range resp.JSON400.Problems {
		fmt.Fprintf(out, "  - %s: %s\n", p.Name, p.Title)
	}

	if rl, ok := client.RateLimit(); ok {
		step(out, "What the service said of its rate limit")
		fmt.Fprintf(out, "  %d of %d requests left in this minute\n", rl.Remaining, rl.Limit)
	}
	return nil
}

// receive subscribes to an event and has it happen, which only a server in memory
// does on demand. A program that is to receive for long is in examples/receiver.
func receive(ctx context.Context, out io.Writer, server *facadetest.Server) error {
	step(out, "Receive a notification, and verify it")
	client := server.Client()
	verifier, err := notification.NewVerifier(notification.ClientSecrets(client))
	if err != nil {
		return err
	}
	receiver := httptest.NewServer(notification.NewHandler(verifier, func(_ context.Context, n *notification.Notification) error {
		if event, ok := n.Event.(*notification.VideoEncodingQualityCompleted); ok {
			fmt.Fprintf(out, "  %s  %s is there as %s in %s\n", n.WebhookID, event.VideoID, event.Encoding, event.Quality)
		}
		return nil
	}))
	defer receiver.Close()
	wh, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{
		URL:    receiver.URL,
		Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
	})
	if err != nil {
		return err
	}
	show(out, wh)
	for _, d := range server.Deliver(ctx, &notification.VideoEncodingQualityCompleted{VideoID: "vi1", Encoding: "hls", Quality: "720p"}) {
		if !d.OK() {
			return fmt.Errorf("the notification is lost: %+v", d)
		}
		fmt.Fprintf(out, "  %s  answered %d\n", d.WebhookID, d.Attempts[len(d.Attempts)-1].Status)
	}
	return nil
}

// cleanUp deletes what this run made, even if ctx has ended.
func cleanUp(ctx context.Context, out io.Writer, client *facade.Client, base string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	step(out, "Delete what is left of this")
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

func step(out io.Writer, title string) { fmt.Fprintf(out, "\n%s\n", title) }

func show(out io.Writer, wh *facade.Webhook) {
	fmt.Fprintf(out, "  %s  %v  %s\n", wh.ID, wh.Events, wh.URL)
}
