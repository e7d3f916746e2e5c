package notification

import (
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
)

// Event is the content of a notification. Only pointers to the six event types of
// this package implement it, so that the compiler rejects a type switch with a
// missing asterisk.
type Event interface{ isEvent() }

// LiveStreamBroadcastStarted means that a live stream began to broadcast.
type LiveStreamBroadcastStarted struct {
	// Type is facade.EventLiveStreamBroadcastStarted.
	Type facade.EventType `json:"type"`
	// EmittedAt is the time of the event, as in [Notification].
	EmittedAt time.Time `json:"emittedAt,omitzero"`
	// LiveStreamID is the ID of the live stream.
	LiveStreamID string `json:"liveStreamId,omitempty"`
}

// LiveStreamBroadcastEnded means that a live stream finished broadcasting.
type LiveStreamBroadcastEnded struct {
	// Type is facade.EventLiveStreamBroadcastEnded.
	Type facade.EventType `json:"type"`
	// EmittedAt is the time of the event, as in [Notification].
	EmittedAt time.Time `json:"emittedAt,omitzero"`
	// LiveStreamID is the ID of the live stream.
	LiveStreamID string `json:"liveStreamId,omitempty"`
}

// VideoSourceRecorded means that the recording of a live stream became a video,
// which is about to be encoded.
type VideoSourceRecorded struct {
	// Type is facade.EventVideoSourceRecorded.
	Type facade.EventType `json:"type"`
	// EmittedAt is the time of the event, as in [Notification].
	EmittedAt time.Time `json:"emittedAt,omitzero"`
	// LiveStreamID is the ID of the live stream that was recorded.
	LiveStreamID string `json:"liveStreamId,omitempty"`
	// VideoID is the ID of the new video.
	VideoID string `json:"videoId,omitempty"`
}

// VideoEncodingQualityCompleted means that one quality of a video is ready in one
// container. A 720p video causes five of these events: four HLS qualities and one
// MP4.
type VideoEncodingQualityCompleted struct {
	// Type is facade.EventVideoEncodingQualityCompleted.
	Type facade.EventType `json:"type"`
	// EmittedAt is the time of the event, as in [Notification].
	EmittedAt time.Time `json:"emittedAt,omitzero"`
	// VideoID is the ID of the video.
	VideoID string `json:"videoId,omitempty"`
	// LiveStreamID is the ID of the live stream that the video was recorded from.
	// Empty means that there is none or that the service left it out.
	LiveStreamID string `json:"liveStreamId,omitempty"`
	// Encoding is "hls" or "mp4". Compare it with strings.EqualFold, because the
	// service also writes upper case. New encodings are possible.
	Encoding string `json:"encoding,omitempty"`
	// Quality is the height, from "240p" to "2160p". New qualities are possible.
	Quality string `json:"quality,omitempty"`
}

// VideoCaptionGenerated means that an automatic caption of a video was generated.
type VideoCaptionGenerated struct {
	// Type is facade.EventVideoCaptionGenerated.
	Type facade.EventType `json:"type"`
	// EmittedAt is the time of the event, as in [Notification].
	EmittedAt time.Time `json:"emittedAt,omitzero"`
	// VideoID is the ID of the video.
	VideoID string `json:"videoId,omitempty"`
	// CaptionID is the ID of the caption.
	CaptionID string `json:"captionId,omitempty"`
	// GenerationMode is the origin of the caption, for example "transcript".
	GenerationMode string `json:"generationMode,omitempty"`
	// Language is the IETF tag of the caption's language, for example "en".
	Language string `json:"language,omitempty"`
}

// VideoSummaryGenerated means that an automatic summary of a video was generated.
type VideoSummaryGenerated struct {
	// Type is facade.EventVideoSummaryGenerated.
	Type facade.EventType `json:"type"`
	// EmittedAt is the time of the event, as in [Notification].
	EmittedAt time.Time `json:"emittedAt,omitzero"`
	// VideoID is the ID of the video.
	VideoID string `json:"videoId,omitempty"`
	// SummaryID is the ID of the summary.
	SummaryID string `json:"summaryId,omitempty"`
}

func (*LiveStreamBroadcastStarted) isEvent()    {}
func (*LiveStreamBroadcastEnded) isEvent()      {}
func (*VideoSourceRecorded) isEvent()           {}
func (*VideoEncodingQualityCompleted) isEvent() {}
func (*VideoCaptionGenerated) isEvent()         {}
func (*VideoSummaryGenerated) isEvent()         {}
