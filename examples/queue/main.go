// Command queue receives notifications with a database. Your code is in handle.go.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	_ "modernc.org/sqlite" // the driver of database/sql

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

type config struct {
	command, file, addr     string
	workers, maxAttempts    int
	backoff, timeout, grace time.Duration
	logger                  *slog.Logger
	handle                  func(context.Context, *slog.Logger, *notification.Notification) error
	client                  []facade.Option
}

// With txlock, a transaction waits for other processes instead of failing.
const sqliteOptions = "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	c := &config{logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), handle: handleNotification}
	if err := c.run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		c.exit(err.Error())
	}
}

func (c *config) run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("queue [flags] receive|work|all|dead|retry", flag.ContinueOnError)
	f.StringVar(&c.file, "file", "queue.db", "`file` of SQLite, without DATABASE_URL")
	f.StringVar(&c.addr, "addr", ":8080", "`address` of the receiver, which responds to any path")
	f.BoolFunc("sandbox", "APIVIDEO_API_KEY is a key of the sandbox", func(string) error {
		c.client = append(c.client, facade.WithSandbox())
		return nil
	})
	f.IntVar(&c.workers, "workers", 8, "`notifications` that a process handles at once")
	f.IntVar(&c.maxAttempts, "max-attempts", 32, "`attempts` until a notification is dead, about a day")
	f.DurationVar(&c.backoff, "backoff", 5*time.Second, "mean delay after the first failure; it doubles up to an hour")
	f.DurationVar(&c.timeout, "timeout", time.Minute, "time to handle a notification")
	f.DurationVar(&c.grace, "grace", 10*time.Second, "time to finish after a stop, and after the end of the context")
	if err := f.Parse(args); err != nil {
		return err
	}
	known := slices.Contains([]string{"receive", "work", "all", "dead", "retry"}, f.Arg(0))
	if c.command = f.Arg(0); !known || f.NArg() != 1 || c.workers < 1 || c.maxAttempts < 1 || min(c.backoff, c.timeout, c.grace) <= 0 {
		f.Usage()
		return errors.New("one command is required, and positive numbers and durations")
	}
	if postgres := os.Getenv("DATABASE_URL"); postgres != "" {
		pool, err := pgxpool.New(ctx, postgres)
		if err != nil {
			return err
		}
		defer pool.Close()
		return runCommand(ctx, c, riverpgxv5.New(pool))
	}
	db, err := sql.Open("sqlite", "file:"+c.file+sqliteOptions)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	return runCommand(ctx, c, riversqlite.New(db))
}

func (c *config) receive(ctx context.Context, store func(context.Context, *notification.Notification) error) error {
	client, err := facade.NewClient(os.Getenv("APIVIDEO_API_KEY"), append(c.client, facade.WithApplication("queue", "1"))...)
	if err != nil {
		return err
	}
	secrets := notification.ClientSecrets(client)
	verifier, err := notification.NewVerifier(secrets)
	if err := errors.Join(err, secrets.Refresh(ctx)); err != nil {
		return err
	}
	handler := notification.NewHandler(verifier, store, notification.WithHandlerLogger(c.logger))
	server := &http.Server{Addr: c.addr, Handler: handler, ReadTimeout: 10 * time.Second, WriteTimeout: 25 * time.Second, MaxHeaderBytes: 16 << 10}
	c.logger.InfoContext(ctx, "receiving", slog.String("address", c.addr))
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() { stopped <- server.Shutdown(context.WithoutCancel(ctx)) }) // WriteTimeout is its limit
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
