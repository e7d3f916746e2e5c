package main

import (
	"context"
	"log/slog"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// An event is one delivery of a notification to a worker.
type event struct {
	*notification.Notification

	// ID is the same each time the notification comes. What was handled and not
	// acknowledged in time comes again: keep the ID with what you do, in the same
	// transaction, and nothing is done twice.
	ID string
	// Delivery counts from 1.
	Delivery int
	// Sequence is the notification's number in the stream.
	Sequence uint64
}

// handle is the place for what you want to do with an event. It may take its
// time: meanwhile the stream is told that somebody is at work. Events come in no
// particular order.
//
// If it fails or panics the event comes again later, and in the end it becomes a
// dead letter with the error's text. When ctx ends, the time is up or the program
// is to stop: return an error, and somebody will try again.
func (a *app) handle(ctx context.Context, e event) error {
	attrs := []slog.Attr{
		slog.String("type", string(e.Type)),
		slog.Time("emitted_at", e.EmittedAt),
		slog.String("id", e.ID),
		slog.Int("delivery", e.Delivery),
	}
	switch v := e.Event.(type) {
	case *notification.LiveStreamBroadcastStarted:
		attrs = append(attrs, slog.String("live_stream_id", v.LiveStreamID))
	case *notification.LiveStreamBroadcastEnded:
		attrs = append(attrs, slog.String("live_stream_id", v.LiveStreamID))
	case *notification.VideoSourceRecorded:
		attrs = append(attrs, slog.String("video_id", v.VideoID))
	case *notification.VideoEncodingQualityCompleted:
		attrs = append(attrs, slog.String("video_id", v.VideoID), slog.String("quality", v.Quality))
	case *notification.VideoCaptionGenerated:
		attrs = append(attrs, slog.String("video_id", v.VideoID), slog.String("language", v.Language))
	case *notification.VideoSummaryGenerated:
		attrs = append(attrs, slog.String("video_id", v.VideoID))
	default: // of a type that isn't known yet; e.Raw has all of it
	}
	a.logger.LogAttrs(ctx, slog.LevelInfo, "event", attrs...)
	return nil
}
