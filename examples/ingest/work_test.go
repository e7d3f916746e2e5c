package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// put stores a notification as a receiver does.
func put(tb testing.TB, s *streams, webhookID, body string) {
	tb.Helper()
	n, err := notification.Decode(webhookID, []byte(body))
	require.NoError(tb, err)
	_, err = s.publish(tb.Context(), newMessage(eventSubject(s.name, n.Type), n.WebhookID, n.ID(), n.Raw), s.events())
	require.NoError(tb, err)
}

func testID(webhookID, body string) string { return notificationID(webhookID, []byte(body)) }

// eventuallyEmpty waits for the end of the last event.
func eventuallyEmpty(tb testing.TB, s *streams) {
	tb.Helper()
	require.Eventually(tb, func() bool { return streamState(tb, s, s.events()).Msgs == 0 }, 40*time.Second, 20*time.Millisecond)
}

// onlyDeadLetter returns the only dead letter.
func onlyDeadLetter(tb testing.TB, s *streams) *jetstream.RawStreamMsg {
	tb.Helper()
	require.Equal(tb, uint64(1), streamState(tb, s, s.dead()).Msgs)
	stream, err := s.js.Stream(tb.Context(), s.dead())
	require.NoError(tb, err)
	m, err := stream.GetMsg(tb.Context(), stream.CachedInfo().State.FirstSeq)
	require.NoError(tb, err)
	return m
}

// nextMessage takes the next message without a result, like a killed worker.
func nextMessage(tb testing.TB, s *streams) (jetstream.Msg, error) {
	tb.Helper()
	consumer, err := s.js.Consumer(tb.Context(), s.events(), consumerName)
	require.NoError(tb, err)
	return consumer.Next(jetstream.FetchMaxWait(20 * time.Second))
}

// calls is a function with a record of all calls.
type calls struct {
	mu   sync.Mutex
	made []event
	do   func(context.Context, event) error
}

func (c *calls) handle(ctx context.Context, e event) error {
	c.mu.Lock()
	c.made = append(c.made, e)
	c.mu.Unlock()
	if c.do == nil {
		return nil
	}
	return c.do(ctx, e)
}

func (c *calls) all() []event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.made)
}

func TestWorker_typedEvent(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	var c calls
	start(t, testWorker(t, s, c.handle).run)
	eventuallyEmpty(t, s)

	made := c.all()
	require.Len(t, made, 1)
	want, err := notification.Decode("webhook_1", []byte(body))
	require.NoError(t, err)
	assert.Equal(t, event{Notification: want, Sequence: 1}, made[0])
	assert.Zero(t, streamState(t, s, s.dead()).Msgs)
}

func TestWorker_failures(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error":  func() error { return errors.New("not today") },
		"panic":  func() error { panic("not today") },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStreams(t)
			put(t, s, "webhook_1", body)
			c := calls{do: func(_ context.Context, e event) error {
				if e.Failures < 2 {
					return fail()
				}
				return nil
			}}
			start(t, testWorker(t, s, c.handle).run)
			eventuallyEmpty(t, s)
			assert.Len(t, c.all(), 3)
			assert.Zero(t, streamState(t, s, s.dead()).Msgs)
		})
	}
}

func TestWorker_deadLetter(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	for i := range 50 {
		put(t, s, "webhook_1", string(loadBody(i)))
	}
	c := calls{do: func(_ context.Context, e event) error {
		if string(e.Raw) == body {
			return fmt.Errorf("unknown video:\n%s", strings.Repeat("x", 2000))
		}
		return nil
	}}
	w := testWorker(t, s, c.handle)
	w.concurrency = 1
	start(t, w.run)
	eventuallyEmpty(t, s)

	made := c.all()
	assert.Len(t, made, 50+len(w.backoff)+1)
	assert.Greater(t, slices.IndexFunc(made, func(e event) bool { return e.Failures == 1 }), 1, "other events come first")
	m := onlyDeadLetter(t, s)
	assert.Equal(t, "apivideo-dead.video.encoding.quality.completed", m.Subject)
	assert.Equal(t, body, string(m.Data))
	assert.Equal(t, "webhook_1", m.Header.Get(headerWebhookID))
	assert.Equal(t, "APIVIDEO-1."+testID("webhook_1", body), m.Header.Get(jetstream.MsgIDHeader))
	reason := m.Header.Get(headerDeadReason)
	assert.True(t, strings.HasPrefix(reason, "failed: unknown video: xxx"), reason)
	assert.Less(t, len(reason), 1020)
}

func TestWorker_malformedBody(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	_, err := s.js.Publish(t.Context(), "apivideo.by.hand", []byte("hello"))
	require.NoError(t, err)
	put(t, s, "webhook_1", body)
	var c calls
	start(t, testWorker(t, s, c.handle).run)
	eventuallyEmpty(t, s)
	assert.Len(t, c.all(), 1)
	m := onlyDeadLetter(t, s)
	assert.Equal(t, "apivideo-dead.by.hand", m.Subject)
	assert.Equal(t, "hello", string(m.Data))
	assert.Contains(t, m.Header.Get(headerDeadReason), "malformed: ")
}

// A delivery without a result is no failure.
func TestWorker_deliveriesAreNotFailures(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	_, err := s.consumer(t.Context(), time.Second)
	require.NoError(t, err)
	for range 4 {
		_, err := nextMessage(t, s)
		require.NoError(t, err)
	}
	var c calls
	start(t, testWorker(t, s, c.handle).run)
	eventuallyEmpty(t, s)
	require.Len(t, c.all(), 1)
	assert.Zero(t, c.all()[0].Failures)
}

// Two suspects are never processed at the same time, or beside another event.
func TestWorker_suspectsAlone(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	_, err := s.consumer(t.Context(), time.Second)
	require.NoError(t, err)
	suspects := map[string]bool{}
	for i := range 3 {
		put(t, s, "webhook_1", string(loadBody(i)))
		m, err := nextMessage(t, s)
		require.NoError(t, err)
		suspects[string(m.Data())] = true
	}
	for i := range 20 {
		put(t, s, "webhook_1", string(loadBody(10+i)))
	}
	var running, besides, maximum atomic.Int64
	c := calls{do: func(ctx context.Context, e event) error {
		n := running.Add(1)
		defer running.Add(-1)
		wait(ctx, 50*time.Millisecond)
		if suspects[string(e.Raw)] && (n > 1 || running.Load() > 1) {
			besides.Add(1)
		}
		maximum.Store(max(maximum.Load(), n))
		return nil
	}}
	start(t, testWorker(t, s, c.handle).run)
	eventuallyEmpty(t, s)
	assert.Len(t, c.all(), 23)
	assert.Zero(t, besides.Load())
	assert.Greater(t, maximum.Load(), int64(1), "other events are concurrent")
}

func TestWorker_longEvent(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	release := make(chan struct{})
	c := calls{do: func(context.Context, event) error { <-release; return nil }}
	_, err := s.consumer(t.Context(), time.Second)
	require.NoError(t, err)
	w := testWorker(t, s, c.handle)
	w.ackWait, w.concurrency = time.Hour, 1 // the consumer has a second
	start(t, w.run)
	require.Eventually(t, func() bool { return len(c.all()) == 1 }, 10*time.Second, 10*time.Millisecond)

	put(t, s, "webhook_1", string(loadBody(0))) // the redeliveries are the clock
	for range 4 {
		m, err := nextMessage(t, s)
		require.NoError(t, err)
		require.Equal(t, string(loadBody(0)), string(m.Data()))
	}
	close(release)
	eventuallyEmpty(t, s)
	assert.Len(t, slices.DeleteFunc(c.all(), func(e event) bool { return string(e.Raw) != body }), 1)
}

func TestWorker_deadLetterNotStored(t *testing.T) {
	t.Parallel()
	s := connect(t, "apivideo", "", nats.InProcessServer(newEmbedded(t, t.TempDir())))
	_, dead := s.configs()
	dead.MaxMsgs = 1
	stream, err := s.js.CreateStream(t.Context(), dead)
	require.NoError(t, err)
	require.NoError(t, s.ensure(t.Context()))
	_, err = s.js.Publish(t.Context(), "apivideo-dead.full", nil)
	require.NoError(t, err)

	put(t, s, "webhook_1", body)
	c := calls{do: func(context.Context, event) error { return errors.New("never") }}
	w := testWorker(t, s, c.handle)
	w.backoff = w.backoff[:1]
	start(t, w.run)
	require.Eventually(t, func() bool {
		consumer, err := s.js.Consumer(t.Context(), s.events(), consumerName)
		return err == nil && consumer.CachedInfo().Delivered.Consumer > 2
	}, 40*time.Second, 50*time.Millisecond)
	require.Equal(t, uint64(1), streamState(t, s, s.events()).Msgs)

	require.NoError(t, stream.Purge(t.Context()))
	eventuallyEmpty(t, s)
	m := onlyDeadLetter(t, s)
	assert.Equal(t, body, string(m.Data))
	assert.Equal(t, "failed: never", m.Header.Get(headerDeadReason))
	assert.Len(t, c.all(), 2, "no call after the last failure")
}

// The last failure is saved before the dead letter. If the Term is lost, the function
// is not called again.
func TestWorker_deadLetterTwice(t *testing.T) {
	t.Parallel()
	acks := &server.SubjectPermission{Deny: []string{"$JS.ACK.>"}}
	single := newServer(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir(), Users: []*server.User{
		{Username: "ingest", Password: "a"}, {Username: "deaf", Password: "a", Permissions: &server.Permissions{Publish: acks}},
	}})
	s := connect(t, "apivideo", single.ClientURL(), nats.UserInfo("ingest", "a"))
	s.replicas = 1
	require.NoError(t, s.ensure(t.Context()))
	put(t, s, "webhook_1", body)
	_, err := s.consumer(t.Context(), time.Second)
	require.NoError(t, err)

	deaf := connect(t, "apivideo", single.ClientURL(), nats.UserInfo("deaf", "a"))
	deaf.replicas = 1
	c := calls{do: func(context.Context, event) error { return errors.New("never") }}
	w := testWorker(t, deaf, c.handle)
	reader := sdkmetric.NewManualReader()
	w.telemetry.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	w.telemetry.instrument()
	w.backoff = w.backoff[:1]
	start(t, w.run)
	require.Eventually(t, func() bool {
		consumer, err := s.js.Consumer(t.Context(), s.events(), consumerName)
		return err == nil && consumer.CachedInfo().Delivered.Consumer >= 5
	}, 40*time.Second, 50*time.Millisecond)
	assert.Len(t, c.all(), 2)
	assert.Equal(t, "failed: never", onlyDeadLetter(t, s).Header.Get(headerDeadReason))
	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &got))
	assert.Equal(t, int64(1), sum(t, got, "ingest.dead", attribute.String("reason", deadFailed)), "a duplicate is not counted")
}

// A suspect that waits for a long event is in the log and in the readiness.
func TestWorker_suspectWaits(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	_, err := s.consumer(t.Context(), time.Second)
	require.NoError(t, err)
	put(t, s, "webhook_1", body)
	_, err = nextMessage(t, s)
	require.NoError(t, err)
	put(t, s, "webhook_1", string(loadBody(0)))
	release := make(chan struct{})
	c := calls{do: func(context.Context, event) error { <-release; return nil }}
	var logs logBuffer
	w := testWorker(t, s, c.handle)
	w.logger = slog.New(slog.NewTextHandler(&logs, nil))
	start(t, w.run)
	require.Eventually(t, func() bool { return len(c.all()) == 1 }, 10*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		err := w.isReady(t.Context())
		return err != nil && strings.Contains(err.Error(), "new events wait") && strings.Contains(logs.String(), "new events wait")
	}, 20*time.Second, 10*time.Millisecond)
	assert.Len(t, c.all(), 1)
	close(release)
	eventuallyEmpty(t, s)
	assert.Eventually(t, func() bool { return w.isReady(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond)
}

// A suspect that fails is no suspect any more. A suspect that hangs remains a suspect,
// because its function still runs.
func TestWorker_suspectResults(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]uint64{"fails": 0, "hangs": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStreams(t)
			_, err := s.consumer(t.Context(), time.Second)
			require.NoError(t, err)
			put(t, s, "webhook_1", body)
			_, err = nextMessage(t, s)
			require.NoError(t, err)
			hang := make(chan struct{})
			t.Cleanup(func() { close(hang) })
			c := calls{do: func(context.Context, event) error {
				if name == "hangs" {
					<-hang
				}
				return errors.New("failure")
			}}
			w := testWorker(t, s, c.handle)
			w.timeout, w.grace, w.backoff = 50*time.Millisecond, 50*time.Millisecond, []time.Duration{time.Hour}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- w.run(ctx) }()
			bucket, err := s.histories(t.Context())
			require.NoError(t, err)
			var h history
			require.Eventually(t, func() bool {
				return h.load(t.Context(), bucket, "1."+testID("webhook_1", body)) == nil && h.Failures == 1
			}, 20*time.Second, 20*time.Millisecond)
			assert.Equal(t, want, h.Alone)
			assert.Equal(t, want > 0, h.isSuspect(3))
			assert.False(t, h.isAbandoned(3))
			stop()
			err = <-done
			assert.Equal(t, name == "hangs", errors.Is(err, errHangs))
		})
	}
}

func TestWorker_defaultBackoffLastsADay(t *testing.T) {
	t.Parallel()
	w := new(worker)
	require.NoError(t, w.setBackoff(defaultBackoff))
	var sum time.Duration
	for _, delay := range w.backoff {
		sum += delay
	}
	assert.InDelta(t, 24, sum.Hours(), 2)
	assert.Less(t, sum, maxHistoryAge)
}

// An endless function costs no worker goroutine.
func TestWorker_hangs(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	for i := range 4 {
		put(t, s, "webhook_1", string(loadBody(i)))
	}
	hang := make(chan struct{})
	c := calls{do: func(_ context.Context, e event) error {
		if string(e.Raw) != body {
			<-hang
		}
		return nil
	}}
	w := testWorker(t, s, c.handle)
	w.timeout, w.grace, w.backoff = 50*time.Millisecond, 50*time.Millisecond, w.backoff[:1]
	reader := sdkmetric.NewManualReader()
	w.telemetry.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	w.telemetry.instrument()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	require.Eventually(t, func() bool { return w.hangs.Load() >= 4 }, 10*time.Second, 10*time.Millisecond)
	require.ErrorIs(t, w.isAlive(t.Context()), errHangs)
	put(t, s, "webhook_1", body)
	eventuallyEmpty(t, s)
	assert.Equal(t, uint64(4), streamState(t, s, s.dead()).Msgs)
	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &got))
	assert.Equal(t, int64(8), sum(t, got, "ingest.hung"), "two failures of each event")
	stop()
	require.ErrorIs(t, <-done, errHangs, "the exit code reports it")
	close(hang)
	assert.Eventually(t, func() bool { return w.isAlive(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond)
}

func TestWorker_timeout(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	c := calls{do: func(ctx context.Context, _ event) error { <-ctx.Done(); return context.Cause(ctx) }}
	w := testWorker(t, s, c.handle)
	w.timeout, w.backoff = 50*time.Millisecond, w.backoff[:1]
	start(t, w.run)
	eventuallyEmpty(t, s)
	assert.Contains(t, onlyDeadLetter(t, s).Header.Get(headerDeadReason), "failed: context deadline exceeded")
}

// A stop is no failure. An event longer than the time of grace survives more stops
// than failures.
func TestWorker_stops(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	begun := make(chan struct{}, 1)
	slow := calls{do: func(ctx context.Context, _ event) error { begun <- struct{}{}; <-ctx.Done(); return ctx.Err() }}
	for range 6 {
		w := testWorker(t, s, slow.handle)
		w.grace, w.ackWait = 50*time.Millisecond, time.Hour
		r := start(t, w.run)
		<-begun
		r.stop()
	}
	var c calls
	start(t, testWorker(t, s, c.handle).run)
	eventuallyEmpty(t, s)
	require.Len(t, c.all(), 1)
	assert.Zero(t, c.all()[0].Failures)
	assert.Zero(t, streamState(t, s, s.dead()).Msgs)
}

func TestWorker_stopFinishesEvents(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	put(t, s, "webhook_1", string(loadBody(0)))
	begun, release := make(chan struct{}, 2), make(chan struct{})
	c := calls{do: func(context.Context, event) error { begun <- struct{}{}; <-release; return nil }}
	w := testWorker(t, s, c.handle)
	w.concurrency = 1
	r := start(t, w.run)
	<-begun
	var stopped sync.WaitGroup
	stopped.Go(r.stop)
	close(release)
	stopped.Wait()
	assert.Equal(t, uint64(2-len(c.all())), streamState(t, s, s.events()).Msgs, "handled events are acknowledged")
}

func TestWorker_deletedConsumer(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	var c calls
	start(t, testWorker(t, s, c.handle).run)
	put(t, s, "webhook_1", body)
	eventuallyEmpty(t, s)
	require.NoError(t, s.js.DeleteConsumer(t.Context(), s.events(), consumerName))
	put(t, s, "webhook_1", string(loadBody(0)))
	eventuallyEmpty(t, s)
	assert.Len(t, c.all(), 2)
}

func TestWorker_pausedConsumer(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	_, err := s.consumer(t.Context(), time.Minute)
	require.NoError(t, err)
	_, err = s.js.PauseConsumer(t.Context(), s.events(), consumerName, time.Now().Add(time.Hour))
	require.NoError(t, err)
	var logs logBuffer
	w := testWorker(t, s, new(calls).handle)
	w.logger = slog.New(slog.NewTextHandler(&logs, nil))
	start(t, w.run)
	require.Eventually(t, func() bool { return strings.Contains(logs.String(), "the consumer is paused") }, 10*time.Second, 10*time.Millisecond)
	require.ErrorContains(t, w.isReady(t.Context()), "is paused for")
	_, err = s.js.ResumeConsumer(t.Context(), s.events(), consumerName)
	require.NoError(t, err)
	require.NoError(t, w.isReady(t.Context()))
}

// After a lost acknowledgement the event is handled again, with the same ID.
func TestWorker_lostAcknowledgement(t *testing.T) {
	t.Parallel()
	embedded := newEmbedded(t, t.TempDir())
	s := connect(t, "apivideo", "", nats.InProcessServer(embedded))
	require.NoError(t, s.ensure(t.Context()))
	put(t, s, "webhook_1", body)

	dying := connect(t, "apivideo", "", nats.InProcessServer(embedded))
	var handled atomic.Bool
	first := testWorker(t, dying, func(context.Context, event) error {
		handled.Store(true)
		dying.js.Conn().Close()
		return nil
	})
	first.ackWait = time.Second
	r := start(t, first.run)
	require.Eventually(t, handled.Load, 10*time.Second, 10*time.Millisecond)
	r.stop()

	var c calls
	second := testWorker(t, s, c.handle)
	second.ackWait = time.Second
	start(t, second.run)
	eventuallyEmpty(t, s)
	require.Len(t, c.all(), 1)
	assert.Equal(t, testID("webhook_1", body), c.all()[0].ID())
}

func TestRequeue(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	other := `{"type":"video.caption.generated","videoId":"vi2"}`
	put(t, s, "webhook_1", body)
	put(t, s, "webhook_1", other)
	var fixed atomic.Bool
	c := calls{do: func(context.Context, event) error {
		if fixed.Load() {
			return nil
		}
		return errors.New("not yet")
	}}
	start(t, testWorker(t, s, c.handle).run)
	eventuallyEmpty(t, s)
	require.Equal(t, uint64(2), streamState(t, s, s.dead()).Msgs)
	fixed.Store(true)

	for eventType, want := range map[string]int{"video.caption.generated": 1, "nonesuch": 0} {
		moved, err := s.requeue(t.Context(), eventType)
		require.NoError(t, err)
		assert.Equal(t, want, moved)
	}
	eventuallyEmpty(t, s)
	assert.Equal(t, body, string(onlyDeadLetter(t, s).Data))
	moved, err := s.requeue(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, 1, moved)
	eventuallyEmpty(t, s)
	assert.Zero(t, streamState(t, s, s.dead()).Msgs)
	made := c.all()
	require.Len(t, made, 8)
	assert.Equal(t, testID("webhook_1", other), made[6].ID())
	assert.Equal(t, testID("webhook_1", body), made[7].ID())
	assert.Zero(t, made[7].Failures)
}
