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

// Notification validates a notification against the webhooks section of
// openapi.yaml. Body is the content of the already read body of req. The URL is
// ignored because each receiver has its own. Notification reports violations
// with Errorf and is safe for concurrent use.
func Notification(tb testing.TB, req *http.Request, body []byte) {
	tb.Helper()
	if err := checkNotification(tb, req, body); err != nil {
		tb.Errorf("the notification violates openapi.yaml: %v", err)
	}
}

func checkNotification(tb testing.TB, req *http.Request, body []byte) error {
	tb.Helper()
	var event struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return fmt.Errorf("decode the body: %w", err)
	}
	doc := Load(tb)
	item := doc.Webhooks[event.Type]
	if item == nil {
		return fmt.Errorf("unknown event type %q", event.Type)
	}
	if req.Method != http.MethodPost {
		return fmt.Errorf("the method is %s instead of POST", req.Method)
	}
	if len(req.Header.Values("Authorization")) > 0 {
		return errors.New("the notification has an Authorization header")
	}
	checked := req.Clone(req.Context())
	checked.Body = io.NopCloser(bytes.NewReader(body))
	return openapi3filter.ValidateRequest(req.Context(), &openapi3filter.RequestValidationInput{
		Request: checked,
		Route:   &routers.Route{Spec: doc, PathItem: item, Method: req.Method, Operation: item.Post},
		Options: options,
	})
}
