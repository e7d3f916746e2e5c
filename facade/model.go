package facade

import (
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

// EventType names something that happens in an account. The service adds to
// these from time to time, so a value that isn't among the constants is passed
// on as it is, both ways.
type EventType string

// The events that the service is known to offer.
const (
	// EventLiveStreamBroadcastStarted happens when a live stream begins to broadcast.
	EventLiveStreamBroadcastStarted = EventType(gen.EventTypeLiveStreamBroadcastStarted)
	// EventLiveStreamBroadcastEnded happens when a live stream has finished broadcasting.
	EventLiveStreamBroadcastEnded = EventType(gen.EventTypeLiveStreamBroadcastEnded)
	// EventVideoSourceRecorded happens when a live stream was recorded and handed over to be encoded.
	EventVideoSourceRecorded = EventType(gen.EventTypeVideoSourceRecorded)
	// EventVideoEncodingQualityCompleted happens for each quality and container
	// of a video that is ready; five times for a video of 720p.
	EventVideoEncodingQualityCompleted = EventType(gen.EventTypeVideoEncodingQualityCompleted)
	// EventVideoCaptionGenerated happens when an automatic caption was generated.
	EventVideoCaptionGenerated = EventType(gen.EventTypeVideoCaptionGenerated)
	// EventVideoSummaryGenerated happens when an automatic summary was generated.
	EventVideoSummaryGenerated = EventType(gen.EventTypeVideoSummaryGenerated)
)

// Webhook is a subscription of a url to events. Its ID is always set. The
// service is known to leave out other members at times; those are zero then.
type Webhook struct {
	// ID names the webhook to GetWebhook and DeleteWebhook, and notifications
	// carry it in their X-Api-Video-WebhookID header.
	ID string
	// URL is where the notifications go.
	URL string
	// Events are what it is told of, in the service's order.
	Events []EventType
	// CreatedAt is when it was made, in whatever zone the service wrote it.
	CreatedAt time.Time
	// SignatureSecret signs its notifications. It doesn't print.
	SignatureSecret Secret
}

// Page is one page of a list, as the service served it.
type Page struct {
	// Webhooks are in the service's order, which it doesn't promise.
	Webhooks []*Webhook
	// Number is this page's, counted from 1.
	Number int
	// Size is how many webhooks a full page holds.
	Size int
	// TotalPages and TotalItems count what the whole list held at that moment.
	TotalPages, TotalItems int
}

func newWebhook(w *gen.Webhook) *Webhook {
	events := make([]EventType, len(w.Events))
	for i, e := range w.Events {
		events[i] = EventType(e)
	}
	return &Webhook{
		ID:              w.WebhookID,
		URL:             w.URL,
		Events:          events,
		CreatedAt:       w.CreatedAt,
		SignatureSecret: NewSecret(w.SignatureSecret),
	}
}
