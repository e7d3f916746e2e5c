package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Notification reports what of a notification, and of the body that was read
// from it, is not what openapi.yaml says under webhooks. The url is left out,
// which is the receiver's own. It may be called by any goroutine.
func Notification(tb testing.TB, req *http.Request, body []byte) {
	tb.Helper()
	if err := checkNotification(tb, req, body); err != nil {
		tb.Errorf("the notification is not what openapi.yaml says: %v", err)
	}
}

func checkNotification(tb testing.TB, req *http.Request, body []byte) error {
	tb.Helper()
	var event struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	doc := Load(tb)
	item := doc.Webhooks[event.Type]
	if item == nil {
		return fmt.Errorf("no webhook sends %q", event.Type)
	}
	if req.Method != http.MethodPost {
		return fmt.Errorf("the method is %s", req.Method)
	}
	if len(req.Header.Values("Authorization")) > 0 {
		return errors.New("notifications are signed, but there is an Authorization header")
	}
	checked := req.Clone(req.Context())
	checked.Body = io.NopCloser(bytes.NewReader(body))
	return openapi3filter.ValidateRequest(req.Context(), &openapi3filter.RequestValidationInput{
		Request: checked,
		Route:   &routers.Route{Spec: doc, PathItem: item, Method: req.Method, Operation: item.Post},
		Options: options,
	})
}
