// Command ingest receives the notifications of api.video as one would in
// production: receivers that verify and store, a NATS JetStream that replicates,
// redelivers and drops duplicates, and workers that take their time.
//
//	ingest setup     create the streams, or check them
//	ingest receive   verify, store, answer
//	ingest work      take events out of the stream and handle them
//	ingest all       both in one process
//	ingest demo      all of it with a fake api.video, to look at
//
// What is to be done with an event is in handle.go. See README.md for the rest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
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
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, os.Stdout, os.Stderr, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

const usage = `Usage: ingest <command> [flags]

  setup     create the streams, or check them
  receive   verify, store, answer
  work      take events out of the stream and handle them
  all       both in one process
  demo      all of it with a fake api.video, to look at

"ingest <command> -h" lists the flags of a command. From the environment come

  APIVIDEO_API_KEY   the key whose webhooks are received
  NATS_URL           the servers, with commas in between; for all it may be
                     unset, which means one in the process
  NATS_CREDS         a file with credentials for them, if they want any
  OTEL_...           what to export, by default nothing: OTEL_METRICS_EXPORTER,
                     OTEL_TRACES_EXPORTER and what belongs to them
`

// An app is what one run was told, and what it needs for that.
type app struct {
	out    io.Writer
	logger *slog.Logger

	natsURL, natsCreds, apiKey string // of the environment

	// Flags.
	name                    string
	replicas                int
	duplicates              time.Duration
	maxBytes                int64
	dir                     string
	addr, path              string
	maxAge                  time.Duration
	sandbox                 bool
	drain                   time.Duration
	concurrency, maxDeliver int
	backoff                 durations
	ackWait, timeout, grace time.Duration
	events                  int

	client    []facade.Option
	streams   *streams
	telemetry *telemetry
}

// run does what the arguments say. The options are for the client of api.video.
func run(ctx context.Context, out, logs io.Writer, args []string, client ...facade.Option) error {
	a := &app{
		out:       out,
		logger:    slog.New(slog.NewTextHandler(logs, nil)),
		natsURL:   os.Getenv("NATS_URL"),
		natsCreds: os.Getenv("NATS_CREDS"),
		apiKey:    os.Getenv("APIVIDEO_API_KEY"),
		client:    client,
	}
	if len(args) == 0 {
		fmt.Fprint(logs, usage)
		return errors.New("a command is missing")
	}
	commands := map[string]func(context.Context) error{
		"setup": a.setup, "receive": a.receive, "work": a.work, "all": a.all, "demo": a.demo,
	}
	command, ok := commands[args[0]]
	switch {
	case args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help":
		fmt.Fprint(out, usage)
		return nil
	case !ok:
		fmt.Fprint(logs, usage)
		return fmt.Errorf("%q is no command", args[0])
	}
	if err := a.parse(logs, args[0], args[1:]); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}

	t, err := newTelemetry(ctx)
	if err != nil {
		return err
	}
	a.telemetry = t
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		a.logger.Warn("telemetry", slog.Any("error", err))
	}))
	err = command(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, t.shutdown(ctx))
}

// parse reads the flags that a command has.
func (a *app) parse(logs io.Writer, command string, args []string) error {
	flags := flag.NewFlagSet("ingest "+command, flag.ContinueOnError)
	flags.SetOutput(logs)
	if command == "demo" {
		flags.IntVar(&a.events, "events", 300, "how many `events` happen")
		err := parsed(flags, args)
		if err == nil && a.events < 2 {
			err = errors.New("-events is 2 at least")
		}
		return err
	}
	flags.StringVar(&a.name, "name", "apivideo", "the beginning of all subjects; in capitals, the `name` of the stream")
	flags.IntVar(&a.replicas, "replicas", 3, "how many `servers` have a copy of each event; 1 for the one in the process")
	flags.DurationVar(&a.duplicates, "duplicates", minDuplicates, "for how long the stream knows what it has stored, if it is created")
	flags.Int64Var(&a.maxBytes, "max-bytes", -1, "how many `bytes` a stream may have before it refuses events, if it is created; -1 is no bound")
	receives, works := command != "setup" && command != "work", command != "setup" && command != "receive"
	if receives {
		flags.StringVar(&a.addr, "addr", ":8080", "the `address` to listen on")
		flags.StringVar(&a.path, "path", "/apivideo", "the `path` of the webhook's url")
		flags.DurationVar(&a.maxAge, "max-age", 0, "refuse what happened longer ago, or lies further ahead; 0 takes any age")
		flags.BoolVar(&a.sandbox, "sandbox", false, "the key is one of the sandbox")
		flags.DurationVar(&a.drain, "drain", 5*time.Second, "how long requests are taken after readiness has ended")
	}
	if works {
		flags.IntVar(&a.concurrency, "concurrency", 16, "how many `events` are handled at once")
		flags.IntVar(&a.maxDeliver, "max-deliver", 5, "after how many `deliveries` an event is dead")
		a.backoff = durations{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute}
		flags.Var(&a.backoff, "backoff", "the `pauses` between deliveries that failed")
		flags.DurationVar(&a.ackWait, "ack-wait", 30*time.Second, "how long a silent worker is waited for, if the consumer is created")
		flags.DurationVar(&a.timeout, "timeout", 15*time.Minute, "how long an event may take")
		flags.DurationVar(&a.grace, "grace", 20*time.Second, "how long it may go on once the worker is to stop")
	}
	if receives && works {
		flags.StringVar(&a.dir, "dir", "ingest-data", "the `directory` of the server in the process")
	}
	if err := parsed(flags, args); err != nil {
		return err
	}
	switch {
	case !plainType.MatchString(a.name) || strings.Contains(a.name, "."):
		return fmt.Errorf("-name: %q can't begin a subject", a.name)
	case a.duplicates < minDuplicates:
		return fmt.Errorf("-duplicates: less than %v lets in twice what the service repeats", minDuplicates)
	case receives && (!strings.HasPrefix(a.path, "/") || strings.ContainsAny(a.path, "{} ")):
		return fmt.Errorf("-path: %q is no path", a.path)
	case a.maxAge < 0:
		return errors.New("-max-age is positive, or 0 for any")
	case works && (a.concurrency < 1 || a.ackWait < time.Second):
		return errors.New("-concurrency is 1 at least, -ack-wait is 1s")
	case works && a.maxDeliver < 2:
		return errors.New("-max-deliver is 2 at least: else what a worker dies of by chance isn't tried again")
	}
	return nil
}

func parsed(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	return nil
}

// durations is a flag: 1s,10s,1m.
type durations []time.Duration

func (d *durations) String() string {
	texts := make([]string, len(*d))
	for i, each := range *d {
		texts[i] = each.String()
	}
	return strings.Join(texts, ",")
}

// Set parses a list.
func (d *durations) Set(text string) error {
	*d = nil
	for each := range strings.SplitSeq(text, ",") {
		parsed, err := time.ParseDuration(each)
		if err != nil {
			return err
		}
		if parsed <= 0 {
			return errors.New("the pauses are positive")
		}
		*d = append(*d, parsed)
	}
	return nil
}

func (a *app) setup(ctx context.Context) error {
	return a.connected(ctx, func(context.Context) error {
		events, dead := a.streams.configs()
		a.logger.Info("the streams are as they should be", slog.String("events", events.Name), slog.String("dead", dead.Name))
		return nil
	})
}

func (a *app) receive(ctx context.Context) error {
	secrets, err := a.secrets()
	if err != nil {
		return err
	}
	return a.connected(ctx, func(ctx context.Context) error { return a.runReceiver(ctx, secrets) })
}

func (a *app) work(ctx context.Context) error {
	return a.connected(ctx, func(ctx context.Context) error { return a.newWorker(a.handle).run(ctx) })
}

func (a *app) all(ctx context.Context) error {
	secrets, err := a.secrets()
	if err != nil {
		return err
	}
	return a.connected(ctx, func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx) // if one fails the other one stops
		group.Go(func() error { return a.runReceiver(ctx, secrets) })
		group.Go(func() error { return a.newWorker(a.handle).run(ctx) })
		return group.Wait()
	})
}

// secrets returns a source of the secrets of the account's webhooks.
func (a *app) secrets() (secretSource, error) {
	if a.apiKey == "" {
		return nil, errors.New("APIVIDEO_API_KEY is not set: without it nothing can be verified")
	}
	opts := append([]facade.Option{facade.WithApplication("ingest", "1")}, a.client...)
	if a.sandbox {
		opts = append(opts, facade.WithSandbox())
	}
	client, err := facade.NewClient(a.apiKey, opts...)
	if err != nil {
		return nil, err
	}
	return notification.ClientSecrets(client), nil
}

func (a *app) runReceiver(ctx context.Context, secrets secretSource) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.addr)
	if err != nil {
		return err
	}
	return a.newReceiver(secrets).serve(ctx, listener)
}

func (a *app) newReceiver(secrets secretSource) *receiver {
	return &receiver{
		streams: a.streams, secrets: secrets, path: a.path, maxAge: a.maxAge, drain: a.drain,
		telemetry: a.telemetry, logger: a.logger,
	}
}

func (a *app) newWorker(handle func(context.Context, event) error) *worker {
	return &worker{
		streams: a.streams, handle: handle,
		concurrency: a.concurrency, maxDeliver: a.maxDeliver, backoff: a.backoff,
		ackWait: a.ackWait, timeout: a.timeout, grace: a.grace,
		telemetry: a.telemetry, logger: a.logger,
	}
}

// connected does something with streams that are as they should be, over one
// connection: to the servers of NATS_URL, or to one in this process for the
// commands that have a directory for it. The context ends with the connection: a
// process without one would never do anything again.
func (a *app) connected(ctx context.Context, do func(context.Context) error) error {
	ctx, closed := context.WithCancelCause(ctx)
	defer closed(nil)
	opts := append(natsOptions(a.logger), nats.ClosedHandler(func(conn *nats.Conn) {
		closed(errors.Join(errClosed, conn.LastError()))
	}))
	if a.natsCreds != "" {
		opts = append(opts, nats.UserCredentials(a.natsCreds))
	}
	switch {
	case a.natsURL != "":
	case a.dir != "":
		embedded, err := startEmbedded(a.dir, a.logger)
		if err != nil {
			return err
		}
		defer embedded.stop()
		opts = append(opts, nats.InProcessServer(embedded))
		a.replicas = 1
		a.logger.Info("NATS_URL is not set: a server in this process stores", slog.String("directory", a.dir))
	default:
		return errors.New("NATS_URL is not set: where are the streams?")
	}
	conn, err := nats.Connect(a.natsURL, opts...)
	if err != nil {
		return fmt.Errorf("NATS can't be reached: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	if conn.MaxPayload() < maxMessage {
		return fmt.Errorf("the servers take no message over %d bytes, and notifications may need %d: raise max_payload", conn.MaxPayload(), maxMessage)
	}
	a.streams = &streams{js: js, name: a.name, replicas: a.replicas, duplicates: a.duplicates, maxBytes: a.maxBytes}
	if err := a.streams.ensure(ctx); err != nil {
		return err
	}
	err = do(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, errClosed) {
		err = errors.Join(cause, err)
	}
	return err
}

var errClosed = errors.New("the connection to NATS was closed, though nobody here wanted that")

// natsOptions make a connection notice soon that a server is gone, and look for
// another one for ever.
func natsOptions(logger *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name("ingest"),
		nats.MaxReconnects(-1),
		// Credentials that are refused twice may be back in a minute.
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		// What can't be sent now fails now: whoever wanted it tries again, and knows.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // otherwise it was closed
				logger.Warn("NATS: disconnected", slog.Any("error", err))
			}
		}),
		nats.ReconnectHandler(func(conn *nats.Conn) {
			logger.Info("NATS: connected again", slog.String("server", conn.ConnectedServerName()))
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			logger.Warn("NATS", slog.Any("error", err))
		}),
	}
}
