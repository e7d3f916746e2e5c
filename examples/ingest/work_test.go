package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// put stores a notification as a receiver does.
func put(tb testing.TB, s *streams, webhookID, body string) {
	tb.Helper()
	n, err := notification.Decode(webhookID, []byte(body))
	require.NoError(tb, err)
	_, err = s.publish(tb.Context(), newMessage(s.name, n), s.events())
	require.NoError(tb, err)
}

// eventuallyEmpty waits until nothing is left to be handled.
func eventuallyEmpty(tb testing.TB, s *streams) {
	tb.Helper()
	require.Eventually(tb, func() bool { return stateOf(tb, s, s.events()).Msgs == 0 }, 30*time.Second, 20*time.Millisecond)
}

// letter returns the only dead letter.
func letter(tb testing.TB, s *streams) *jetstream.RawStreamMsg {
	tb.Helper()
	require.Equal(tb, uint64(1), stateOf(tb, s, s.dead()).Msgs)
	stream, err := s.js.Stream(tb.Context(), s.dead())
	require.NoError(tb, err)
	m, err := stream.GetMsg(tb.Context(), stream.CachedInfo().State.LastSeq)
	require.NoError(tb, err)
	return m
}

// calls returns a function that takes its calls down and does what it is told.
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

func TestWorkHandlesTypedEvents(t *testing.T) {
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
	assert.Equal(t, event{Notification: want, ID: idOf("webhook_1", []byte(body)), Delivery: 1, Sequence: 1}, made[0])
	assert.IsType(t, &notification.VideoEncodingQualityCompleted{}, made[0].Event)
	assert.Zero(t, stateOf(t, s, s.dead()).Msgs)
}

func TestWorkTriesAgain(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"after an error": func() error { return errors.New("not today") },
		"after a panic":  func() error { panic("not today") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStreams(t)
			put(t, s, "webhook_1", body)
			c := calls{do: func(_ context.Context, e event) error {
				if e.Delivery < 3 {
					return fail()
				}
				return nil
			}}
			start(t, testWorker(t, s, c.handle).run)
			eventuallyEmpty(t, s)
			assert.Len(t, c.all(), 3)
			assert.Zero(t, stateOf(t, s, s.dead()).Msgs)
		})
	}
}

func TestWorkBuriesWhatFailsAndGoesOn(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	for i := range 50 {
		put(t, s, "webhook_1", string(loadBody(i)))
	}
	c := calls{do: func(_ context.Context, e event) error {
		if string(e.Raw) == body {
			return fmt.Errorf("no such video:\n%s", strings.Repeat("x", 2*maxReason))
		}
		return nil
	}}
	w := testWorker(t, s, c.handle)
	w.concurrency = 1 // so that it is alone with the poisoned one
	start(t, w.run)
	eventuallyEmpty(t, s)

	made := c.all()
	assert.Len(t, made, 50+w.maxDeliver)
	assert.Greater(t, slices.IndexFunc(made, func(e event) bool { return e.Delivery == 2 }), 1, "others came meanwhile")
	m := letter(t, s)
	assert.Equal(t, "apivideo-dead.video.encoding.quality.completed", m.Subject)
	assert.Equal(t, body, string(m.Data))
	assert.Equal(t, "webhook_1", m.Header.Get(headerWebhookID))
	assert.Equal(t, "video.encoding.quality.completed", m.Header.Get(headerType))
	assert.Equal(t, "apivideo.video.encoding.quality.completed", m.Header.Get(headerDeadSubject))
	assert.Equal(t, "3", m.Header.Get(headerDeadDeliveries))
	assert.Equal(t, idOf("webhook_1", []byte(body)), m.Header.Get(headerDeadID))
	assert.Equal(t, "APIVIDEO-1-"+idOf("webhook_1", []byte(body)), m.Header.Get(jetstream.MsgIDHeader),
		"a stream that is set up anew counts from 1, and its dead letters are others")
	reason := m.Header.Get(headerDeadReason)
	assert.True(t, strings.HasPrefix(reason, "failed: no such video: xxx"), reason)
	assert.Less(t, len(reason), maxReason+20)
}

func TestWorkBuriesWhatCantBeDecodedAtOnce(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	_, err := s.js.Publish(t.Context(), "apivideo.by.hand", []byte("hello"))
	require.NoError(t, err)
	put(t, s, "webhook_1", body)
	var c calls
	start(t, testWorker(t, s, c.handle).run)
	eventuallyEmpty(t, s)
	assert.Len(t, c.all(), 1, "the other one")
	m := letter(t, s)
	assert.Equal(t, "apivideo-dead.by.hand", m.Subject)
	assert.Equal(t, "hello", string(m.Data))
	assert.Contains(t, m.Header.Get(headerDeadReason), "malformed: apivideo: malformed notification")
	assert.Equal(t, "1", m.Header.Get(headerDeadDeliveries))
}

func TestWorkBuriesWhatWorkersDieOf(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	consumer, err := s.consumer(t.Context(), time.Second)
	require.NoError(t, err)
	for range 3 { // as many workers that take it and are never heard of again
		_, err := consumer.Next(jetstream.FetchMaxWait(20 * time.Second))
		require.NoError(t, err)
	}
	var c calls
	w := testWorker(t, s, c.handle)
	w.ackWait = time.Second
	start(t, w.run)
	eventuallyEmpty(t, s)
	assert.Empty(t, c.all(), "it isn't tried on one more")
	m := letter(t, s)
	assert.Contains(t, m.Header.Get(headerDeadReason), "abandoned: delivered 3 times, and how the last one ended isn't known")
	assert.Equal(t, "4", m.Header.Get(headerDeadDeliveries))
}

func TestWorkTakesItsTime(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	release := make(chan struct{})
	c := calls{do: func(context.Context, event) error { <-release; return nil }}
	_, err := s.consumer(t.Context(), time.Second)
	require.NoError(t, err)
	w := testWorker(t, s, c.handle)
	w.ackWait, w.concurrency = time.Hour, 1 // the consumer's is what it signals by
	start(t, w.run)
	require.Eventually(t, func() bool { return len(c.all()) == 1 }, 10*time.Second, 10*time.Millisecond)

	// The clock is another event, taken by somebody who says nothing: it comes
	// again each time the stream has lost its patience.
	put(t, s, "webhook_1", string(loadBody(0)))
	consumer, err := s.consumer(t.Context(), time.Second)
	require.NoError(t, err)
	for range 4 {
		m, err := consumer.Next(jetstream.FetchMaxWait(20 * time.Second))
		require.NoError(t, err)
		require.Equal(t, string(loadBody(0)), string(m.Data()))
	}
	close(release)
	eventuallyEmpty(t, s)
	assert.Len(t, slices.DeleteFunc(c.all(), func(e event) bool { return string(e.Raw) != body }), 1)
}

func TestWorkLosesNothingIfTheDeadLetterCantBeStored(t *testing.T) {
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
	tried := make(chan struct{}, 100)
	c := calls{do: func(context.Context, event) error { tried <- struct{}{}; return errors.New("never") }}
	w := testWorker(t, s, c.handle)
	w.maxDeliver = 1
	start(t, w.run)
	<-tried
	consumer, err := s.consumer(t.Context(), w.ackWait)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // it has been given back, or is about to be
		info, err := consumer.Info(t.Context())
		return err == nil && info.Delivered.Consumer > 1
	}, 40*time.Second, 50*time.Millisecond)
	require.Equal(t, uint64(1), stateOf(t, s, s.events()).Msgs)

	require.NoError(t, stream.Purge(t.Context()))
	eventuallyEmpty(t, s)
	m := letter(t, s)
	assert.Equal(t, body, string(m.Data))
	assert.Equal(t, "failed: never", m.Header.Get(headerDeadReason), "as it would have been at once")
	assert.Len(t, c.all(), 1)
	assert.NoError(t, w.failure(1), "it is forgotten")
}

// A dead letter is put back as README.md says.
func TestWorkTakesADeadLetterThatIsPutBack(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	var mended atomic.Bool
	c := calls{do: func(context.Context, event) error {
		if mended.Load() {
			return nil
		}
		return errors.New("not yet")
	}}
	start(t, testWorker(t, s, c.handle).run)
	eventuallyEmpty(t, s)
	dead := letter(t, s)
	mended.Store(true)

	again := nats.NewMsg(dead.Header.Get(headerDeadSubject))
	again.Header.Set(headerWebhookID, dead.Header.Get(headerWebhookID))
	again.Data = dead.Data
	_, err := s.js.PublishMsg(t.Context(), again)
	require.NoError(t, err)
	require.Equal(t, uint64(2), stateOf(t, s, s.events()).LastSeq, "it is no duplicate")
	eventuallyEmpty(t, s)
	made := c.all()
	require.Len(t, made, 4)
	assert.Equal(t, made[0].ID, made[3].ID)
	assert.Equal(t, made[0].Notification, made[3].Notification)
	assert.Equal(t, made[0].ID, dead.Header.Get(headerDeadID))
}

func TestWorkPausesLongerEachTime(t *testing.T) {
	t.Parallel()
	w := &worker{backoff: durations{time.Second, time.Minute, time.Hour}}
	for deliveries, want := range map[int]time.Duration{1: time.Second, 2: time.Minute, 3: time.Hour, 4: time.Hour, 100: time.Hour} {
		assert.Equal(t, want, w.pause(deliveries), deliveries)
	}
}

func TestWorkLeavesAFunctionThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	begun, hang := make(chan struct{}), make(chan struct{})
	w := testWorker(t, s, func(context.Context, event) error {
		close(begun)
		<-hang
		return nil
	})
	w.grace = 50 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	<-begun
	stop()
	require.ErrorContains(t, <-done, "the function goes on though its context has ended")
	close(hang)
	eventuallyEmpty(t, s)
}

func TestWorkGivesBackWhatItCantFinish(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	begun := make(chan struct{}, 1)
	slow := calls{do: func(ctx context.Context, _ event) error { begun <- struct{}{}; <-ctx.Done(); return ctx.Err() }}
	w := testWorker(t, s, slow.handle)
	w.grace, w.ackWait = 50*time.Millisecond, time.Hour
	r := start(t, w.run)
	<-begun
	r.stop()

	var c calls
	w = testWorker(t, s, c.handle)
	w.ackWait = time.Hour
	start(t, w.run)
	eventuallyEmpty(t, s)
	require.Len(t, c.all(), 1)
	assert.Equal(t, 2, c.all()[0].Delivery)
}

func TestWorkFinishesWhatItHasBegun(t *testing.T) {
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
	assert.LessOrEqual(t, stateOf(t, s, s.events()).Msgs, uint64(1))
	assert.Equal(t, uint64(2-len(c.all())), stateOf(t, s, s.events()).Msgs, "what was handled is acknowledged")
}

func TestWorkStopsTheFunctionWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	put(t, s, "webhook_1", body)
	c := calls{do: func(ctx context.Context, _ event) error { <-ctx.Done(); return context.Cause(ctx) }}
	w := testWorker(t, s, c.handle)
	w.timeout, w.maxDeliver = 50*time.Millisecond, 2
	start(t, w.run)
	eventuallyEmpty(t, s)
	assert.Contains(t, letter(t, s).Header.Get(headerDeadReason), "failed: context deadline exceeded")
}

func TestWorkGoesOnWhenItsConsumerIsDeleted(t *testing.T) {
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

// What is handled and not acknowledged is handled again, with the same id.
func TestWorkHandlesTwiceWhatItCouldntAcknowledge(t *testing.T) {
	t.Parallel()
	embedded := newEmbedded(t, t.TempDir())
	s := connect(t, "apivideo", "", nats.InProcessServer(embedded))
	require.NoError(t, s.ensure(t.Context()))
	put(t, s, "webhook_1", body)

	dying := connect(t, "apivideo", "", nats.InProcessServer(embedded))
	var handled atomic.Bool
	first := testWorker(t, dying, func(context.Context, event) error {
		handled.Store(true)
		dying.js.Conn().Close() // the process dies
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
	assert.Equal(t, 2, c.all()[0].Delivery)
	assert.Equal(t, idOf("webhook_1", []byte(body)), c.all()[0].ID)
}
