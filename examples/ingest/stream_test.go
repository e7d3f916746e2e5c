package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestEnsure_createsStreams(t *testing.T) {
	t.Parallel()
	s := connect(t, "apivideo", "", nats.InProcessServer(newEmbedded(t, t.TempDir())))
	var group errgroup.Group
	for range 4 { // processes start together
		group.Go(func() error { return s.ensure(t.Context()) })
	}
	require.NoError(t, group.Wait())

	stream, err := s.js.Stream(t.Context(), "APIVIDEO")
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	assert.Equal(t, []string{"apivideo.>"}, config.Subjects)
	assert.Equal(t, jetstream.FileStorage, config.Storage)
	assert.Equal(t, jetstream.DiscardNew, config.Discard)
	assert.Equal(t, jetstream.WorkQueuePolicy, config.Retention)
	assert.Equal(t, minDuplicates, config.Duplicates)
	assert.Zero(t, config.MaxAge)
	dead, err := s.js.Stream(t.Context(), "APIVIDEO_DEAD")
	require.NoError(t, err)
	assert.Equal(t, []string{"apivideo-dead.>"}, dead.CachedInfo().Config.Subjects)
}

func TestEnsure_rejections(t *testing.T) {
	t.Parallel()
	embedded := newEmbedded(t, t.TempDir())
	for name, test := range map[string]struct {
		change func(*jetstream.StreamConfig)
		want   int // replicas, 0 means 1
		reason string
	}{
		"memory":     {func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, 0, "the storage has to be file"},
		"replicas":   {func(*jetstream.StreamConfig) {}, 3, "1 replicas instead of 3"},
		"duplicates": {func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute }, 0, "the duplicate window has to be at least 2m0s"},
		"interest":   {func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, 0, "the retention is interest"},
		"age":        {func(c *jetstream.StreamConfig) { c.MaxAge = 24 * time.Hour }, 0, "the age has to be at least 168h0m0s"},
		"bytes": {func(c *jetstream.StreamConfig) {
			c.Discard, c.MaxBytes = jetstream.DiscardOld, 1<<20
		}, 0, "the discard policy has to be new"},
		"messages": {func(c *jetstream.StreamConfig) {
			c.Discard, c.MaxMsgs = jetstream.DiscardOld, 1000
		}, 0, "the discard policy has to be new"},
		"messages-of-a-subject": {func(c *jetstream.StreamConfig) {
			c.Discard, c.MaxMsgsPerSubject = jetstream.DiscardOld, 10
		}, 0, "discard new per subject"},
		"limits with bytes": {func(c *jetstream.StreamConfig) {
			c.Retention, c.MaxBytes = jetstream.LimitsPolicy, 1<<20
		}, 0, "the retention is limits"},
		"limits with messages": {func(c *jetstream.StreamConfig) {
			c.Retention, c.MaxMsgs = jetstream.LimitsPolicy, 1000
		}, 0, "the retention is limits"},
		"size":     {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }, 0, "the message size has to be at least"},
		"async":    {func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }, 0, "the persist mode is async"},
		"no-ack":   {func(c *jetstream.StreamConfig) { c.NoAck = true }, 0, "it has no acknowledgements"},
		"subjects": {func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere.>"} }, 0, "the subjects have to contain subjects.>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := connect(t, strings.ReplaceAll(name, " ", "-"), "", nats.InProcessServer(embedded))
			config, _ := s.configs()
			test.change(&config)
			_, err := s.js.CreateStream(t.Context(), config)
			require.NoError(t, err)
			s.replicas = max(1, test.want)
			if test.want > 1 { // the stream of dead letters is valid
				_, dead := s.configs()
				dead.Replicas = 1
				_, err := s.js.CreateStream(t.Context(), dead)
				require.NoError(t, err)
			}
			err = s.ensure(t.Context())
			require.ErrorIs(t, err, errLoses)
			assert.ErrorContains(t, err, test.reason)
			t.Log(err)
		})
	}
}

func TestEnsure_history(t *testing.T) {
	t.Parallel()
	embedded := newEmbedded(t, t.TempDir())
	for name, test := range map[string]struct {
		change func(*jetstream.KeyValueConfig)
		want   int // replicas
		reason string
	}{
		"default":   {func(*jetstream.KeyValueConfig) {}, 1, ""},
		"unlimited": {func(c *jetstream.KeyValueConfig) { c.TTL = 0 }, 1, ""},
		"memory":    {func(c *jetstream.KeyValueConfig) { c.Storage = jetstream.MemoryStorage }, 1, "the storage has to be file"},
		"ttl":       {func(c *jetstream.KeyValueConfig) { c.TTL = time.Second }, 1, "the TTL has to be at least 720h0m0s, or none"},
		"replicas":  {func(*jetstream.KeyValueConfig) {}, 3, "bucket REPLICAS_HISTORY: this configuration loses events:\n- 1 replicas instead of 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := connect(t, name, "", nats.InProcessServer(embedded))
			config := jetstream.KeyValueConfig{Bucket: s.events() + "_HISTORY", TTL: maxHistoryAge}
			test.change(&config)
			_, err := s.js.CreateKeyValue(t.Context(), config)
			require.NoError(t, err)
			events, dead := s.configs()
			for _, config := range []jetstream.StreamConfig{events, dead} {
				_, err := s.js.CreateStream(t.Context(), config)
				require.NoError(t, err)
			}
			s.replicas = test.want
			err = s.ensure(t.Context())
			if test.reason == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, errLoses)
			assert.ErrorContains(t, err, test.reason)
		})
	}
}

func TestEnsure_limitsRetention(t *testing.T) {
	t.Parallel()
	s := connect(t, "apivideo", "", nats.InProcessServer(newEmbedded(t, t.TempDir())))
	config, _ := s.configs()
	config.Retention, config.MaxAge, config.Duplicates = jetstream.LimitsPolicy, 30*24*time.Hour, time.Hour
	config.Subjects = append(config.Subjects, "other.>")
	_, err := s.js.CreateStream(t.Context(), config)
	require.NoError(t, err)
	require.NoError(t, s.ensure(t.Context()))
}

func TestCheckLeader(t *testing.T) {
	t.Parallel()
	embedded := newEmbedded(t, t.TempDir())
	s := connect(t, "apivideo", "", nats.InProcessServer(embedded))
	require.Error(t, s.checkLeader(t.Context()), "there is no stream")
	require.NoError(t, s.ensure(t.Context()))
	require.NoError(t, s.checkLeader(t.Context()))

	stream, err := s.js.Stream(t.Context(), s.events())
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	config.MaxAge = time.Hour
	_, err = s.js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	require.ErrorIs(t, s.checkLeader(t.Context()), errLoses, "the stream has changed")
	config.MaxAge = 0
	_, err = s.js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	require.NoError(t, s.checkLeader(t.Context()))

	embedded.stop()
	require.Error(t, s.checkLeader(t.Context()), "there is no server")
}

func TestConsumer_unchanged(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	for _, ackWait := range []time.Duration{time.Minute, time.Second} {
		info, err := s.consumer(t.Context(), ackWait)
		require.NoError(t, err)
		config := info.Config
		assert.Equal(t, time.Minute, config.AckWait, "of the first worker")
		assert.Equal(t, -1, config.MaxDeliver)
		assert.Equal(t, 100_000, config.MaxAckPending, "failed events are pending")
		assert.Equal(t, 10_000, config.MaxWaiting)
	}
}

func TestConsumer_rejections(t *testing.T) {
	t.Parallel()
	s := connect(t, "apivideo", "", nats.InProcessServer(newEmbedded(t, t.TempDir())))
	stream, _ := s.configs()
	stream.Retention = jetstream.LimitsPolicy // allows more kinds of consumers
	_, err := s.js.CreateStream(t.Context(), stream)
	require.NoError(t, err)
	for want, change := range map[string]func(*jetstream.ConsumerConfig){
		"ack policy":  func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckAllPolicy },
		"max deliver": func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 },
		"backoff replaces": func(c *jetstream.ConsumerConfig) {
			c.BackOff = []time.Duration{time.Second}
		},
		"filter":              func(c *jetstream.ConsumerConfig) { c.FilterSubject = "apivideo.video.>" },
		"max ack pending":     func(c *jetstream.ConsumerConfig) { c.MaxAckPending = maxAckPending - 1 },
		"headers":             func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true },
		"max request expires": func(c *jetstream.ConsumerConfig) { c.MaxRequestExpires = 500 * time.Millisecond },
		"priority groups": func(c *jetstream.ConsumerConfig) {
			c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyOverflow, []string{"a"}
		},
	} {
		config := consumerConfig(time.Minute)
		change(&config)
		_, err := s.js.CreateConsumer(t.Context(), s.events(), config)
		require.NoError(t, err)
		_, err = s.consumer(t.Context(), time.Minute)
		require.ErrorIs(t, err, errLoses)
		require.ErrorContains(t, err, want)
		require.NoError(t, s.js.DeleteConsumer(t.Context(), s.events(), consumerName))
	}
}

func TestCheckDelivery_maxAckPending(t *testing.T) {
	t.Parallel()
	info := &jetstream.ConsumerInfo{Config: consumerConfig(time.Minute), NumAckPending: maxAckPending - 1}
	require.NoError(t, checkDelivery(info))
	info.NumAckPending++
	require.ErrorContains(t, checkDelivery(info), "100000 events are pending, the maximum")
	info.Config.MaxAckPending = -1
	require.NoError(t, checkDelivery(info), "unlimited")
}

// Another stream may have the same subjects.
func TestPublish_otherStream(t *testing.T) {
	t.Parallel()
	s := newStreams(t)
	m := nats.NewMsg("apivideo.x")
	_, err := s.publish(t.Context(), m, s.dead())
	require.ErrorContains(t, err, "expected stream does not match")
	assert.Zero(t, streamState(t, s, s.events()).Msgs)
}

// After a restart a stream knows the IDs of the stored messages. A work queue has
// forgotten the IDs of handled events.
func TestStream_duplicatesAfterRestart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		retention jetstream.RetentionPolicy
		twice     bool // a handled event is stored again
	}{
		"work queue": {jetstream.WorkQueuePolicy, true},
		"limits":     {jetstream.LimitsPolicy, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			embedded := newEmbedded(t, dir)
			s := connect(t, "apivideo", "", nats.InProcessServer(embedded))
			config, _ := s.configs()
			config.Retention = test.retention
			_, err := s.js.CreateStream(t.Context(), config)
			require.NoError(t, err)
			require.NoError(t, s.ensure(t.Context()))
			handled, waiting := string(loadBody(1)), string(loadBody(2))
			put(t, s, "webhook_1", handled)
			put(t, s, "webhook_1", waiting)
			_, err = s.consumer(t.Context(), time.Minute)
			require.NoError(t, err)
			m, err := nextMessage(t, s)
			require.NoError(t, err)
			require.NoError(t, m.DoubleAck(t.Context()))

			for _, body := range []string{handled, waiting} {
				put(t, s, "webhook_1", body)
			}
			require.Equal(t, uint64(2), streamState(t, s, s.events()).LastSeq, "both IDs are known")
			embedded.stop()
			s = connect(t, "apivideo", "", nats.InProcessServer(newEmbedded(t, dir)))
			put(t, s, "webhook_1", waiting)
			require.Equal(t, uint64(2), streamState(t, s, s.events()).LastSeq, "pending events are known")
			put(t, s, "webhook_1", handled)
			assert.Equal(t, test.twice, streamState(t, s, s.events()).LastSeq == 3)
		})
	}
}
