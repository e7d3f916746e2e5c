package facade

import (
	"strings"
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

// EventType is the name of an event. The service adds events from time to time. A
// response may therefore contain events that EventTypes does not return.
type EventType = gen.EventType

// The events that this version knows.
const (
	// EventLiveStreamBroadcastStarted means that a live stream began to broadcast.
	EventLiveStreamBroadcastStarted = gen.EventTypeLiveStreamBroadcastStarted
	// EventLiveStreamBroadcastEnded means that a live stream finished broadcasting.
	EventLiveStreamBroadcastEnded = gen.EventTypeLiveStreamBroadcastEnded
	// EventVideoSourceRecorded means that the recording of a live stream is ready
	// to be encoded.
	EventVideoSourceRecorded = gen.EventTypeVideoSourceRecorded
	// EventVideoEncodingQualityCompleted means that one quality of a video is ready
	// in one container. A video of 720p causes five events.
	EventVideoEncodingQualityCompleted = gen.EventTypeVideoEncodingQualityCompleted
	// EventVideoCaptionGenerated means that an automatic caption is ready.
	EventVideoCaptionGenerated = gen.EventTypeVideoCaptionGenerated
	// EventVideoSummaryGenerated means that an automatic summary is ready.
	EventVideoSummaryGenerated = gen.EventTypeVideoSummaryGenerated
)

// EventTypes returns the events that this version knows.
func EventTypes() []EventType {
	return []EventType{
		EventLiveStreamBroadcastStarted,
		EventLiveStreamBroadcastEnded,
		EventVideoSourceRecorded,
		EventVideoEncodingQualityCompleted,
		EventVideoCaptionGenerated,
		EventVideoSummaryGenerated,
	}
}

// CreateWebhookParams describes the webhook to create.
type CreateWebhookParams struct {
	// URL receives the notifications. The URL is absolute, with the scheme http or
	// https. The service stores the URL byte for byte.
	URL string
	// Events are the events to subscribe to, at least one. Unknown events need the
	// option WithUnknownEvents.
	Events []EventType
}

// Webhook is a subscription of a URL to events. The ID is always set. The service is
// known to omit other fields at times, which are zero then. The JSON form has the
// names of the API, with a redacted secret.
type Webhook struct {
	// ID identifies the webhook to GetWebhook and DeleteWebhook. Notifications have
	// the ID in the X-Api-Video-WebhookID header.
	ID string `json:"webhookId"`
	// URL receives the notifications.
	URL string `json:"url"`
	// Events are the subscribed events, in the order of the service.
	Events []EventType `json:"events"`
	// CreatedAt is the time of the creation, in the time zone of the service. Zero
	// means that the response has no valid RFC 3339 time.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	// SignatureSecret signs the notifications.
	SignatureSecret Secret `json:"signatureSecret,omitzero"`
}

// Page is one page of a list.
type Page struct {
	// Webhooks are in the order of the service, which is not documented.
	Webhooks []*Webhook
	// Number is the number of the page, counted from 1.
	Number int
	// Size is the number of webhooks on a full page.
	Size int
	// TotalPages and TotalItems count the pages and webhooks of the whole list.
	TotalPages, TotalItems int
}

// A webhookModel has the fields of gen.Webhook. The date is decoded without an
// allocation and without an error.
type webhookModel struct {
	WebhookID       string      `json:"webhookId"`
	CreatedAt       lenientTime `json:"createdAt"`
	Events          []EventType `json:"events"`
	URL             string      `json:"url"`
	SignatureSecret string      `json:"signatureSecret"`
}

// A lenientTime is zero if the JSON is not an RFC 3339 time.
type lenientTime struct{ time.Time }

func (t *lenientTime) UnmarshalJSON(b []byte) error {
	err := t.Time.UnmarshalJSON(b)
	// Package time reads an offset of 24 hours and cannot write it.
	if _, offset := t.Zone(); err != nil || max(offset, -offset) >= 24*60*60 {
		t.Time = time.Time{}
	}
	return nil
}

// set copies m to w. The secret becomes a part of secrets.
func (w *Webhook) set(m *webhookModel, secrets *strings.Builder) {
	*w = Webhook{
		ID:              m.WebhookID,
		URL:             m.URL,
		Events:          m.Events,
		CreatedAt:       m.CreatedAt.Time,
		SignatureSecret: maskTo(secrets, m.SignatureSecret),
	}
}

func newWebhook(m *webhookModel) *Webhook {
	w := new(Webhook)
	var secret strings.Builder
	secret.Grow(maskedLen(m.SignatureSecret))
	w.set(m, &secret)
	return w
}

// newWebhooks converts the webhooks of a page with three allocations in total, instead
// of two per webhook. A caller with a reference to one webhook keeps the memory of a
// page, about 20 KB for 100 webhooks.
func newWebhooks(models []webhookModel) []*Webhook {
	size := 0
	for i := range models {
		size += maskedLen(models[i].SignatureSecret)
	}
	var secrets strings.Builder
	secrets.Grow(size)
	values, pointers := make([]Webhook, len(models)), make([]*Webhook, len(models))
	for i := range models {
		values[i].set(&models[i], &secrets)
		pointers[i] = &values[i]
	}
	return pointers
}
