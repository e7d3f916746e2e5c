package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	// How long an acknowledgement or a dead letter may take, an election included.
	settlePatience = 10 * time.Second
	settleAttempt  = 2 * time.Second
	settlePause    = 100 * time.Millisecond

	// A request for a message is lost with the server that had it. The heartbeats
	// that then stay out tell after twice this time.
	pullHeartbeat = time.Second
	pullExpiry    = 30 * time.Second

	maxReason = 1000
	// How many errors a worker remembers of events whose dead letters it couldn't store.
	maxFailures = 10_000
)

// Why a notification is dead, for the counter.
const (
	deadMalformed = "malformed" // it can't be decoded, today as little as tomorrow
	deadFailed    = "failed"    // the function failed at the last delivery
	deadAbandoned = "abandoned" // it was delivered often enough, and it isn't known how that ended
)

// A worker takes events out of the stream and has them handled.
type worker struct {
	streams     *streams
	handle      func(context.Context, event) error
	concurrency int
	maxDeliver  int
	backoff     []time.Duration // before the second delivery, the third and so on; the last one holds on
	ackWait     time.Duration   // of the consumer, if this worker creates it
	timeout     time.Duration   // of the function
	grace       time.Duration   // for the function once the worker is to stop
	telemetry   *telemetry
	logger      *slog.Logger

	mu       sync.Mutex
	failures map[uint64]string // by sequence: why it is dead, of what is to be buried the next time
}

// run works until the context ends. Then it takes nothing new and finishes what
// it has begun, or gives it back when the time of grace is over. A function that
// goes on nevertheless is left alone, and that is an error.
func (w *worker) run(ctx context.Context) error {
	consumer, err := w.streams.consumer(ctx, w.ackWait)
	if err != nil {
		return err
	}
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ackWait := consumer.CachedInfo().Config.AckWait
	if ackWait != w.ackWait {
		w.logger.Warn("the consumer isn't of this -ack-wait: its own one holds", slog.Duration("ack_wait", ackWait))
	}
	w.logger.Info("working", slog.String("stream", w.streams.events()), slog.Int("concurrency", w.concurrency))

	var hands sync.WaitGroup
	for range w.concurrency {
		hands.Go(func() { w.work(ctx, working, consumer) })
	}
	finished := make(chan struct{})
	go func() {
		hands.Wait()
		close(finished)
	}()
	<-ctx.Done()
	if !within(w.grace, finished) {
		cancel()
		if !within(settlePatience, finished) {
			return errors.New("the function goes on though its context has ended: what it has in hand comes again")
		}
	}
	w.logger.Info("the worker has stopped")
	return nil
}

// within returns whether it was done before d was over.
func within(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// work takes one event after the other, whatever happens. It asks for the next
// once it is done with the one before: what waited here meanwhile would be taken
// for abandoned.
func (w *worker) work(ctx, working context.Context, consumer jetstream.Consumer) {
	for ctx.Err() == nil {
		if err := w.take(ctx, working, consumer); err != nil {
			w.logger.Error("no events can be had", slog.Any("error", err))
			if !wait(ctx, time.Second) {
				return
			}
			if c, err := w.streams.consumer(ctx, w.ackWait); err == nil { // perhaps somebody deleted it
				consumer = c
			}
		}
	}
}

func (w *worker) take(ctx, working context.Context, consumer jetstream.Consumer) error {
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1),
		jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return err
	}
	defer messages.Stop()
	ackWait := consumer.CachedInfo().Config.AckWait // which needn't be this worker's
	defer context.AfterFunc(ctx, messages.Drain)()  // one that is on its way is still taken
	for {
		m, err := messages.Next()
		switch {
		case errors.Is(err, jetstream.ErrMsgIteratorClosed) && ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		w.process(working, m, ackWait)
	}
}

// process decides what becomes of a message. It counts the deliveries itself,
// because the server goes on for ever: see consumerConfig.
func (w *worker) process(ctx context.Context, m jetstream.Msg, ackWait time.Duration) {
	meta, err := m.Metadata()
	if err != nil {
		w.logger.Error("a message doesn't come from a stream", slog.Any("error", err))
		return
	}
	ctx = propagator.Extract(ctx, propagation.HeaderCarrier(m.Headers()))
	ctx, span := w.telemetry.tracer.Start(ctx, "handle "+m.Subject(), trace.WithSpanKind(trace.SpanKindConsumer))
	defer func() { end(span, err) }()
	deliveries := int(min(meta.NumDelivered, 1<<30))
	id := idOf(m.Headers().Get(headerWebhookID), m.Data())
	logger := w.logger.With(slog.String("id", id),
		slog.Uint64("sequence", meta.Sequence.Stream), slog.Int("delivery", deliveries))

	defer w.signal(ctx, m, ackWait)()

	n, err := openMessage(m)
	switch {
	case err != nil:
		w.bury(ctx, logger, m, meta, deadMalformed, err)
		return
	case deliveries > w.maxDeliver:
		kind := deadFailed
		if err = w.failure(meta.Sequence.Stream); err == nil {
			kind = deadAbandoned
			err = fmt.Errorf("delivered %d times, and how the last one ended isn't known: its worker died or hung, or couldn't tell", deliveries-1)
		}
		w.bury(ctx, logger, m, meta, kind, err)
		return
	}
	err = w.call(ctx, event{
		Notification: n,
		ID:           id,
		Delivery:     deliveries,
		Sequence:     meta.Sequence.Stream,
	})
	w.telemetry.handled.Add(ctx, 1, metric.WithAttributes(attribute.Bool("ok", err == nil)))
	switch {
	case err == nil:
		if err = settle(ctx, m.DoubleAck); err != nil {
			logger.Warn("handled, but the stream doesn't know: it will come again", slog.Any("error", err))
		}
	case ctx.Err() != nil: // the worker stops: somebody else may go on at once
		logger.Warn("given back", slog.Any("error", err))
		w.giveBack(logger, m, 0)
	case deliveries >= w.maxDeliver:
		w.bury(ctx, logger, m, meta, deadFailed, err)
	default:
		pause := w.pause(deliveries)
		logger.Warn("failed", slog.Any("error", err), slog.Duration("again_in", pause))
		w.giveBack(logger, m, pause)
	}
}

// pause returns how long to wait after so many deliveries.
func (w *worker) pause(deliveries int) time.Duration {
	return w.backoff[min(deliveries, len(w.backoff))-1]
}

// failure returns the error of an event that is dead already, if this worker knows
// it.
func (w *worker) failure(sequence uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if text, ok := w.failures[sequence]; ok {
		return errors.New(text)
	}
	return nil
}

// remember keeps why an event is dead for the next time, unless it is buried or
// there are too many.
func (w *worker) remember(sequence uint64, text string, buried bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case buried:
		delete(w.failures, sequence)
	case len(w.failures) < maxFailures:
		if w.failures == nil {
			w.failures = map[uint64]string{}
		}
		w.failures[sequence] = text
	}
}

// signal tells the stream that somebody is at work until the returned function is
// called, but no longer than that may take: a function that hangs is given up.
func (w *worker) signal(ctx context.Context, m jetstream.Msg, ackWait time.Duration) (stop func()) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.timeout+settlePatience)
	go func() {
		for wait(ctx, ackWait/3) {
			_ = m.InProgress() // if it gets lost, the next one may not
		}
	}()
	return cancel
}

// call calls the function. A panic is an error like any other.
func (w *worker) call(ctx context.Context, e event) (err error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			w.logger.Error("the function panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	return w.handle(ctx, e)
}

// bury makes a dead letter of a message. It is stored before the message is
// terminated, so that a crash in between loses nothing. Its id has the message's
// number, so that it isn't stored twice either, and that one which was put back
// into the stream and died again is another one. It has the event's id as well,
// because a stream that is set up anew counts from 1 again.
func (w *worker) bury(ctx context.Context, logger *slog.Logger, m jetstream.Msg, meta *jetstream.MsgMetadata, kind string, reason error) {
	text := oneLine(reason.Error())
	dead := nats.NewMsg(w.streams.deadPrefix() + strings.TrimPrefix(m.Subject(), w.streams.name))
	for _, key := range []string{headerWebhookID, headerType, headerEmittedAt} {
		if value := m.Headers().Get(key); value != "" {
			dead.Header.Set(key, value)
		}
	}
	dead.Header.Set(headerDeadReason, kind+": "+text)
	dead.Header.Set(headerDeadSubject, m.Subject())
	dead.Header.Set(headerDeadDeliveries, strconv.FormatUint(meta.NumDelivered, 10))
	id := idOf(m.Headers().Get(headerWebhookID), m.Data())
	dead.Header.Set(headerDeadID, id)
	dead.Header.Set(jetstream.MsgIDHeader, meta.Stream+"-"+strconv.FormatUint(meta.Sequence.Stream, 10)+"-"+id)
	dead.Data = m.Data()
	err := settle(ctx, func(ctx context.Context) error {
		_, err := w.streams.publish(ctx, dead, w.streams.dead())
		return err
	})
	if kind == deadFailed {
		w.remember(meta.Sequence.Stream, text, err == nil)
	}
	if err != nil {
		logger.Error("dead, but the dead letter can't be stored: it stays in the stream", slog.String("reason", text), slog.Any("error", err))
		w.giveBack(logger, m, w.pause(len(w.backoff)))
		return
	}
	w.telemetry.dead.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", kind)))
	logger.Error("dead", slog.String("reason", text))
	// Should this get lost, the message comes again and gets here again.
	if err := m.TermWithReason(kind); err != nil {
		logger.Warn("a dead event will come again", slog.Any("error", err))
	}
}

// giveBack has a message delivered again. Should that get lost, the same happens
// when nothing was heard of it for long enough.
func (w *worker) giveBack(logger *slog.Logger, m jetstream.Msg, pause time.Duration) {
	if err := m.NakWithDelay(pause); err != nil {
		logger.Warn("it couldn't be given back", slog.Any("error", err))
	}
}

// settle repeats what must get through to the stream, also when the worker stops,
// for as long as there is a connection.
func settle(ctx context.Context, tell func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settlePatience)
	defer cancel()
	for {
		attempt, cancel := context.WithTimeout(ctx, settleAttempt)
		err := tell(attempt)
		cancel()
		if err == nil || errors.Is(err, nats.ErrConnectionClosed) || !wait(ctx, settlePause) {
			return err
		}
	}
}

// oneLine makes what a header can hold of a text.
func oneLine(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > maxReason {
		runes = append(runes[:maxReason], '…')
	}
	return string(runes)
}
