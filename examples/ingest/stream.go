package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	minDuplicates = 2 * time.Minute    // redeliveries take ten seconds, and longer if responses are slow
	minStreamAge  = 7 * 24 * time.Hour // a long weekend without a worker
	minAckWait    = time.Second
	maxHistoryAge = 30 * 24 * time.Hour // longer than the sum of all delays
	maxMessage    = maxBody + 16<<10    // a body and its headers
	ensureLimit   = 30 * time.Second    // a starting cluster elects leaders
	maxBody       = 256 << 10           // NATS has a limit of 1 MiB, and a notification some hundred bytes
	consumerName  = "ingest"            // all workers share the durable consumer
	pullExpiry    = time.Second         // a pull ends with the server
	maxAckPending = 100_000             // includes the events before their next attempt
)

// streams are the stream of events, the stream of dead letters and the bucket of
// histories.
type streams struct {
	js         jetstream.JetStream
	name       string // of the subjects; upper case in the names of the streams
	replicas   int
	duplicates time.Duration
	maxAge     time.Duration // of the receiver, 0 is any
	maxBytes   int64         // of each stream, -1 is unlimited
}

func (s *streams) events() string { return strings.ToUpper(s.name) }
func (s *streams) dead() string   { return s.events() + "_DEAD" }

func (s *streams) configs() (events, dead jetstream.StreamConfig) {
	events = jetstream.StreamConfig{
		Name: s.events(), Subjects: []string{s.name + ".>"}, Storage: jetstream.FileStorage, Replicas: s.replicas,
		Retention: jetstream.WorkQueuePolicy, // until a worker acknowledges
		Discard:   jetstream.DiscardNew,      // a full stream rejects, and the service retries
		MaxBytes:  s.maxBytes, MaxMsgs: -1, MaxMsgSize: -1, Duplicates: s.duplicates,
	}
	dead = events
	dead.Name, dead.Subjects, dead.Retention = s.dead(), []string{s.name + "-dead.>"}, jetstream.LimitsPolicy
	return events, dead
}

// errLoses means that a stream or a consumer would lose events.
var errLoses = errors.New("this configuration loses events")

// ensure creates the missing streams and the bucket, and checks the streams.
func (s *streams) ensure(ctx context.Context) error {
	events, dead := s.configs()
	return retry(ctx, ensureLimit, isPermanent, func(ctx context.Context) error {
		_, err := s.histories(ctx)
		return errors.Join(err, s.ensureStream(ctx, events), s.ensureStream(ctx, dead))
	})
}

func (s *streams) ensureStream(ctx context.Context, want jetstream.StreamConfig) error {
	stream, err := s.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = s.js.CreateStream(ctx, want)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", want.Name, err)
	}
	return s.check(stream.CachedInfo().Config, want)
}

// histories returns the bucket, creates a missing bucket and checks the bucket.
func (s *streams) histories(ctx context.Context) (jetstream.KeyValue, error) {
	want := jetstream.KeyValueConfig{Bucket: s.events() + "_HISTORY", TTL: maxHistoryAge, Replicas: s.replicas}
	bucket, err := s.js.KeyValue(ctx, want.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = s.js.CreateKeyValue(ctx, want)
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", want.Bucket, err)
	}
	status, err := bucket.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", want.Bucket, err)
	}
	have := status.Config()
	return bucket, reject(fmt.Errorf("bucket %s: %w", want.Bucket, errLoses), map[string]bool{
		"the storage has to be file: a restart loses memory":                have.Storage != jetstream.FileStorage,
		fmt.Sprintf("%d replicas instead of %d", have.Replicas, s.replicas): have.Replicas < s.replicas,
		fmt.Sprintf("the TTL has to be at least %v, or none", want.TTL):     have.TTL > 0 && have.TTL < want.TTL,
	})
}

// isPermanent reports whether a later attempt has the same result. A starting cluster
// responds with 503, and another process may create the same stream.
func isPermanent(err error) bool {
	exists := errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) || errors.Is(err, jetstream.ErrConsumerExists) || errors.Is(err, jetstream.ErrBucketExists)
	var api *jetstream.APIError
	return isClosed(err) || errors.Is(err, errLoses) || !exists && errors.As(err, &api) && api.Code != http.StatusServiceUnavailable
}

// reject returns an error with the faults that are true, or nil without faults.
func reject(err error, faults map[string]bool) error {
	maps.DeleteFunc(faults, func(_ string, found bool) bool { return !found })
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w:\n- %s", err, strings.Join(slices.Sorted(maps.Keys(faults)), "\n- "))
}

func (s *streams) check(have, want jetstream.StreamConfig) error {
	limited := have.MaxBytes > 0 || have.MaxMsgs > 0 || have.MaxMsgsPerSubject > 0
	duplicates := max(minDuplicates, 2*s.maxAge)
	return reject(fmt.Errorf("stream %s: %w", want.Name, errLoses), map[string]bool{
		"the storage has to be file: a restart loses memory":                            have.Storage != jetstream.FileStorage,
		fmt.Sprintf("%d replicas instead of %d", have.Replicas, want.Replicas):          have.Replicas < want.Replicas,
		fmt.Sprintf("the duplicate window has to be at least %v", duplicates):           have.Duplicates < duplicates,
		"the retention is interest: events without a consumer are dropped":              have.Retention == jetstream.InterestPolicy,
		fmt.Sprintf("the age has to be at least %v, or unlimited", minStreamAge):        have.MaxAge > 0 && have.MaxAge < minStreamAge,
		"the discard policy has to be new: over a limit old events are dropped":         limited && have.Discard != jetstream.DiscardNew,
		"discard new per subject is required for max messages per subject":              have.MaxMsgsPerSubject > 0 && !have.DiscardNewPerSubject,
		"the retention is limits: handled events fill the stream, only an age is valid": want.Retention == jetstream.WorkQueuePolicy && have.Retention == jetstream.LimitsPolicy && limited,
		fmt.Sprintf("the message size has to be at least %d", maxMessage):               have.MaxMsgSize > 0 && have.MaxMsgSize < maxMessage,
		"the persist mode is async: acknowledged events may be lost":                    have.PersistMode == jetstream.AsyncPersistMode,
		"it has no acknowledgements, is sealed or is a mirror":                          have.NoAck || have.Sealed || have.Mirror != nil,
		"the subjects have to contain " + want.Subjects[0]:                              !slices.Contains(have.Subjects, want.Subjects[0]),
	})
}

// consumerConfig returns the consumer of the first worker.
func consumerConfig(ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
		MaxDeliver: -1, MaxAckPending: maxAckPending, MaxWaiting: 10_000,
	}
}

// consumer returns the consumer of all workers, and creates a missing consumer.
func (s *streams) consumer(ctx context.Context, ackWait time.Duration) (info *jetstream.ConsumerInfo, err error) {
	err = retry(ctx, ensureLimit, isPermanent, func(ctx context.Context) error {
		consumer, err := s.js.Consumer(ctx, s.events(), consumerName)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			consumer, err = s.js.CreateConsumer(ctx, s.events(), consumerConfig(ackWait))
		}
		if err != nil {
			return fmt.Errorf("consumer %s: %w", consumerName, err)
		}
		info = consumer.CachedInfo()
		return checkConsumer(info.Config)
	})
	return info, err
}

func checkConsumer(have jetstream.ConsumerConfig) error {
	return reject(fmt.Errorf("consumer %s: %w", consumerName, errLoses), map[string]bool{
		"the ack policy has to be explicit":           have.AckPolicy != jetstream.AckExplicitPolicy,
		"max deliver has to be unlimited":             have.MaxDeliver > 0,
		"backoff replaces the ack wait: use -backoff": len(have.BackOff) > 0,
		"the deliver policy has to be all":            have.DeliverPolicy != jetstream.DeliverAllPolicy,
		"it has a filter: other events wait forever":  have.FilterSubject != "" || len(have.FilterSubjects) > 0,
		"headers only is set: events have no body":    have.HeadersOnly,
		"the ack wait has to be at least 1s":          have.AckWait < minAckWait,
		"max request expires has to be at least 1s":   have.MaxRequestExpires > 0 && have.MaxRequestExpires < pullExpiry,
		"it has priority groups: pulls are rejected":  have.PriorityPolicy != jetstream.PriorityPolicyNone,
		"max ack pending has to be at least 100000":   have.MaxAckPending > 0 && have.MaxAckPending < maxAckPending,
	})
}

// checkDelivery returns an error if the server delivers no new events to any worker.
func checkDelivery(info *jetstream.ConsumerInfo) error {
	return reject(errors.New("no new events"), map[string]bool{
		fmt.Sprintf("the consumer is paused for %v", info.PauseRemaining):     info.Paused,
		fmt.Sprintf("%d events are pending, the maximum", info.NumAckPending): info.Config.MaxAckPending > 0 && info.NumAckPending >= info.Config.MaxAckPending,
	})
}

// checkLeader returns an error if the stream of events has no leader, or a configuration
// that loses events.
func (s *streams) checkLeader(ctx context.Context) error {
	stream, err := s.js.Stream(ctx, s.events())
	if err != nil {
		return fmt.Errorf("stream %s: %w", s.events(), err)
	}
	if cluster := stream.CachedInfo().Cluster; cluster != nil && cluster.Leader == "" {
		return fmt.Errorf("stream %s has no leader", s.events())
	}
	want, _ := s.configs()
	return s.check(stream.CachedInfo().Config, want)
}

// publish stores a message and returns the acknowledgement of the stream.
func (s *streams) publish(ctx context.Context, m *nats.Msg, stream string) (*jetstream.PubAck, error) {
	return s.js.PublishMsg(ctx, m, jetstream.WithExpectStream(stream), jetstream.WithRetryAttempts(0))
}

// retry calls do until it succeeds, the error is permanent or the limit is over. An
// attempt takes at most two seconds.
func retry(ctx context.Context, limit time.Duration, permanent func(error) bool, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := do(attempt)
		cancel()
		if err == nil || permanent(err) || !wait(ctx, pause) {
			return err
		}
	}
}

// isClosed reports whether the connection is closed for good.
func isClosed(err error) bool { return errors.Is(err, nats.ErrConnectionClosed) }

// wait returns true after d, or false as soon as ctx is done.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
