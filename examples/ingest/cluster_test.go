package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

const (
	loadSenders     = 64
	loadConcurrency = 32 // of a worker
)

// TestCluster_noLoss has two receivers, two workers and a cluster of three. The leader
// is killed and restarted. A receiver and a worker are stopped and restarted.
func TestCluster_noLoss(t *testing.T) {
	t.Parallel()
	const deliveries = 4_000
	nodes := newNodes(t)
	victim := nodes[0]
	victim.startOutside(t)
	nodes[1].start(t)
	nodes[2].start(t)
	wh, secrets := subscribe(t)

	admin := connect(t, "apivideo", urls(nodes))
	require.NoError(t, admin.ensure(t.Context()))

	// Two workers record their events. After armed is set, the next worker with an event
	// loses the connection. Its events in flight are handled and not acknowledged.
	book := newBook()
	var armed atomic.Bool
	killed := make(chan int, 1)
	newTestWorker := func(i int) *worker {
		w := testWorker(t, connect(t, "apivideo", urls(nodes)), nil)
		w.concurrency = loadConcurrency
		w.handle = func(_ context.Context, e event) error {
			book.write(w, e)
			if armed.CompareAndSwap(true, false) {
				w.js.Conn().Close()
				killed <- i
			}
			return nil
		}
		return w
	}
	workers := [2]*worker{newTestWorker(0), newTestWorker(1)}
	lead(t, admin, victim)
	var runningWorkers [2]*task
	for i, w := range workers {
		runningWorkers[i] = start(t, w.run)
	}

	// Two receivers behind a load balancer.
	var receivers [2]*receiver
	var runningReceivers [2]*task
	var addresses, endpoints [2]string
	for i := range receivers {
		receivers[i] = testReceiver(t, connect(t, "apivideo", urls(nodes)), secrets)
		l := listen(t, "127.0.0.1:0")
		addresses[i] = l.Addr().String()
		endpoints[i] = "http://" + addresses[i] + receivers[i].path
		runningReceivers[i] = start(t, func(ctx context.Context) error { return receivers[i].run(ctx, l) })
	}
	b := newBalancer(wh, endpoints[:]...)

	// Steps at percentages of the deliveries. The sending continues during a step until
	// the next step is due.
	var victimWorker *worker
	var lost int // which of the workers
	steps := []struct {
		percent int
		name    string
		do      func()
	}{
		{15, "kill a server, the leader", func() { lead(t, admin, victim); victim.kill() }},
		{30, "stop a receiver", func() { runningReceivers[0].stop() }},
		{40, "restart the receiver", func() {
			restarted := testReceiver(t, connect(t, "apivideo", urls(nodes)), secrets)
			l := listen(t, addresses[0])
			runningReceivers[0] = start(t, func(ctx context.Context) error { return restarted.run(ctx, l) })
		}},
		{50, "restart the server", func() { victim.startOutside(t) }},
		{60, "kill a worker before an acknowledgement", func() {
			armed.Store(true)
			lost = <-killed
			victimWorker = workers[lost]
			runningWorkers[lost].stop()
		}},
		{70, "restart the worker", func() { runningWorkers[lost] = start(t, newTestWorker(lost).run) }},
		{85, "the rest", func() {}},
	}

	// One delivery in fifty is forged, and one in ten duplicates a concurrent delivery.
	begin := time.Now()
	authentic := map[string]bool{}
	var mu sync.Mutex
	var repeated, forged int
	results := map[string]map[int]int{"authentic": {}, "repeated": {}, "forged": {}}
	work := make(chan int)
	var senders sync.WaitGroup
	for range loadSenders {
		senders.Go(func() {
			for i := range work {
				kind, body, secret := "authentic", loadBody(i), wh.SignatureSecret
				switch {
				case i%50 == 7:
					kind, secret = "forged", facade.NewSecret("a guess")
				case i%10 == 3:
					kind, body = "repeated", loadBody(i-1)
				}
				status := b.deliver(context.WithoutCancel(t.Context()), body, secret)
				mu.Lock()
				switch kind {
				case "authentic":
					authentic[testID(wh.ID, string(body))] = true
				case "repeated":
					repeated++
				case "forged":
					forged++
				}
				results[kind][status]++
				mu.Unlock()
			}
		})
	}
	due := make(chan struct{})
	go func() {
		defer close(work)
		next := 0
		for i := range deliveries {
			if next < len(steps) && i == deliveries*steps[next].percent/100 {
				due <- struct{}{}
				next++
			}
			work <- i
		}
	}()
	for _, step := range steps {
		<-due
		t.Logf("%d%% sent, %d handled: %s", step.percent, book.len(), step.name)
		step.do()
	}
	senders.Wait()
	took := time.Since(begin)

	assert.Equal(t, map[int]int{http.StatusAccepted: len(authentic)}, results["authentic"], "all are accepted")
	assert.Equal(t, map[int]int{http.StatusAccepted: repeated}, results["repeated"])
	assert.Equal(t, map[int]int{http.StatusUnauthorized: forged}, results["forged"])
	if !assert.Eventually(t, func() bool { return book.len() >= len(authentic) }, time.Minute, 50*time.Millisecond, "no event is lost") {
		t.Logf("%d are missing", len(authentic)-book.len())
	}
	if !assert.Eventually(t, func() bool { return streamState(t, admin, "APIVIDEO").Msgs == 0 }, time.Minute, 100*time.Millisecond, "the stream is empty") {
		t.Logf("%+v", streamState(t, admin, "APIVIDEO"))
	}
	drained := time.Since(begin)
	assert.Eventually(t, func() bool { return currentFollowers(t, admin) == 2 }, time.Minute, 100*time.Millisecond, "all servers are current")
	for _, r := range append(runningWorkers[:], runningReceivers[:]...) {
		r.stop()
	}

	state := streamState(t, admin, "APIVIDEO")
	twice, storedTwice, strangers, unexplained := book.duplicates(authentic, victimWorker)
	assert.Zero(t, strangers, "only authentic events are handled")
	assert.Empty(t, unexplained, "only events of the killed worker are delivered twice")
	assert.Positive(t, twice-storedTwice, "its events are delivered again")
	assert.LessOrEqual(t, twice-storedTwice, loadConcurrency, "at most the events in flight")
	assert.Equal(t, state.LastSeq, uint64(len(authentic)+storedTwice), "forged notifications are not stored")
	assert.Zero(t, streamState(t, admin, "APIVIDEO_DEAD").Msgs, "no dead letters")
	t.Logf("delivered %d in %v, %.0f/s; all handled and acknowledged after %v", deliveries, took.Round(time.Millisecond), float64(deliveries)/took.Seconds(), drained.Round(time.Millisecond))
	t.Logf("authentic %d, repeated %d, forged %d; responses %v", len(authentic), repeated, forged, b.statuses)
	t.Logf("stored %d, handled %d, dead 0", state.LastSeq, book.len())
	t.Logf("handled more than once: %d, of which %d because they were stored twice and %d because they were delivered twice", twice, storedTwice, twice-storedTwice)
	t.Logf("from request to 202: p50 %v, p99 %v, max %v", percentile(b.latencies, 50), percentile(b.latencies, 99), percentile(b.latencies, 100))
}

func loadBody(i int) []byte {
	body, _ := json.Marshal(notification.VideoEncodingQualityCompleted{
		Type: "video.encoding.quality.completed", EmittedAt: time.Unix(1_800_000_000, 0).UTC(),
		VideoID: fmt.Sprintf("vi%020d", i), Encoding: "hls", Quality: "720p",
	})
	return body
}

// book records the handled events.
type book struct {
	mu      sync.Mutex
	handled map[string][]entry // by id
}

type entry struct {
	sequence uint64
	by       *worker
}

func newBook() *book { return &book{handled: map[string][]entry{}} }

func (b *book) write(by *worker, e event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handled[e.ID()] = append(b.handled[e.ID()], entry{e.Sequence, by})
}

func (b *book) handle(_ context.Context, e event) error {
	b.write(nil, e)
	return nil
}

func (b *book) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.handled)
}

// duplicates counts the events with several calls, with several copies in the stream, and
// from unknown senders. Only a first delivery to the killed worker explains a second.
func (b *book) duplicates(expected map[string]bool, killed *worker) (twice, storedTwice, strangers int, unexplained []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, entries := range b.handled {
		if !expected[id] {
			strangers++
		}
		if len(entries) > 1 {
			twice++
		}
		bySequence := map[uint64][]*worker{}
		for _, e := range entries {
			bySequence[e.sequence] = append(bySequence[e.sequence], e.by)
		}
		storedTwice += len(bySequence) - 1
		for sequence, by := range bySequence {
			if len(by) > 2 || len(by) == 2 && (by[0] != killed || by[1] == killed) {
				unexplained = append(unexplained, fmt.Sprintf("%d: %d times", sequence, len(by)))
			}
		}
	}
	return twice, storedTwice, strangers, unexplained
}

// currentFollowers returns the number of current followers of the stream.
func currentFollowers(tb testing.TB, s *streams) (count int) {
	tb.Helper()
	stream, err := s.js.Stream(tb.Context(), "APIVIDEO")
	if err != nil || stream.CachedInfo().Cluster == nil {
		return 0
	}
	for _, replica := range stream.CachedInfo().Cluster.Replicas {
		if replica.Current {
			count++
		}
	}
	return count
}

// lead makes a server the leader of the stream and of the consumer.
func lead(tb testing.TB, s *streams, n *node) {
	tb.Helper()
	request := []byte(fmt.Sprintf(`{"placement":{"preferred":%q}}`, n.Name))
	moved := func(api string, leader func() string) {
		assert.Eventually(tb, func() bool {
			if leader() == n.Name {
				return true
			}
			_, _ = s.js.Conn().Request("$JS.API."+api, request, time.Second)
			return false
		}, 30*time.Second, 300*time.Millisecond, "%s has another leader than %s", api, n.Name)
	}
	moved("STREAM.LEADER.STEPDOWN.APIVIDEO", func() string {
		stream, err := s.js.Stream(tb.Context(), "APIVIDEO")
		if err != nil || stream.CachedInfo().Cluster == nil {
			return ""
		}
		return stream.CachedInfo().Cluster.Leader
	})
	_, err := s.consumer(tb.Context(), 10*time.Second)
	require.NoError(tb, err)
	moved("CONSUMER.LEADER.STEPDOWN.APIVIDEO."+consumerName, func() string {
		consumer, err := s.js.Consumer(tb.Context(), s.events(), consumerName)
		if err != nil || consumer.CachedInfo().Cluster == nil {
			return ""
		}
		return consumer.CachedInfo().Cluster.Leader
	})
}
