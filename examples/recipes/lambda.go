package recipes

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/aws/aws-lambda-go/events"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// NewLambdaHandler returns a handler for lambda.Start. Its statuses are the ones of
// NewHandler.
func NewLambdaHandler(verifier *notification.Verifier, handle func(context.Context, *notification.Notification) error) func(context.Context, events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
	return func(ctx context.Context, req events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		n, err := verifyLambda(ctx, verifier, req)
		status := notification.StatusCode(err)
		if err == nil {
			err = handle(ctx, n)
			switch {
			case errors.Is(err, notification.ErrUnavailable):
				status = http.StatusServiceUnavailable
			case err != nil:
				status = http.StatusInternalServerError
			}
		}
		switch {
		case status >= http.StatusInternalServerError:
			slog.ErrorContext(ctx, "notification failed", slog.Any("error", err))
		case err != nil: // strangers can cause many of these
			slog.InfoContext(ctx, "notification rejected", slog.Any("error", err))
		}
		return events.LambdaFunctionURLResponse{StatusCode: status}, nil
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
		header[name] = []string{value} // Set would hide a second spelling
	}
	return verifier.Verify(ctx, header, body)
}
