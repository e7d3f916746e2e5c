package notification

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
)

// Notification is a decoded event with its delivery data.
type Notification struct {
	// Type is the type of the event. Unknown types are possible.
	Type facade.EventType
	// EmittedAt is the time of the event, in the zone that the service used. Zero
	// means that emittedAt is missing or unreadable.
	EmittedAt time.Time
	// WebhookID is the ID of the webhook. Empty means that the header was missing.
	// The ID is outside of the signature. It is reliable if the SecretSource returns
	// a different secret for each webhook, as ClientSecrets does.
	WebhookID string
	// Event is the event. Nil means that the type is unknown to this version.
	Event Event
	// Raw is a copy of the whole body, exactly as signed. Raw includes unknown fields.
	Raw json.RawMessage
}

// ID returns the key for deduplication, 64 hexadecimal digits of a SHA-256 of the
// webhook ID and the body. Redeliveries of a notification have the same ID.
func (n *Notification) ID() string {
	h := sha256.New()
	_, _ = io.WriteString(h, n.WebhookID)
	h.Write([]byte{0}) // no header value contains a zero byte
	h.Write(n.Raw)
	return hex.EncodeToString(h.Sum(nil))
}

// Decode returns the notification in a body without verification, for bodies that
// were verified before, for example Raw out of a queue.
//
// The body must be a JSON object whose type is a string. Any other body is
// ErrMalformed. A field that is null, missing or of another JSON kind has its zero
// value. Unknown types, fields and values are accepted. Upper and lower case are equal
// in the name of a field, and the last of several values counts.
//
// The format of emittedAt is RFC 3339, with T or a space before the hour, and with
// +00:00, +0000 or no zone for UTC. A number is zero.
func Decode(webhookID string, body []byte) (*Notification, error) {
	f := fieldsPool.Get().(*fields)
	defer func() {
		*f = fields{}
		fieldsPool.Put(f)
	}()
	// Decoding goes on after a field of another kind, which keeps its zero value.
	if err := json.Unmarshal(body, f); err != nil && !isWrongKind(err) {
		// The error may quote a long body.
		return nil, fmt.Errorf("apivideo: %w: %s", ErrMalformed, clip(err.Error(), 200))
	}
	if f.Type == "" {
		return nil, fmt.Errorf("apivideo: %w: the body is not a JSON object with a type", ErrMalformed)
	}
	return &Notification{
		Type:      f.Type,
		EmittedAt: f.EmittedAt.Time,
		WebhookID: webhookID,
		Event:     f.event(),
		Raw:       slices.Clone(body),
	}, nil
}

// isWrongKind reports whether err is about the JSON kind of a field. Inline, its
// variable would be allocated for every notification.
func isWrongKind(err error) bool {
	var wrongKind *json.UnmarshalTypeError
	return errors.As(err, &wrongKind)
}

// fields has the fields of all events, so that one pass is enough for every order
// of the fields.
type fields struct {
	Type           facade.EventType `json:"type"`
	EmittedAt      lenientTime      `json:"emittedAt"`
	LiveStreamID   string           `json:"liveStreamId"`
	VideoID        string           `json:"videoId"`
	Encoding       string           `json:"encoding"`
	Quality        string           `json:"quality"`
	CaptionID      string           `json:"captionId"`
	GenerationMode string           `json:"generationMode"`
	Language       string           `json:"language"`
	SummaryID      string           `json:"summaryId"`
}

// fieldsPool has zero fields, whose memory is a fifth of a notification's.
var fieldsPool = sync.Pool{New: func() any { return new(fields) }}

// event returns the event, or nil if the type is unknown.
func (f *fields) event() Event {
	switch at := f.EmittedAt.Time; f.Type {
	case facade.EventLiveStreamBroadcastStarted:
		return &LiveStreamBroadcastStarted{Type: f.Type, EmittedAt: at, LiveStreamID: f.LiveStreamID}
	case facade.EventLiveStreamBroadcastEnded:
		return &LiveStreamBroadcastEnded{Type: f.Type, EmittedAt: at, LiveStreamID: f.LiveStreamID}
	case facade.EventVideoSourceRecorded:
		return &VideoSourceRecorded{Type: f.Type, EmittedAt: at, LiveStreamID: f.LiveStreamID, VideoID: f.VideoID}
	case facade.EventVideoEncodingQualityCompleted:
		return &VideoEncodingQualityCompleted{
			Type: f.Type, EmittedAt: at, VideoID: f.VideoID, LiveStreamID: f.LiveStreamID,
			Encoding: f.Encoding, Quality: f.Quality,
		}
	case facade.EventVideoCaptionGenerated:
		return &VideoCaptionGenerated{
			Type: f.Type, EmittedAt: at, VideoID: f.VideoID, CaptionID: f.CaptionID,
			GenerationMode: f.GenerationMode, Language: f.Language,
		}
	case facade.EventVideoSummaryGenerated:
		return &VideoSummaryGenerated{Type: f.Type, EmittedAt: at, VideoID: f.VideoID, SummaryID: f.SummaryID}
	}
	return nil
}

// lenientTime is a time. A malformed time is zero.
type lenientTime struct{ time.Time }

// UnmarshalJSON always returns nil. A number is zero, because seconds and
// milliseconds look alike.
func (t *lenientTime) UnmarshalJSON(b []byte) error {
	if t.Time.UnmarshalJSON(b) == nil && hasJSON(t.Time) {
		return nil
	}
	t.Time = time.Time{}
	var text string
	if json.Unmarshal(b, &text) == nil { // also resolves escapes
		t.Time = parseTime(text)
	}
	return nil
}

// parseTime returns the time in a text of a format that Decode accepts, or zero.
func parseTime(text string) time.Time {
	if date, clock, ok := strings.Cut(text, " "); ok {
		text = date + "T" + clock
	}
	for _, zone := range []string{"Z07:00", "Z0700", ""} {
		if t, err := time.Parse("2006-01-02T15:04:05"+zone, text); err == nil && hasJSON(t) {
			return t
		}
	}
	return time.Time{}
}

// hasJSON reports whether the offset of t is less than 24 hours. Package time reads
// longer ones and cannot write them.
func hasJSON(t time.Time) bool {
	_, offset := t.Zone()
	return max(offset, -offset) < 24*60*60
}
