package main

import (
	"cmp"
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

// job is a notification. The body is base64, because jsonb changes JSON and rejects \u0000.
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

// separate runs a suspect with nothing beside it, because the job may have killed two
// processes. A job that waits for long is snoozed, which costs no attempt.
func (w *worker) separate(ctx context.Context, j *rivertype.JobRow, do func(context.Context) error) error {
	later := river.JobSnooze(w.config.timeout + rand.N(w.config.timeout)) //nolint:gosec // a delay is no secret
	weight, unlock := int64(1), func() {}
	if n := len(j.Errors); n > 1 && strings.Count(j.Errors[n-1].Error+j.Errors[n-2].Error, "rescued") == 2 {
		if !w.suspect.TryLock() {
			return later
		}
		weight, unlock = math.MaxInt64, w.suspect.Unlock
	}
	waiting, cancel := context.WithTimeout(ctx, w.config.timeout)
	defer cancel()
	if err := w.running.Acquire(waiting, weight); err != nil {
		unlock()
		return cmp.Or(ctx.Err(), later)
	}
	release := sync.OnceFunc(func() { unlock(); w.running.Release(weight) })
	defer release()
	if weight > 1 {
		<-time.After(min(time.Second, w.config.grace)) // River stores the results of other jobs in batches
	}
	defer time.AfterFunc(w.config.timeout, release).Stop() // the function may never return
	return do(ctx)
}

func (w *worker) Work(ctx context.Context, j *river.Job[job]) error {
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

func (c *config) riverConfig() *river.Config {
	workers := river.NewWorkers()
	w := &worker{config: c, running: semaphore.NewWeighted(math.MaxInt64)}
	river.AddWorker(workers, w)
	return &river.Config{
		Middleware: []rivertype.Middleware{river.WorkerMiddlewareFunc(w.separate)}, // outside of JobTimeout
		Logger:     c.logger, Workers: workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: c.workers}},
		FetchCooldown: 10 * time.Millisecond, FetchPollInterval: 100 * time.Millisecond, // the defaults limit the throughput
		MaxAttempts: c.maxAttempts, DiscardedJobRetentionPeriod: -1, CancelledJobRetentionPeriod: -1,
		JobTimeout: c.timeout, JobStuckThreshold: c.grace, SoftStopTimeout: c.grace,
		RescueStuckJobsAfter: 2 * (c.timeout + c.grace), // of a process that died; a wait and the function
		JobStuckHandler: func(ctx context.Context, p river.JobStuckHandlerParams) river.JobStuckHandlerResult {
			c.logger.ErrorContext(ctx, "a job ignores the end of its context", slog.Int64("job", p.ID), slog.Int("hanging", p.TotalStuckJobs))
			if p.TotalStuckJobs >= c.workers {
				c.exit("as many jobs hang as there are workers")
			}
			return river.JobStuckHandlerResult{AddWorkerSlot: true}
		},
	}
}

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
		list := river.NewJobListParams().First(1000).States(rivertype.JobStateDiscarded, rivertype.JobStateCancelled)
		for {
			page, err := client.JobList(ctx, list)
			if err != nil || len(page.Jobs) == 0 {
				return err
			}
			for _, row := range page.Jobs {
				if c.command == "retry" {
					if _, err := client.JobRetry(ctx, row.ID); err != nil {
						return fmt.Errorf("retry of job %d: %w", row.ID, err)
					}
				}
				errs := append([]rivertype.AttemptError{{}}, row.Errors...) // none, if a user has cancelled the job
				fmt.Printf("%d\t%s\t%d attempts\t%q\t%s\n", row.ID, row.State, row.Attempt, errs[len(errs)-1].Error, row.EncodedArgs)
			}
			list = list.After(page.LastCursor)
		}
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
func retry(ctx context.Context, limit time.Duration, do func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for err = do(ctx); err != nil && ctx.Err() == nil; err = do(ctx) {
		<-time.After(100 * time.Millisecond)
	}
	return err
}
