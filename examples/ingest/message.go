package main

import (
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// The headers of a stored notification, beside Nats-Msg-Id. Its body is the one
// that was signed, byte for byte.
const (
	headerWebhookID = "Apivideo-Webhook-Id"
	headerType      = "Apivideo-Event-Type"
	headerEmittedAt = "Apivideo-Emitted-At" // absent if it couldn't be read
)

// What a dead letter has in addition.
const (
	headerDeadReason     = "Apivideo-Dead-Reason"
	headerDeadSubject    = "Apivideo-Dead-Subject"
	headerDeadDeliveries = "Apivideo-Dead-Deliveries"
	headerDeadID         = "Apivideo-Dead-Id" // the id of the event
)

// newMessage returns a notification as it is stored.
func newMessage(prefix string, n *notification.Notification) *nats.Msg {
	m := nats.NewMsg(subjectOf(prefix, n.Type))
	m.Header.Set(jetstream.MsgIDHeader, n.ID())
	m.Header.Set(headerWebhookID, n.WebhookID)
	// A type may be longer than all that headers may have.
	m.Header.Set(headerType, oneLine(string(n.Type)))
	if !n.EmittedAt.IsZero() {
		m.Header.Set(headerEmittedAt, n.EmittedAt.Format(time.RFC3339Nano))
	}
	m.Data = n.Raw
	return m
}

// openMessage returns the notification that a message holds.
func openMessage(m jetstream.Msg) (*notification.Notification, error) {
	return notification.Decode(m.Headers().Get(headerWebhookID), m.Data())
}

// idOf returns the ID of the notification in a message, also if the body is
// malformed.
func idOf(webhookID string, body []byte) string {
	return (&notification.Notification{WebhookID: webhookID, Raw: body}).ID()
}

// A type may be anything, and a subject may not: a space or a wildcard in one is
// refused by the server, and the event would be lost.
var plainType = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}(\.[A-Za-z0-9_-]{1,40}){0,7}$`)

// subjectOf returns the subject for a type of event.
func subjectOf(prefix string, t facade.EventType) string {
	if !plainType.MatchString(string(t)) {
		return prefix + ".other"
	}
	return prefix + "." + string(t)
}
