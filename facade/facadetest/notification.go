package facadetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// NewNotificationRequest returns a notification request as a server receives it,
// to call a handler with. The signature is valid for secret. A request with another
// secret or another body is a forgery.
//
// The event may have every form that [Server.Deliver] accepts. Bytes need no type
// here. A zero EmittedAt becomes the current time, and another one in each call. As with [httptest.NewRequestWithContext], a client can send the request
// after its RequestURI is cleared. NewNotificationRequest panics if the event or
// the target is invalid.
func NewNotificationRequest(ctx context.Context, target, webhookID string, secret facade.Secret, event any) *http.Request {
	body := encodeEvent(event, requestTime.next(time.Now()))
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	setNotificationHeader(r.Header, webhookID, secret, body)
	return r
}

// setNotificationHeader sets the headers of a notification.
func setNotificationHeader(h http.Header, webhookID string, secret facade.Secret, body []byte) {
	h.Set("Content-Type", "application/json")
	h.Set(notification.HeaderWebhookID, webhookID)
	h.Set(notification.HeaderSignature, notification.Sign(body, secret))
}

// eventTypes has the type of each event struct.
var eventTypes = map[reflect.Type]facade.EventType{
	reflect.TypeFor[notification.LiveStreamBroadcastStarted]():    facade.EventLiveStreamBroadcastStarted,
	reflect.TypeFor[notification.LiveStreamBroadcastEnded]():      facade.EventLiveStreamBroadcastEnded,
	reflect.TypeFor[notification.VideoSourceRecorded]():           facade.EventVideoSourceRecorded,
	reflect.TypeFor[notification.VideoEncodingQualityCompleted](): facade.EventVideoEncodingQualityCompleted,
	reflect.TypeFor[notification.VideoCaptionGenerated]():         facade.EventVideoCaptionGenerated,
	reflect.TypeFor[notification.VideoSummaryGenerated]():         facade.EventVideoSummaryGenerated,
}

// encodeEvent returns the body of a notification. It sets a missing type and time
// in a copy of the event.
func encodeEvent(event any, now time.Time) []byte {
	switch raw := event.(type) {
	case []byte:
		return raw
	case json.RawMessage:
		return raw
	}
	original := reflect.Indirect(reflect.ValueOf(event))
	if !original.IsValid() {
		panic("facadetest: the event is nil")
	}
	eventType, ok := eventTypes[original.Type()]
	if !ok {
		panic(fmt.Sprintf("facadetest: %T is not an event type", event))
	}
	completed := reflect.New(original.Type()).Elem()
	completed.Set(original)
	if field := completed.FieldByName("Type"); field.IsZero() {
		field.SetString(string(eventType))
	}
	if field := completed.FieldByName("EmittedAt"); field.IsZero() {
		field.Set(reflect.ValueOf(now))
	}
	body, err := json.Marshal(completed.Interface())
	if err != nil {
		panic("facadetest: " + err.Error())
	}
	return body
}

// eventTypeIn returns the type in the body of a notification, as a receiver decodes it. It
// ignores data after the event.
func eventTypeIn(body []byte) facade.EventType {
	var event json.RawMessage
	_ = json.NewDecoder(bytes.NewReader(body)).Decode(&event) // an empty message has no type
	n, err := notification.Decode("", event)
	if err != nil {
		panic(`facadetest: the event is not a JSON object with a "type" string`)
	}
	return n.Type
}
