package notification

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

// The events that have a type of their own. They are the models generated from
// the contract; members that the service left out are zero.
type (
	// LiveStreamBroadcastStarted tells that a live stream began to broadcast.
	LiveStreamBroadcastStarted = gen.LiveStreamBroadcastStarted
	// LiveStreamBroadcastEnded tells that a live stream finished broadcasting.
	LiveStreamBroadcastEnded = gen.LiveStreamBroadcastEnded
	// VideoSourceRecorded tells that the recording of a live stream was handed
	// over to be encoded.
	VideoSourceRecorded = gen.VideoSourceRecorded
	// VideoEncodingQualityCompleted tells that one quality of a video is ready
	// in one container. A video of 720p gives five of them.
	VideoEncodingQualityCompleted = gen.VideoEncodingQualityCompleted
	// VideoCaptionGenerated tells that an automatic caption was generated.
	VideoCaptionGenerated = gen.VideoCaptionGenerated
	// VideoSummaryGenerated tells that an automatic summary was generated.
	VideoSummaryGenerated = gen.VideoSummaryGenerated
)

// Notification is something that happened, as the service told it.
type Notification struct {
	// Type says what happened. It is never empty, and may be one that isn't
	// among the constants of package facade.
	Type facade.EventType
	// EmittedAt is when it happened, in whatever zone the service wrote it. It is
	// never zero with an Event, and zero without one if it isn't there or can't be
	// read.
	EmittedAt time.Time
	// WebhookID names the webhook that it was sent for, or is empty if the sender
	// didn't say. The signature doesn't cover it: it can be relied on if the
	// SecretSource gives each webhook's own secret for its id, as ClientSecrets
	// does, and StaticSecrets doesn't.
	WebhookID string
	// Event is one of *LiveStreamBroadcastStarted, *LiveStreamBroadcastEnded,
	// *VideoSourceRecorded, *VideoEncodingQualityCompleted,
	// *VideoCaptionGenerated and *VideoSummaryGenerated, or nil if Type is none
	// of theirs.
	Event any
	// Raw is the whole body, byte for byte as it was signed, members included that
	// Event has no field for. It is a copy that is the receiver's to keep.
	Raw json.RawMessage
}

// Decode returns the notification that a body holds, the same that Verify
// returns for it. It verifies nothing: it is for bodies that were verified before,
// Raw out of a queue for instance. The id goes into WebhookID as it is.
//
// Types, members and values that aren't known here pass. What isn't a JSON object
// with a type is ErrMalformed, and so is one of a known type whose emittedAt is
// absent or not RFC 3339, or which has a member of another JSON kind than the
// contract says. Of a member that comes twice the later one holds.
func Decode(webhookID string, body []byte) (*Notification, error) {
	var m members
	err := json.Unmarshal(body, &m)
	var wrongKind *json.UnmarshalTypeError // the other members are decoded all the same
	if err != nil && !errors.As(err, &wrongKind) {
		return nil, malformed(err)
	}
	if m.Type == "" {
		return nil, fmt.Errorf("apivideo: %w: it is no object with a type", ErrMalformed)
	}
	event := m.event()
	if event != nil && m.EmittedAt.IsZero() {
		return nil, fmt.Errorf("apivideo: %w: emittedAt is absent or not RFC 3339", ErrMalformed)
	}
	if err != nil {
		// Perhaps it is a member of another type, which this one may have as it likes.
		own := event
		if own == nil {
			own = new(struct {
				Type string `json:"type"`
			})
		}
		if err := json.Unmarshal(body, own); err != nil {
			return nil, malformed(err)
		}
	}
	return &Notification{
		Type:      facade.EventType(m.Type),
		EmittedAt: m.EmittedAt.Time,
		WebhookID: webhookID,
		Event:     event,
		Raw:       slices.Clone(body),
	}, nil
}

// malformed gives the reason as text only, since it may quote from the body at
// any length.
func malformed(err error) error {
	return fmt.Errorf("apivideo: %w: %s", ErrMalformed, clip(err.Error(), 200))
}

// members are those of all known types at once, so that a body is parsed a single
// time although its type may stand at its end.
type members struct {
	Type           gen.EventType `json:"type"`
	EmittedAt      instant       `json:"emittedAt"`
	LiveStreamID   string        `json:"liveStreamId"`
	VideoID        string        `json:"videoId"`
	Encoding       string        `json:"encoding"`
	Quality        string        `json:"quality"`
	CaptionID      string        `json:"captionId"`
	GenerationMode string        `json:"generationMode"`
	Language       string        `json:"language"`
	SummaryID      string        `json:"summaryId"`
}

// event returns the event of a known type, or nil.
func (m *members) event() any {
	switch at := m.EmittedAt.Time; m.Type {
	case gen.EventTypeLiveStreamBroadcastStarted:
		return &LiveStreamBroadcastStarted{Type: m.Type, EmittedAt: at, LiveStreamID: m.LiveStreamID}
	case gen.EventTypeLiveStreamBroadcastEnded:
		return &LiveStreamBroadcastEnded{Type: m.Type, EmittedAt: at, LiveStreamID: m.LiveStreamID}
	case gen.EventTypeVideoSourceRecorded:
		return &VideoSourceRecorded{Type: m.Type, EmittedAt: at, LiveStreamID: m.LiveStreamID, VideoID: m.VideoID}
	case gen.EventTypeVideoEncodingQualityCompleted:
		return &VideoEncodingQualityCompleted{
			Type: m.Type, EmittedAt: at, VideoID: m.VideoID, LiveStreamID: m.LiveStreamID,
			Encoding: m.Encoding, Quality: m.Quality,
		}
	case gen.EventTypeVideoCaptionGenerated:
		return &VideoCaptionGenerated{
			Type: m.Type, EmittedAt: at, VideoID: m.VideoID, CaptionID: m.CaptionID,
			GenerationMode: m.GenerationMode, Language: m.Language,
		}
	case gen.EventTypeVideoSummaryGenerated:
		return &VideoSummaryGenerated{Type: m.Type, EmittedAt: at, VideoID: m.VideoID, SummaryID: m.SummaryID}
	}
	return nil
}

// instant is a time that is zero where it can't be read, so that an unknown type
// may have an emittedAt of any form.
type instant struct{ time.Time }

// UnmarshalJSON never fails.
func (i *instant) UnmarshalJSON(b []byte) error {
	if i.Time.UnmarshalJSON(b) != nil {
		i.Time = time.Time{}
	}
	return nil
}
