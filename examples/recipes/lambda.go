package recipes

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/aws/aws-lambda-go/events"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// NewLambdaHandler returns a handler for lambda.Start.
func NewLambdaHandler(verifier *notification.Verifier, handle func(context.Context, *notification.Notification) error) func(context.Context, events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
	return func(ctx context.Context, req events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		n, err := verifyLambda(ctx, verifier, req)
		if err == nil {
			err = handle(ctx, n)
		}
		if err != nil {
			slog.ErrorContext(ctx, "notification failed", slog.Any("error", err))
		}
		return events.LambdaFunctionURLResponse{StatusCode: notification.StatusCode(err)}, nil
	}
}

// verifyLambda verifies the bytes of the body. A function URL encodes some bodies
// in base64, and writes header names in lower case.
func verifyLambda(ctx context.Context, verifier *notification.Verifier, req events.LambdaFunctionURLRequest) (*notification.Notification, error) {
	body := []byte(req.Body)
	if req.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(req.Body); err != nil {
			return nil, fmt.Errorf("%w: %w", notification.ErrMalformed, err)
		}
	}
	header := http.Header{}
	for name, value := range req.Headers {
		header.Set(name, value)
	}
	return verifier.Verify(ctx, header, body)
}
