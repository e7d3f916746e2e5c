package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// defaultBackoff lasts as long as an outage of a day.
const defaultBackoff = "1s,10s,1m,10m,30m,1h,2h,4h,4h,4h,4h,4h"

const settleLimit = 10 * time.Second // for an acknowledgement or a dead letter, with an election

var errHangs = errors.New("the function ignores the end of its context")

// worker handles the events of the stream. A suspect has the lock alone for writing,
// all other events for reading.
type worker struct {
	*core

	handle                  func(context.Context, event) error
	backoff                 []time.Duration // after the first failure, the second and so on
	ackWait, timeout, grace time.Duration   // see the flags
	alone                   sync.RWMutex
}

// run works until ctx is done. Then events in flight finish, or return to the stream
// after the time of grace.
func (w *worker) run(ctx context.Context) error {
	info, err := w.consumer(ctx, w.ackWait)
	if err != nil {
		return err
	}
	w.logger.Info("working", slog.Int("concurrency", w.concurrency), slog.Duration("ack_wait", info.Config.AckWait))
	if err := checkDelivery(info); err != nil {
		w.logger.Warn("the worker waits", slog.Any("error", err))
	}
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var goroutines sync.WaitGroup
	for range w.concurrency {
		goroutines.Go(func() {
			for ctx.Err() == nil {
				if err := w.work(ctx, working); err != nil && ctx.Err() == nil {
					w.logger.Error("no events", slog.Any("error", err))
					wait(ctx, time.Second)
				}
			}
		})
	}
	<-ctx.Done()
	defer time.AfterFunc(w.grace, cancel).Stop()
	goroutines.Wait()
	w.logger.Info("the worker stopped")
	if n := w.hangs.Load(); n > 0 {
		return fmt.Errorf("%w: %d", errHangs, n)
	}
	return nil
}

// work processes one event at a time. An event in a local queue would look abandoned.
func (w *worker) work(ctx, working context.Context) error {
	info, err := w.consumer(ctx, w.ackWait)
	bucket, bucketErr := w.histories(ctx)
	js, jsErr := w.js.Conn().JetStream()
	if err := errors.Join(err, bucketErr, jsErr); err != nil {
		return err
	}
	// This kind of subscription keeps messages after the end of a pull.
	sub, err := js.PullSubscribe("", consumerName, nats.Bind(w.events(), consumerName))
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	for err == nil && ctx.Err() == nil {
		var messages []*nats.Msg
		messages, err = sub.Fetch(1, nats.MaxWait(pullExpiry))
		if errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
			// After a pause of the process, a late message is before the response to a ping.
			err = w.js.Conn().FlushTimeout(pullExpiry)
		}
		for _, m := range messages {
			err = w.process(ctx, working, &attempt{worker: w, m: m, bucket: bucket}, info.Config.AckWait)
		}
	}
	return err
}

// attempt is one delivery of an event.
type attempt struct {
	*worker
	history

	m              *nats.Msg
	bucket         jetstream.KeyValue
	webhookID, key string // the key is of the history
	meta           *nats.MsgMetadata
	delivery       uint64
	log            *slog.Logger
}

// process settles a message: acknowledged, returned to the stream or a dead letter.
// After an error the stream delivers the message again.
func (w *worker) process(stop, ctx context.Context, a *attempt, ackWait time.Duration) error {
	var err error
	if a.meta, err = a.m.Metadata(); err != nil {
		return err
	}
	alive, stopAlive := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAlive()
	go func() {
		for wait(alive, ackWait/3) {
			_ = a.m.InProgress() // extends the ack wait
		}
	}()
	ctx = propagator.Extract(ctx, propagation.HeaderCarrier(a.m.Header))
	a.webhookID = a.m.Header.Get(headerWebhookID)
	a.delivery, a.key = a.meta.NumDelivered, fmt.Sprintf("%d.%s", a.meta.Sequence.Stream, notificationID(a.webhookID, a.m.Data))
	a.log = w.logger.With(slog.String("event", a.key), slog.Uint64("delivery", a.delivery))
	if a.delivery > 1 {
		if err := a.load(ctx, a.bucket, a.key); err != nil {
			return errors.Join(err, a.m.NakWithDelay(time.Second))
		}
	}
	n, err := notification.Decode(a.webhookID, a.m.Data)
	switch {
	case err != nil:
		return a.deadLetter(ctx, deadReason(deadMalformed, err))
	case a.Failures > len(w.backoff): // the dead letter was not stored
		return a.deadLetter(ctx, a.Reason)
	case a.isAbandoned(a.delivery):
		return a.fail(ctx, deadAbandoned, errors.New("the process ended during the event, with nothing beside it"))
	case !a.isSuspect(a.delivery):
		w.alone.RLock()
		defer w.alone.RUnlock()
		return a.run(stop, ctx, n)
	}
	a.log.Warn("the last delivery has no result: new events wait, until the event was processed with nothing beside it")
	w.alone.Lock()
	defer w.alone.Unlock()
	if stop.Err() != nil {
		return a.m.Nak() // the event remains a suspect
	}
	a.Alone = a.delivery
	if err := a.save(ctx, a.bucket, a.key); err != nil {
		return errors.Join(err, a.m.NakWithDelay(time.Second))
	}
	return a.run(stop, ctx, n)
}

// run calls the function. ctx is done after the time of grace, stop before it.
func (a *attempt) run(stop, ctx context.Context, n *notification.Notification) error {
	err := stop.Err()
	if err == nil {
		err = a.call(ctx, event{Notification: n, Failures: a.Failures, Sequence: a.meta.Sequence.Stream})
		a.telemetry.handled.Add(ctx, 1, metric.WithAttributes(attribute.Bool("ok", err == nil)))
	}
	switch {
	case err == nil:
		ack := func(ctx context.Context) error { return a.m.AckSync(nats.Context(ctx)) }
		return retry(context.WithoutCancel(ctx), settleLimit, isClosed, ack)
	case stop.Err() != nil: // a stop is no failure
		a.log.Info("returned to the stream", slog.Any("error", err))
		a.Settled = a.delivery
		return errors.Join(a.save(ctx, a.bucket, a.key), a.m.Nak())
	case !errors.Is(err, errHangs):
		a.Alone = 0 // the function has returned
	}
	return a.fail(ctx, deadFailed, err)
}

// call calls the function in a new goroutine, because the function may never return,
// or may end the goroutine.
func (a *attempt) call(ctx context.Context, e event) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	err := errors.New("the function called runtime.Goexit")
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
				a.log.Error("panic", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			}
		}()
		err = a.handle(ctx, e)
	}()
	hangs := make(chan struct{})
	defer context.AfterFunc(ctx, func() { time.AfterFunc(a.grace, func() { close(hangs) }) })()
	select {
	case <-done:
		return err
	case <-hangs:
	}
	hanging := a.hangs.Add(1)
	a.telemetry.hung.Add(ctx, 1)
	a.log.Error("the function ignores the end of its context: its goroutine is replaced", slog.Int64("hanging", hanging))
	go func() {
		<-done
		a.hangs.Add(-1)
	}()
	return errHangs
}

// fail counts a failure. The event is delivered again after a delay, and becomes a dead
// letter after the last failure.
func (a *attempt) fail(ctx context.Context, kind string, cause error) error {
	a.Failures++
	a.Settled, a.Reason = a.delivery, deadReason(kind, cause)
	err := a.save(ctx, a.bucket, a.key)
	if a.Failures > len(a.backoff) {
		return errors.Join(err, a.deadLetter(ctx, a.Reason))
	}
	delay := a.backoff[a.Failures-1]
	a.log.Warn("failed", slog.Int("failures", a.Failures), slog.String("reason", a.Reason), slog.Duration("delay", delay))
	return errors.Join(err, a.m.NakWithDelay(delay))
}

// deadLetter stores a dead letter and then removes the event.
func (a *attempt) deadLetter(ctx context.Context, reason string) error {
	letter := newMessage(a.name+"-dead"+strings.TrimPrefix(a.m.Subject, a.name), a.webhookID, a.events()+"-"+a.key, a.m.Data)
	letter.Header.Set(headerDeadReason, reason)
	if _, err := a.store(ctx, letter, a.dead(), settleLimit); err != nil {
		return errors.Join(fmt.Errorf("dead letter not stored, the event stays in the stream: %w", err), a.m.NakWithDelay(a.backoff[len(a.backoff)-1]))
	}
	return a.m.Term() // if the message is lost, the event is delivered again
}

func (w *worker) setBackoff(text string) error {
	w.backoff = nil
	rest := maxHistoryAge
	for each := range strings.SplitSeq(text, ",") {
		delay, err := time.ParseDuration(each)
		if rest -= delay; err != nil || delay <= 0 || rest <= 0 {
			return fmt.Errorf("%q is not a positive duration, or the sum is more than %v", each, maxHistoryAge)
		}
		w.backoff = append(w.backoff, delay)
	}
	return nil
}

func (w *worker) isReady(ctx context.Context) error {
	info, err := w.consumer(ctx, w.ackWait)
	if err == nil {
		err = checkDelivery(info)
	}
	if !w.alone.TryRLock() {
		return errors.New("new events wait for an event that may have killed its process: see the log")
	}
	w.alone.RUnlock()
	return errors.Join(err, w.checkLeader(ctx))
}

// history is the state of an event after a delivery. The server counts deliveries. A
// delivery without a result is mostly no fault of the event. The worker was lost, or
// another event killed the process.
type history struct {
	Failures int    `json:"failures"`
	Reason   string `json:"reason"`  // of the last failure
	Settled  uint64 `json:"settled"` // the last delivery with a result
	// Alone is the last delivery with nothing beside the event. Zero means that the
	// function has returned since, or that there was no such delivery.
	Alone uint64 `json:"alone"`
}

// isSuspect reports whether the event may kill its process.
func (h *history) isSuspect(delivery uint64) bool {
	return h.Alone > 0 || delivery > 1 && h.Settled != delivery-1
}

// isAbandoned reports whether the process died in the delivery before, with nothing
// beside the event.
func (h *history) isAbandoned(delivery uint64) bool {
	return h.Alone > 0 && h.Alone == delivery-1 && h.Settled != delivery-1
}

func (h *history) load(ctx context.Context, bucket jetstream.KeyValue, key string) error {
	return retry(ctx, settleLimit, isClosed, func(ctx context.Context) error {
		entry, err := bucket.Get(ctx, key)
		if err == nil {
			return json.Unmarshal(entry.Value(), h)
		}
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		return err
	})
}

func (h *history) save(ctx context.Context, bucket jetstream.KeyValue, key string) error {
	value, _ := json.Marshal(h) // numbers and a text
	return retry(context.WithoutCancel(ctx), settleLimit, isClosed, func(ctx context.Context) error {
		_, err := bucket.Put(ctx, key, value)
		return err
	})
}
