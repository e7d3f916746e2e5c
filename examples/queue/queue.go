package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	"golang.org/x/sync/semaphore"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// job is a stored notification. The body is base64 in the database, because jsonb
// changes JSON, and PostgreSQL rejects \u0000.
type job struct {
	ID        string `json:"id" river:"unique"`
	WebhookID string `json:"webhook_id"`
	Body      []byte `json:"body"`
}

func (job) Kind() string { return "notification" }

type worker struct {
	river.WorkerDefaults[job]
	config  *config
	running *semaphore.Weighted
	suspect sync.Mutex // of the job that runs with nothing beside it
}

func (w *worker) Work(ctx context.Context, j *river.Job[job]) error {
	weight, unlock := int64(1), func() {}
	if n := len(j.Errors); n > 1 && strings.Count(j.Errors[n-1].Error+j.Errors[n-2].Error, "rescued") == 2 {
		if !w.suspect.TryLock() { // the job may have killed two processes
			return river.JobSnooze(w.config.timeout + rand.N(w.config.timeout)) //nolint:gosec // a delay is no secret
		}
		weight, unlock = math.MaxInt64, w.suspect.Unlock
	}
	if err := w.running.Acquire(ctx, weight); err != nil {
		unlock()
		return err
	}
	release := sync.OnceFunc(func() { unlock(); w.running.Release(weight) })
	defer release()
	defer context.AfterFunc(ctx, release)() // the function may never return
	if weight > 1 {
		<-time.After(min(time.Second, w.config.timeout/2)) // River stores the results of other jobs in batches
	}
	n, err := notification.Decode(j.Args.WebhookID, j.Args.Body)
	if err != nil {
		return river.JobCancel(err)
	}
	err = w.config.handle(ctx, w.config.logger, n)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%w: %w", context.Canceled, err) // a stop costs no attempt
	}
	return err
}

// NextRetry has a wide spread, because all jobs of a process that died are retried.
func (w *worker) NextRetry(j *river.Job[job]) time.Time {
	mean := min(min(w.config.backoff, time.Hour)<<min(j.Attempt-1, 16), time.Hour)
	return time.Now().Add(rand.N(2 * mean)) //nolint:gosec // a delay is no secret
}

// exit ends the process at once. The jobs in flight are retried later.
func (c *config) exit(reason string) {
	c.logger.Error("the program ends", slog.String("reason", reason))
	os.Exit(1)
}

// riverConfig returns the configuration of a client.
func (c *config) riverConfig() *river.Config {
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{config: c, running: semaphore.NewWeighted(math.MaxInt64)})
	return &river.Config{
		Logger: c.logger, Workers: workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: c.workers}},
		FetchCooldown: 10 * time.Millisecond, FetchPollInterval: 100 * time.Millisecond, // the defaults limit the throughput
		MaxAttempts: c.maxAttempts, DiscardedJobRetentionPeriod: -1, CancelledJobRetentionPeriod: -1,
		JobTimeout: c.timeout, JobStuckThreshold: c.grace, SoftStopTimeout: c.grace,
		RescueStuckJobsAfter: c.timeout + 2*c.grace, // of a process that died
		JobStuckHandler: func(ctx context.Context, p river.JobStuckHandlerParams) river.JobStuckHandlerResult {
			c.logger.ErrorContext(ctx, "a job ignores the end of its context", slog.Int64("job", p.ID), slog.Int("hanging", p.TotalStuckJobs))
			if p.TotalStuckJobs >= c.workers {
				c.exit("as many jobs hang as there are workers")
			}
			return river.JobStuckHandlerResult{AddWorkerSlot: true}
		},
	}
}

// runCommand migrates the database and runs the command.
func runCommand[TTx any](ctx context.Context, c *config, driver riverdriver.Driver[TTx]) error {
	// Migrations take no lock, so processes that start together disturb each other.
	err := retry(ctx, 30*time.Second, func(ctx context.Context) error {
		migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: c.logger})
		if err == nil {
			_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("the database is not ready: %w", err)
	}
	client, err := river.NewClient(driver, c.riverConfig())
	if err != nil {
		return err
	}
	unique := &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: rivertype.JobStates()}} // also after it is dead
	store := func(ctx context.Context, n *notification.Notification) error {
		return retry(context.WithoutCancel(ctx), 5*time.Second, func(ctx context.Context) error {
			if _, err := client.Insert(ctx, job{ID: n.ID(), WebhookID: n.WebhookID, Body: n.Raw}, unique); err != nil {
				return fmt.Errorf("%w: %w", notification.ErrUnavailable, err)
			}
			return nil
		})
	}
	switch c.command {
	case "dead", "retry":
		page, err := client.JobList(ctx, river.NewJobListParams().First(10_000).States(rivertype.JobStateDiscarded, rivertype.JobStateCancelled))
		if err != nil {
			return err
		}
		for _, row := range page.Jobs {
			fmt.Fprintf(c.out, "%d\t%s\t%d attempts\t%q\t%s\n", row.ID, row.State, row.Attempt, row.Errors[len(row.Errors)-1].Error, row.EncodedArgs)
			if c.command == "retry" && err == nil {
				_, err = client.JobRetry(ctx, row.ID)
			}
		}
		return err
	case "receive":
		return c.receive(ctx, store)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := client.Start(ctx); err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { time.AfterFunc(3*c.grace, func() { c.exit("the stop takes too long") }) })
	if c.command == "all" {
		err = c.receive(ctx, store)
		cancel() // if the receiver fails, the worker stops
	}
	<-client.Stopped()
	return err
}

// retry calls do until it succeeds or the limit is over.
func retry(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := do(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		<-time.After(100 * time.Millisecond)
	}
}
