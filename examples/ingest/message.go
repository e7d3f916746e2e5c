package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// The headers of an event and of a dead letter.
const (
	headerWebhookID  = "Apivideo-Webhook-Id"
	headerDeadReason = "Apivideo-Dead-Reason"
)

// The first word of a reason.
const (
	deadMalformed = "malformed" // the body is something else than an object with a type
	deadFailed    = "failed"    // the function failed too often
	deadAbandoned = "abandoned" // the process died during the event, with nothing beside the event
)

// newMessage returns the message of an event or a dead letter. A second message with
// the same key is a duplicate.
func newMessage(subject, webhookID, key string, body []byte) *nats.Msg {
	m := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: body}
	m.Header.Set(headerWebhookID, webhookID)
	m.Header.Set(jetstream.MsgIDHeader, key)
	return m
}

// notificationID returns the ID of a notification. The body may be malformed.
func notificationID(webhookID string, body []byte) string {
	return (&notification.Notification{WebhookID: webhookID, Raw: body}).ID()
}

// plainType matches a type that fits into a subject.
var plainType = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}(\.[A-Za-z0-9_-]{1,40}){0,7}$`)

// eventSubject returns the subject of a type. A type may contain everything.
func eventSubject(prefix string, t facade.EventType) string {
	if !plainType.MatchString(string(t)) {
		return prefix + ".other"
	}
	return prefix + "." + string(t)
}

// deadReason returns the value of a header: one line of limited length.
func deadReason(kind string, err error) string {
	return fmt.Sprintf("%s: %.1000s", kind, strings.Join(strings.Fields(err.Error()), " "))
}

// store publishes a message until the stream acknowledges it, for a limited time. It
// also counts and logs dead letters.
func (c *core) store(ctx context.Context, m *nats.Msg, stream string, limit time.Duration) (duplicate bool, err error) {
	err = retry(context.WithoutCancel(ctx), limit, isClosed, func(ctx context.Context) error {
		ack, err := c.publish(ctx, m, stream)
		duplicate = err == nil && ack.Duplicate
		return err
	})
	if reason := m.Header.Get(headerDeadReason); err == nil && !duplicate && reason != "" {
		kind, _, _ := strings.Cut(reason, ":")
		c.telemetry.dead.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", kind)))
		c.logger.Error("dead letter", slog.String("id", m.Header.Get(jetstream.MsgIDHeader)), slog.String("reason", reason))
	}
	return duplicate, err
}

// requeue moves all dead letters, or all of a type, to the stream of events. The
// failures of an event count from zero. After an error some are moved.
func (s *streams) requeue(ctx context.Context, eventType string) (moved int, err error) {
	stream, err := s.js.Stream(ctx, s.dead())
	if err != nil {
		return 0, err
	}
	subject := jetstream.WithGetMsgSubject(s.name + "-dead." + cmp.Or(eventType, ">"))
	last := stream.CachedInfo().State.LastSeq // new dead letters stay
	for next := uint64(1); ; moved++ {
		dead, err := stream.GetMsg(ctx, next, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && dead.Sequence > last {
			return moved, nil
		}
		if err != nil {
			return moved, err
		}
		// The ID of the event may be in the duplicate window. With another ID, a second
		// requeue of the dead letter is a duplicate.
		id := fmt.Sprintf("requeue-%d-%s", dead.Sequence, dead.Header.Get(jetstream.MsgIDHeader))
		m := newMessage(s.name+strings.TrimPrefix(dead.Subject, s.name+"-dead"), dead.Header.Get(headerWebhookID), id, dead.Data)
		if _, err := s.publish(ctx, m, s.events()); err != nil {
			return moved, fmt.Errorf("dead letter %d: %w", dead.Sequence, err)
		}
		if err := stream.DeleteMsg(ctx, dead.Sequence); err != nil {
			return moved, err
		}
		next = dead.Sequence + 1
	}
}
