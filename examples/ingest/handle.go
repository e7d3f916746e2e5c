package main

import (
	"context"
	"log/slog"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// event is a delivery of a notification to a worker.
type event struct {
	*notification.Notification

	Failures int    // the number of earlier failures
	Sequence uint64 // the number of the event in the stream
}

// handleEvent is the place for your code. It runs concurrently, and the order of
// the events is undefined. Store event.ID in the transaction of your work, because
// an event is delivered again after a lost acknowledgement.
//
// An error, a panic or a timeout is a failure, and the last failure makes a dead
// letter. When ctx is done, return an error. A stop of the program is no failure.
func handleEvent(ctx context.Context, logger *slog.Logger, e event) error {
	logger.InfoContext(ctx, "event", slog.String("type", string(e.Type)), slog.Time("emitted_at", e.EmittedAt),
		slog.String("id", e.ID()), slog.Any("event", e.Event))
	return nil
}
