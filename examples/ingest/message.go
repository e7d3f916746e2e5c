package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// The headers of an event, and those that a dead letter has in addition.
const (
	headerWebhookID   = "Apivideo-Webhook-Id"
	headerType        = "Apivideo-Event-Type"
	headerEmittedAt   = "Apivideo-Emitted-At" // missing if it is unreadable
	headerDeadReason  = "Apivideo-Dead-Reason"
	headerDeadSubject = "Apivideo-Dead-Subject" // of the event
	headerDeadID      = "Apivideo-Dead-Id"      // of the notification
)

// The first word of a reason.
const (
	deadMalformed = "malformed" // the body is something else than an object with a type
	deadFailed    = "failed"    // the function failed too often
	deadAbandoned = "abandoned" // the process died during the event, with nothing beside it
)

// newMessage returns the message of a notification.
func newMessage(prefix string, n *notification.Notification) *nats.Msg {
	m := &nats.Msg{Subject: subjectOf(prefix, n.Type), Header: nats.Header{}, Data: n.Raw}
	m.Header.Set(jetstream.MsgIDHeader, n.ID())
	m.Header.Set(headerWebhookID, n.WebhookID)
	m.Header.Set(headerType, oneLine(string(n.Type)))
	if !n.EmittedAt.IsZero() {
		m.Header.Set(headerEmittedAt, n.EmittedAt.Format(time.RFC3339Nano))
	}
	return m
}

// deadLetter returns the dead letter of a message. A second one with the same key is
// a duplicate.
func deadLetter(prefix string, m *nats.Msg, key, reason string) *nats.Msg {
	dead := &nats.Msg{Subject: prefix + "-dead" + strings.TrimPrefix(m.Subject, prefix), Header: eventHeaders(m.Header), Data: m.Data}
	dead.Header.Set(headerDeadReason, reason)
	dead.Header.Set(headerDeadSubject, m.Subject)
	dead.Header.Set(headerDeadID, idOf(m))
	dead.Header.Set(jetstream.MsgIDHeader, key)
	return dead
}

// eventHeaders returns the headers of an event in those of an event or a dead letter.
func eventHeaders(from nats.Header) nats.Header {
	to := nats.Header{}
	for _, name := range []string{headerWebhookID, headerType, headerEmittedAt} {
		if value := from.Get(name); value != "" {
			to.Set(name, value)
		}
	}
	return to
}

// idOf returns the ID of the notification in a message. The body may be malformed.
func idOf(m *nats.Msg) string {
	return (&notification.Notification{WebhookID: m.Header.Get(headerWebhookID), Raw: m.Data}).ID()
}

// plainType matches a type that fits into a subject.
var plainType = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}(\.[A-Za-z0-9_-]{1,40}){0,7}$`)

// subjectOf returns the subject of a type. A type may contain everything.
func subjectOf(prefix string, t facade.EventType) string {
	if !plainType.MatchString(string(t)) {
		return prefix + ".other"
	}
	return prefix + "." + string(t)
}

const maxText = 1000 // in characters

// oneLine returns a text that fits into a header.
func oneLine(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > maxText {
		runes = append(runes[:maxText], '…')
	}
	return string(runes)
}

// requeue moves dead letters to the stream of events, all or those of one type. The
// failures of an event count from zero. After an error some are moved.
func (s *streams) requeue(ctx context.Context, eventType string) (moved int, err error) {
	stream, err := s.js.Stream(ctx, s.dead())
	if err != nil {
		return 0, err
	}
	last := stream.CachedInfo().State.LastSeq // new dead letters stay
	for next := uint64(1); ; {
		dead, err := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(s.name+"-dead.>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && dead.Sequence > last {
			return moved, nil
		}
		if err != nil {
			return moved, err
		}
		next = dead.Sequence + 1
		if eventType != "" && dead.Header.Get(headerType) != eventType {
			continue
		}
		m := &nats.Msg{Subject: dead.Header.Get(headerDeadSubject), Header: eventHeaders(dead.Header), Data: dead.Data}
		// The ID of the event may be in the duplicate window. This one makes a second
		// requeue of the dead letter a duplicate.
		m.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("requeue-%d-%s", dead.Sequence, idOf(m)))
		if _, err := s.publish(ctx, m, s.events()); err != nil {
			return moved, fmt.Errorf("dead letter %d: %w", dead.Sequence, err)
		}
		if err := stream.DeleteMsg(ctx, dead.Sequence); err != nil {
			return moved, err
		}
		moved++
	}
}
