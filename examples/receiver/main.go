// Command receiver receives the notifications of a webhook and prints them, one
// line per event.
//
// With APIVIDEO_API_KEY set it uses the sandbox of api.video until SIGINT or
// SIGTERM. The -url flag is the public URL of this program, for example the URL of
// a tunnel:
//
//	receiver -addr 127.0.0.1:8080 -url https://hooks.example.com/apivideo
//
// The webhook stays in the account. After a restart or a crash the receiver finds
// the webhook by its URL and continues.
//
// Without a key it receives from a fake server in memory and exits.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// maxAge is the maximum age of an event. An attacker can replay a recorded
// notification for this time, and the deduplicator drops it for twice as long.
const maxAge = 5 * time.Minute

// The timeouts of a notification. The work may take five seconds, as long as the claim
// of the deduplicator.
const readTimeout, shutdownTimeout = 5 * time.Second, 10 * time.Second

func main() {
	r := &receiver{out: os.Stdout, logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	flag.StringVar(&r.addr, "addr", "127.0.0.1:8080", "`address` to listen on")
	flag.StringVar(&r.url, "url", "", "public `URL` of this program, required with APIVIDEO_API_KEY")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := r.run(ctx, os.Getenv("APIVIDEO_API_KEY")); err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
}

// A receiver prints the notifications of a webhook.
type receiver struct {
	addr, url string // an empty URL means the address
	out       io.Writer
	logger    *slog.Logger
}

func (r *receiver) run(ctx context.Context, apiKey string) error {
	if apiKey == "" {
		return demo(ctx, r.out)
	}
	if r.url == "" {
		return errors.New("-url is missing: set the public URL of this program")
	}
	client, err := facade.NewClient(apiKey, facade.WithSandbox(), facade.WithApplication("receiver", "1"))
	if err != nil {
		return err
	}
	return r.receive(ctx, client, func(ctx context.Context, _ *facade.Webhook) error {
		<-ctx.Done()
		return nil
	}, facade.EventVideoEncodingQualityCompleted, facade.EventVideoSummaryGenerated)
}

// receive serves a webhook for these events until the function returns. The
// context of the function ends with ctx, or if the server fails.
func (r *receiver) receive(ctx context.Context, client *facade.Client, until func(context.Context, *facade.Webhook) error, events ...facade.EventType) error {
	secrets := notification.ClientSecrets(client)
	server, err := r.newServer(secrets)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", r.addr)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancelCause(ctx)
	go func() { stop(server.Serve(listener)) }()

	url := cmp.Or(r.url, "http://"+listener.Addr().String())
	wh, _, err := client.EnsureWebhook(serving, facade.CreateWebhookParams{URL: url, Events: events})
	if err == nil {
		err = secrets.Refresh(serving) // before the first notification
	}
	if err == nil {
		r.logger.Info("receiving", slog.String("webhook_id", wh.ID), slog.String("url", wh.URL))
		err = until(serving, wh)
	}
	if ctx.Err() == nil {
		err = errors.Join(err, context.Cause(serving)) // of a failed server
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return errors.Join(err, server.Shutdown(ctx))
}

func (r *receiver) newServer(secrets notification.SecretSource) (*http.Server, error) {
	verifier, err := notification.NewVerifier(secrets, notification.WithMaxAge(maxAge))
	if err != nil {
		return nil, err
	}
	return &http.Server{
		Handler: notification.NewHandler(verifier, r.print,
			notification.WithDeduplicator(notification.NewMemoryDeduplicator(2*maxAge, 10_000)),
			notification.WithHandlerLogger(r.logger)),
		ReadTimeout:    readTimeout, // against slow clients, like the others
		WriteTimeout:   shutdownTimeout,
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(r.logger.Handler(), slog.LevelWarn),
	}, nil
}

// print is the place for the work of a program. The service retries after an
// error. The verb %#q escapes control characters, which could change a terminal.
func (r *receiver) print(_ context.Context, n *notification.Notification) error {
	text := fmt.Sprintf("other event: %#q", n.Raw)
	switch e := n.Event.(type) {
	case *notification.VideoEncodingQualityCompleted:
		text = fmt.Sprintf("video %#q is available as %#q in %#q", e.VideoID, e.Encoding, e.Quality)
	case *notification.VideoSummaryGenerated:
		text = fmt.Sprintf("video %#q has the summary %#q", e.VideoID, e.SummaryID)
	}
	_, err := fmt.Fprintln(r.out, " ", n.EmittedAt.UTC().Format(time.DateTime), text)
	return err
}
