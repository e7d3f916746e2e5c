package main

import (
	"context"
	"log/slog"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// handleNotification is the place for your code. It runs concurrently, in any order,
// and sometimes twice: store n.ID in the transaction of your work. An error, a panic
// or a timeout is a failed attempt. When ctx is done, return an error.
func handleNotification(ctx context.Context, logger *slog.Logger, n *notification.Notification) error {
	logger.InfoContext(ctx, "notification", slog.String("type", string(n.Type)), slog.String("id", n.ID()), slog.Any("event", n.Event))
	return nil
}
