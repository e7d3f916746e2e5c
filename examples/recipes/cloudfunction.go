package recipes

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

func init() {
	functions.HTTP("Receive", Receive)
}

// Receive is the function. It responds with 503 if its configuration is invalid, so
// that the service retries.
func Receive(w http.ResponseWriter, r *http.Request) {
	handler, err := receiver()
	if err != nil {
		slog.ErrorContext(r.Context(), "invalid configuration", slog.Any("error", err))
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	handler.ServeHTTP(w, r)
}

// receiver creates the handler once per instance. The platform sets the variable
// from its secret store.
var receiver = sync.OnceValues(func() (http.Handler, error) {
	secret := facade.NewSecret(os.Getenv("APIVIDEO_SIGNATURE_SECRET"))
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret), notification.WithMaxAge(5*time.Minute))
	if err != nil {
		return nil, err
	}
	return notification.NewHandler(verifier, publish), nil
})

// publish is the place for the work of the function, for example with Pub/Sub.
func publish(ctx context.Context, n *notification.Notification) error {
	slog.InfoContext(ctx, "event", slog.String("id", n.ID()), slog.String("type", string(n.Type)))
	return nil
}
