// Command ingest receives notifications with NATS JetStream. Your code is in handle.go.
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
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"golang.org/x/sync/errgroup"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := newApp(os.Stdout, os.Stderr).run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

// core is the common part of a receiver and a worker.
type core struct {
	*streams

	telemetry   *telemetry
	logger      *slog.Logger
	concurrency int          // of the worker
	hangs       atomic.Int64 // functions that ignore the end of their context
}

type app struct {
	core
	receiver receiver
	worker   worker

	out, logs              io.Writer
	client                 []facade.Option
	natsURL                string
	addr, dir, requeueType string
	sandbox                bool
	connectTimeout         time.Duration
}

func newApp(out, logs io.Writer, client ...facade.Option) *app {
	a := &app{out: out, logs: logs, client: client, natsURL: os.Getenv("NATS_URL")}
	a.logger, a.streams = slog.New(slog.NewTextHandler(logs, nil)), new(streams)
	a.receiver.core, a.worker.core = &a.core, &a.core
	a.worker.handle = func(ctx context.Context, e event) error { return handleEvent(ctx, a.logger, e) }
	return a
}

func (a *app) run(ctx context.Context, args []string) (err error) {
	command := strings.Join(args[:min(1, len(args))], "")
	commands := map[string][]func(context.Context) error{
		"setup": {}, "receive": {a.receive}, "work": {a.worker.run, a.health}, "all": {a.worker.run, a.receive}, "requeue": {a.requeue}, "demo": {},
	}
	parts, ok := commands[command]
	if !ok {
		return fmt.Errorf("usage: ingest setup|receive|work|all|requeue|demo [flags], and %q is none of them", command)
	}
	if err := a.parse(command, args[1:]); err != nil {
		return err
	}
	if a.telemetry, err = newTelemetry(ctx); err != nil {
		return err
	}
	failed := func(err error) { a.logger.Warn("telemetry", slog.Any("error", err)) }
	otel.SetErrorHandler(otel.ErrorHandlerFunc(failed))
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := a.telemetry.shutdown(ctx); err != nil {
			failed(err)
		}
	}()
	if command == "demo" {
		return a.demo(ctx)
	}
	return a.runParts(ctx, parts...)
}

// plainPath matches a path that a pattern of ServeMux matches without a redirect.
var plainPath = regexp.MustCompile(`^/([\w~-][\w.~-]*/)*([\w~-][\w.~-]*)?$`)

func (a *app) parse(command string, args []string) error {
	f := flag.NewFlagSet("ingest "+command, flag.ContinueOnError)
	f.SetOutput(a.logs)
	r, w := &a.receiver, &a.worker
	f.StringVar(&a.name, "name", "apivideo", "`prefix` of the subjects; upper case in the names of the streams")
	f.IntVar(&a.replicas, "replicas", 3, "`servers` with a copy of each event; 1 for the server in the process")
	f.DurationVar(&a.duplicates, "duplicates", minDuplicates, "duplicate window of new streams")
	f.Int64Var(&a.maxBytes, "max-bytes", -1, "size in `bytes` at which new streams reject events; -1 is unlimited")
	f.DurationVar(&a.connectTimeout, "connect-timeout", 30*time.Second, "time to reach NATS at the start")
	f.StringVar(&a.addr, "addr", cmp.Or(map[string]string{"work": ":8081"}[command], ":8080"), "`address` of the webhook, /healthz and /readyz")
	f.StringVar(&r.path, "path", "/apivideo", "`path` of the URL of the webhook")
	f.DurationVar(&a.maxAge, "max-age", 0, "reject events that are older, or that far in the future; 0 accepts any age")
	f.BoolVar(&a.sandbox, "sandbox", false, "APIVIDEO_API_KEY is a key of the sandbox")
	f.DurationVar(&r.drain, "drain", 5*time.Second, "time between the end of readiness and the stop")
	f.IntVar(&a.concurrency, "concurrency", 16, "`events` that a worker handles at once")
	f.Func("backoff", "`delays` after failures (default "+defaultBackoff+")", w.setBackoff)
	f.DurationVar(&w.ackWait, "ack-wait", 30*time.Second, "time without a sign of a worker, of a new consumer")
	f.DurationVar(&w.timeout, "timeout", 15*time.Minute, "time to handle one event")
	f.DurationVar(&w.grace, "grace", 10*time.Second, "time to finish after a stop, and again after the end of the context")
	f.StringVar(&a.dir, "dir", "ingest-data", "`directory` of the server in the process, for all")
	f.StringVar(&a.requeueType, "type", "", "`type` of the events to requeue; empty is all")
	_ = w.setBackoff(defaultBackoff)
	if err := f.Parse(args); err != nil {
		return err
	}
	return reject(errors.New("invalid flags"), map[string]bool{
		"arguments after the flags":                                f.NArg() > 0,
		"-name has to be one token of a subject":                   !plainType.MatchString(a.name) || strings.Contains(a.name, "."),
		"-replicas and -concurrency are at least 1":                a.replicas < 1 || a.concurrency < 1,
		"-duplicates has to be at least 2m":                        a.duplicates < minDuplicates,
		"-path has to be like /a/b, without special characters":    !plainPath.MatchString(r.path),
		"-max-bytes is -1, or the size of an event":                a.maxBytes != -1 && a.maxBytes < maxMessage,
		"-max-age is positive, at most half of -duplicates":        a.maxAge < 0 || 2*a.maxAge > a.duplicates,
		"-drain, -grace and -connect-timeout must not be negative": min(r.drain, w.grace, a.connectTimeout) < 0,
		"-ack-wait has to be at least 1s":                          w.ackWait < minAckWait,
		"-timeout has to be positive":                              w.timeout <= 0,
		"NATS_URL is not set":                                      a.natsURL == "" && command != "all" && command != "demo",
	})
}

func (a *app) requeue(ctx context.Context) error {
	moved, err := a.streams.requeue(ctx, a.requeueType)
	fmt.Fprintf(a.out, "%d dead letters moved\n", moved)
	return err
}

func (a *app) receive(ctx context.Context) error {
	opts := append([]facade.Option{facade.WithApplication("ingest", "1")}, a.client...)
	if a.sandbox {
		opts = append(opts, facade.WithSandbox())
	}
	client, err := facade.NewClient(os.Getenv("APIVIDEO_API_KEY"), opts...)
	if err != nil {
		return fmt.Errorf("APIVIDEO_API_KEY: %w", err)
	}
	secrets := notification.ClientSecrets(client)
	a.receiver.secrets, a.receiver.refresh = secrets, secrets.Refresh
	return a.listen(ctx, a.receiver.run)
}

func (a *app) health(ctx context.Context) error {
	return a.listen(ctx, func(ctx context.Context, listener net.Listener) error {
		mux := http.NewServeMux()
		a.handleHealth(mux, a.worker.isReady)
		a.logger.Info("health", slog.String("address", listener.Addr().String()))
		return serveHTTP(ctx, listener, mux, func(*http.Server) {})
	})
}

func (a *app) listen(ctx context.Context, serve func(context.Context, net.Listener) error) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.addr)
	if err != nil {
		return err
	}
	return serve(ctx, listener)
}

// runParts connects to NATS, or to a server in the process without NATS_URL. Then it
// ensures the streams and runs the parts. All parts stop after an error of a part or
// the end of the connection.
func (a *app) runParts(ctx context.Context, parts ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	opts := append(natsOptions(a.logger), nats.ClosedHandler(func(conn *nats.Conn) {
		if ctx.Err() == nil {
			group.Go(func() error { return errors.Join(nats.ErrConnectionClosed, conn.LastError()) })
		}
	}))
	if a.natsURL == "" {
		server, stop, err := startEmbedded(a.dir)
		if err != nil {
			return err
		}
		defer stop()
		opts, a.replicas = append(opts, nats.InProcessServer(server)), 1
		a.logger.Info("NATS_URL is not set: the server in this process stores", slog.String("directory", a.dir))
	} else if file := os.Getenv("NATS_CREDS"); file != "" {
		opts = append(opts, nats.UserCredentials(file))
	}
	var conn *nats.Conn
	warn := sync.OnceFunc(func() { a.logger.Warn("NATS is not reachable yet", slog.Duration("limit", a.connectTimeout)) })
	err := retry(ctx, a.connectTimeout, isClosed, func(context.Context) (err error) {
		if conn, err = nats.Connect(a.natsURL, opts...); err != nil {
			warn()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("NATS is not reachable: %w", err)
	}
	defer conn.Close()
	if conn.MaxPayload() < maxMessage {
		return fmt.Errorf("max_payload of the servers is %d and has to be at least %d", conn.MaxPayload(), maxMessage)
	}
	if a.js, err = jetstream.New(conn); err != nil {
		return err
	}
	if err := a.ensure(ctx); err != nil {
		return err
	}
	for _, part := range parts {
		group.Go(func() error { return part(ctx) })
	}
	return group.Wait()
}

// natsOptions returns the options of a connection. The client notices the end of a
// server soon, reconnects forever and buffers nothing.
func natsOptions(logger *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name("ingest"), nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2),
		nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(), // credentials may be valid again soon
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { logger.Warn("NATS disconnected", slog.Any("error", err)) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { logger.Warn("NATS", slog.Any("error", err)) }),
	}
}
