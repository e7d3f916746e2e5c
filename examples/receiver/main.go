// Command receiver is a complete receiver of notifications. It subscribes itself
// to events, prints each one that comes, and removes its webhook when it ends.
//
// With APIVIDEO_API_KEY set it does so in api.video's sandbox until it is
// interrupted. Then -url says where the service reaches it, through a tunnel for
// instance:
//
//	receiver -addr 127.0.0.1:8080 -url https://hooks.example.com/apivideo
//
// Without a key, and -url, it has a server in its own memory send it some
// notifications.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

const (
	// A sender that isn't the service may be slow on purpose. These are for a whole
	// request however slowly it trickles in, for its header, for the answer as well,
	// and for a connection that is kept.
	readTimeout       = 10 * time.Second
	readHeaderTimeout = 5 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10

	// Who has recorded a notification can send it again for so long, and it is
	// taken once for twice as long, so that no gap is left.
	maxAge = 5 * time.Minute

	// What is under way at the end gets the time that it may take anyway.
	shutdownTimeout = writeTimeout
	// Deleting the webhook may take a few attempts.
	cleanUpTimeout = 30 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, os.Stdout, os.Stderr, os.Getenv("APIVIDEO_API_KEY"), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, logs io.Writer, apiKey string, args []string) error {
	r := &receiver{out: out, logger: slog.New(slog.NewTextHandler(logs, nil))}
	flags := flag.NewFlagSet("receiver", flag.ContinueOnError)
	flags.SetOutput(logs)
	flags.StringVar(&r.addr, "addr", "127.0.0.1:8080", "the `address` to listen on; without a key it is a free port of 127.0.0.1")
	flags.StringVar(&r.url, "url", "", "the public `url` by which the service reaches that address; needed with a key")
	events := flags.String("events", strings.Join(allEvents, ","), "the `events` to receive")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	for event := range strings.SplitSeq(*events, ",") {
		r.events = append(r.events, facade.EventType(strings.TrimSpace(event)))
	}
	if apiKey == "" {
		if r.url != "" {
			return errors.New("-url needs APIVIDEO_API_KEY: a server in memory is all that sends without it")
		}
		return r.demo(ctx)
	}

	client, err := facade.NewClient(apiKey, facade.WithSandbox(), facade.WithApplication("receiver", "1"))
	if err != nil {
		return err
	}
	if r.url == "" {
		return errors.New("-url is missing: where does the service reach this program?")
	}
	return r.receive(ctx, client, func(ctx context.Context, _ *facade.Webhook) error {
		<-ctx.Done()
		return nil
	})
}

var allEvents = []string{
	string(facade.EventLiveStreamBroadcastStarted),
	string(facade.EventLiveStreamBroadcastEnded),
	string(facade.EventVideoSourceRecorded),
	string(facade.EventVideoEncodingQualityCompleted),
	string(facade.EventVideoCaptionGenerated),
	string(facade.EventVideoSummaryGenerated),
}

// A receiver receives events at a url, and prints them.
type receiver struct {
	addr   string // where it listens
	url    string // how it is reached; if empty, directly
	events []facade.EventType
	out    io.Writer
	logger *slog.Logger
}

// receive subscribes, prints what comes until the given function returns, and
// unsubscribes. The function's context also ends if nothing can come any more.
func (r *receiver) receive(ctx context.Context, client *facade.Client, until func(context.Context, *facade.Webhook) error) error {
	// It listens before it subscribes: what comes before the server knows the
	// secret waits in the listener.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", r.addr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // the server does it too
	wh, err := r.subscribe(ctx, client, listener.Addr())
	if err != nil {
		return err
	}
	r.logger.Info("subscribed", slog.String("listening", listener.Addr().String()),
		slog.String("webhook_id", wh.ID), slog.String("url", wh.URL), slog.Any("events", wh.Events))

	wh, err = withSecret(ctx, client, wh)
	if err != nil {
		return errors.Join(err, r.unsubscribe(ctx, client, wh))
	}
	server, err := r.newServer(wh)
	if err != nil {
		return errors.Join(err, r.unsubscribe(ctx, client, wh))
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(listener)
		stop()
	}()
	err = until(serving, wh)

	// First nothing new comes, then what is under way ends.
	err = errors.Join(err, r.unsubscribe(ctx, client, wh), shutdown(ctx, server))
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	r.logger.Info("stopped")
	return err
}

// subscribe creates the webhook.
func (r *receiver) subscribe(ctx context.Context, client *facade.Client, addr net.Addr) (*facade.Webhook, error) {
	u := &url.URL{Scheme: "http", Host: addr.String(), Path: "/"}
	if r.url != "" {
		var err error
		if u, err = url.Parse(r.url); err != nil {
			return nil, err
		}
	}
	// What this run makes is known by its url, even if the answer to the create is lost.
	query := u.Query()
	query.Set("receiver", rand.Text())
	u.RawQuery = query.Encode()
	wh, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: u.String(), Events: r.events})
	if !errors.Is(err, facade.ErrUnconfirmed) {
		return wh, err
	}
	r.logger.Warn("the webhook may have been created: looking for it", slog.Any("error", err))
	ctx, cancel := cleanUpContext(ctx) // perhaps ctx has ended, and that is why
	defer cancel()
	for found, listErr := range client.Webhooks(ctx, facade.ListOptions{}) {
		if listErr != nil {
			return nil, fmt.Errorf("%w\n%w\nthere may be a webhook left of the url %s", err, listErr, u)
		}
		if found.URL == u.String() {
			return found, nil
		}
	}
	return nil, err
}

var errNoSecret = errors.New("the service doesn't tell the webhook's secret")

// withSecret asks once more for a webhook that came without its secret. It returns
// the webhook with an error, too.
func withSecret(ctx context.Context, client *facade.Client, wh *facade.Webhook) (*facade.Webhook, error) {
	if !wh.SignatureSecret.IsZero() {
		return wh, nil
	}
	again, err := client.GetWebhook(ctx, wh.ID)
	if err != nil {
		return wh, err
	}
	if again.SignatureSecret.IsZero() {
		return wh, errNoSecret
	}
	return again, nil
}

// unsubscribe deletes the webhook, even if ctx has ended.
func (r *receiver) unsubscribe(ctx context.Context, client *facade.Client, wh *facade.Webhook) error {
	ctx, cancel := cleanUpContext(ctx)
	defer cancel()
	if err := client.DeleteWebhook(ctx, wh.ID); err != nil && !errors.Is(err, facade.ErrNotFound) {
		return fmt.Errorf("the webhook %s is left: %w", wh.ID, err)
	}
	r.logger.Info("unsubscribed", slog.String("webhook_id", wh.ID))
	return nil
}

func cleanUpContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
}

// secretOf is a source that knows a single webhook. With StaticSecrets the id could
// be made up, and a recorded notification be printed again under each new one.
type secretOf facade.Webhook

// Secrets makes it a notification.SecretSource.
func (s *secretOf) Secrets(_ context.Context, webhookID string) ([]facade.Secret, error) {
	if webhookID != s.ID {
		return nil, nil
	}
	return []facade.Secret{s.SignatureSecret}, nil
}

// newServer returns a server that prints the notifications of a webhook.
func (r *receiver) newServer(wh *facade.Webhook) (*http.Server, error) {
	verifier, err := notification.NewVerifier((*secretOf)(wh), notification.WithMaxAge(maxAge))
	if err != nil {
		return nil, err
	}
	return &http.Server{
		Handler: notification.NewHandler(verifier, r.print,
			notification.WithDeduplicator(notification.NewMemoryDeduplicator(2*maxAge, 10_000)),
			notification.WithHandlerLogger(r.logger)),
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(r.logger.Handler(), slog.LevelWarn),
	}, nil
}

// shutdown lets the requests end that are under way, but not for ever.
func shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were broken off: %w", err), server.Close())
	}
	return nil
}

// print is where a program would do its work. Should it fail, the service sends
// the notification again.
func (r *receiver) print(_ context.Context, n *notification.Notification) error {
	_, err := fmt.Fprintln(r.out, line(n))
	return err
}

// line returns a notification in one line that a terminal shows as it is.
func line(n *notification.Notification) string {
	var what string
	switch event := n.Event.(type) {
	case *notification.LiveStreamBroadcastStarted:
		what = event.LiveStreamID
	case *notification.LiveStreamBroadcastEnded:
		what = event.LiveStreamID
	case *notification.VideoSourceRecorded:
		what = event.VideoID + " of " + event.LiveStreamID
	case *notification.VideoEncodingQualityCompleted:
		what = event.VideoID + " " + event.Encoding + " " + event.Quality
	case *notification.VideoCaptionGenerated:
		what = event.VideoID + " " + event.CaptionID + " " + event.Language
	case *notification.VideoSummaryGenerated:
		what = event.VideoID + " " + event.SummaryID
	default: // of a type that isn't known yet
		what = string(n.Raw)
	}
	text := fmt.Sprintf("  %-32s  %s  %s", n.Type, n.EmittedAt.UTC().Format(time.DateTime), what)
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, text)
}
