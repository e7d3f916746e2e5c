package recipes

import (
	"context"
	"net/http"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// NewReceiver returns a handler for notifications of the client's webhooks.
func NewReceiver(client *facade.Client, handle func(context.Context, *notification.Notification) error) (http.Handler, error) {
	const maxAge = 5 * time.Minute
	verifier, err := notification.NewVerifier(notification.ClientSecrets(client), notification.WithMaxAge(maxAge))
	if err != nil {
		return nil, err
	}
	return notification.NewHandler(verifier, handle,
		notification.WithDeduplicator(notification.NewMemoryDeduplicator(2*maxAge, 100_000))), nil
}
