package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// The service repeats a delivery for about ten seconds, and longer if it waits
	// for answers. Two minutes leave room for a receiver that hangs in between.
	minDuplicates = 2 * time.Minute
	// What has an age at which it is dropped must outlive a long weekend on which
	// no worker runs.
	minMaxAge = 7 * 24 * time.Hour
	// How much a message may have: a body and its headers.
	maxMessage = maxBody + 16<<10
	// How long a cluster that is just starting may take to give its streams.
	streamPatience = 30 * time.Second
	// The name of the durable consumer that all workers share.
	consumerName = "ingest"
)

// streams are the stream of events and that of dead letters.
type streams struct {
	js         jetstream.JetStream
	name       string // the beginning of every subject; in capitals it names the streams
	replicas   int
	duplicates time.Duration
	maxBytes   int64 // of each stream, -1: as much as the server lets it have
}

func (s *streams) events() string     { return strings.ToUpper(s.name) }
func (s *streams) dead() string       { return strings.ToUpper(s.name) + "_DEAD" }
func (s *streams) deadPrefix() string { return s.name + "-dead" }

// configs returns the two streams as this program creates them.
func (s *streams) configs() (events, dead jetstream.StreamConfig) {
	events = jetstream.StreamConfig{
		Name:        s.events(),
		Description: "verified notifications of api.video that are still to be handled",
		Subjects:    []string{s.name + ".>"},
		// A message stays until a worker has acknowledged it, however long that
		// takes, and takes no room afterwards.
		Retention: jetstream.WorkQueuePolicy,
		Storage:   jetstream.FileStorage,
		Replicas:  s.replicas,
		// A full stream refuses what is new, so that the receiver answers 503 and
		// the service tries again. The other policy would drop what is old.
		Discard:    jetstream.DiscardNew,
		MaxBytes:   s.maxBytes,
		MaxMsgs:    -1,
		MaxMsgSize: -1,
		Duplicates: s.duplicates,
	}
	dead = events
	dead.Name = s.dead()
	dead.Description = "notifications that couldn't be handled, until somebody looks at them"
	dead.Subjects = []string{s.deadPrefix() + ".>"}
	dead.Retention = jetstream.LimitsPolicy
	return events, dead
}

// errLoses means that a stream would lose events.
var errLoses = errors.New("this program doesn't run against a stream that would lose events")

// ensure creates the streams that don't exist, and refuses those that do and
// would lose events.
func (s *streams) ensure(ctx context.Context) error {
	events, dead := s.configs()
	return errors.Join(
		patiently(ctx, func(ctx context.Context) error { return s.createOrCheck(ctx, events) }),
		patiently(ctx, func(ctx context.Context) error { return s.createOrCheck(ctx, dead) }),
	)
}

func (s *streams) createOrCheck(ctx context.Context, want jetstream.StreamConfig) error {
	stream, err := s.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = s.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was quicker
			stream, err = s.js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", want.Name, err)
	}
	return checkStream(stream.CachedInfo().Config, want)
}

func checkStream(have, want jetstream.StreamConfig) error {
	if faults := faultsOf(have, want); len(faults) > 0 {
		return fmt.Errorf("stream %s: %w:\n- %s", want.Name, errLoses, strings.Join(faults, "\n- "))
	}
	return nil
}

// faultsOf says why a stream would lose events, or let them in twice.
func faultsOf(have, want jetstream.StreamConfig) []string {
	var faults []string
	check := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	refusesNew := have.Discard == jetstream.DiscardNew
	check(have.Storage != jetstream.FileStorage,
		"its storage is memory: a server that stops forgets it")
	check(have.Replicas < want.Replicas,
		"it has %d replicas and %d are wanted: see -replicas", have.Replicas, want.Replicas)
	check(have.Duplicates < minDuplicates,
		"its duplicate window of %v is shorter than %v: what the service repeats would be stored again", have.Duplicates, minDuplicates)
	check(have.Retention == jetstream.InterestPolicy,
		"its retention is by interest: without a consumer it drops what it takes")
	check(have.MaxAge > 0 && have.MaxAge < minMaxAge,
		"it drops what is older than %v, handled or not: the age must be %v at least, or unlimited", have.MaxAge, minMaxAge)
	check(have.MaxBytes > 0 && !refusesNew,
		"over %d bytes it drops what is old, handled or not: its discard policy must be new", have.MaxBytes)
	check(have.MaxMsgs > 0 && !refusesNew,
		"over %d messages it drops what is old, handled or not: its discard policy must be new", have.MaxMsgs)
	check(have.MaxMsgsPerSubject > 0 && (!refusesNew || !have.DiscardNewPerSubject),
		"over %d messages of a subject it drops what is old, handled or not: its discard policy must be new, for each subject as well", have.MaxMsgsPerSubject)
	check(want.Retention == jetstream.WorkQueuePolicy && have.Retention == jetstream.LimitsPolicy && refusesNew &&
		(have.MaxBytes > 0 || have.MaxMsgs > 0 || have.MaxMsgsPerSubject > 0),
		"it keeps what is handled, until it is full and refuses all that is new: with retention by limits it must have no bound but an age")
	check(have.MaxMsgSize > 0 && have.MaxMsgSize < maxMessage,
		"it takes no message over %d bytes, and notifications may need %d", have.MaxMsgSize, maxMessage)
	check(have.PersistMode == jetstream.AsyncPersistMode,
		"it acknowledges what isn't written yet: its persist mode must be the default")
	check(have.NoAck,
		"it acknowledges nothing: the receiver couldn't know what is stored")
	check(have.Sealed || have.Mirror != nil,
		"it is sealed or a mirror: it takes nothing")
	for _, subject := range want.Subjects {
		check(!slices.Contains(have.Subjects, subject),
			"it doesn't listen on %s, but on %q", subject, have.Subjects)
	}
	return faults
}

// consumerConfig returns the workers' consumer as this program creates it.
func consumerConfig(ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       consumerName,
		Description:   "the workers of ingest",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		// A worker that died is waited for this long. One that is at work says so
		// three times as often. The back-off is the worker's, because the server's
		// would be for the dead only and would replace this.
		AckWait: ackWait,
		// The worker counts, see worker.process. The server would stop to deliver at
		// its bound, tell it once to whoever listens, and leave the message in the
		// stream where nobody sees it.
		MaxDeliver: -1,
		// What waits for its next try counts as pending. With the default of 1,000
		// as many failing events would keep all others waiting.
		MaxAckPending: 20_000,
		// As many events can be waited for at once. The default of 512 is soon
		// reached by some workers.
		MaxWaiting: 10_000,
	}
}

// consumer returns the workers' consumer, and creates it if there is none. One
// that exists is left as it is: the workers share it, and those that run signal by
// what it was when they started.
func (s *streams) consumer(ctx context.Context, ackWait time.Duration) (consumer jetstream.Consumer, err error) {
	err = patiently(ctx, func(ctx context.Context) error {
		consumer, err = s.js.Consumer(ctx, s.events(), consumerName)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			consumer, err = s.js.CreateConsumer(ctx, s.events(), consumerConfig(ackWait))
			if errors.Is(err, jetstream.ErrConsumerExists) { // another worker was quicker
				consumer, err = s.js.Consumer(ctx, s.events(), consumerName)
			}
		}
		if err != nil {
			return err
		}
		if faults := consumerFaultsOf(consumer.CachedInfo().Config); len(faults) > 0 {
			return fmt.Errorf("%w:\n- %s", errLoses, strings.Join(faults, "\n- "))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("consumer %s of stream %s: %w", consumerName, s.events(), err)
	}
	return consumer, nil
}

// consumerFaultsOf says why workers would miss events with a consumer.
func consumerFaultsOf(have jetstream.ConsumerConfig) []string {
	var faults []string
	for _, fault := range []struct {
		bad bool
		why string
	}{
		{have.AckPolicy != jetstream.AckExplicitPolicy, "its acknowledgements aren't explicit: what a worker died of wouldn't come again"},
		{have.MaxDeliver > 0, "it stops to deliver at a bound of its own, and tells nobody: max deliver must be unlimited"},
		{len(have.BackOff) > 0, "it has a back-off, which replaces the time that a worker is waited for"},
		{have.DeliverPolicy != jetstream.DeliverAllPolicy, "it doesn't deliver all events"},
		{have.FilterSubject != "" || len(have.FilterSubjects) > 0, "it has a filter: what doesn't match waits for ever"},
		{have.HeadersOnly, "it delivers headers without bodies"},
	} {
		if fault.bad {
			faults = append(faults, fault.why)
		}
	}
	return faults
}

// patiently tries again while a cluster that is starting, or electing a leader,
// can't say yes or no.
func patiently(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, streamPatience)
	defer cancel()
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := do(attempt)
		cancel()
		var no *jetstream.APIError
		if err == nil || errors.Is(err, errLoses) || errors.As(err, &no) && no.Code != http.StatusServiceUnavailable {
			return err
		}
		if !wait(ctx, 500*time.Millisecond) {
			return err
		}
	}
}

// ready returns an error unless the stream of events has a leader that answers,
// and is what it has to be: somebody may have changed it since the start.
func (s *streams) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.events())
	if err != nil {
		return fmt.Errorf("stream %s: %w", s.events(), err)
	}
	if cluster := stream.CachedInfo().Cluster; cluster != nil && cluster.Leader == "" {
		return fmt.Errorf("stream %s has no leader", s.events())
	}
	want, _ := s.configs()
	return checkStream(stream.CachedInfo().Config, want)
}

// publish stores a message and returns once the stream has acknowledged it. The
// message has an id, so that it doesn't matter if an attempt before was stored
// and only its acknowledgement got lost.
func (s *streams) publish(ctx context.Context, m *nats.Msg, stream string) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, storeAttempt)
	defer cancel()
	// Another stream that listens on the subject, for a copy, mustn't answer for it.
	return s.js.PublishMsg(ctx, m, jetstream.WithExpectStream(stream), jetstream.WithRetryAttempts(0))
}

// wait returns true after d, or false as soon as the context has ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
