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

// NewNotificationRequest returns a notification as the service sends it, for a
// handler to be called with. Like one of [httptest.NewRequestWithContext] it is
// what a server has received; a client sends it once its RequestURI is empty.
//
// The event is what [Server.Deliver] takes, but bytes need no type here. The
// signature is right for the secret; a request with another body, or signed with
// another secret, is forged. NewNotificationRequest panics if there can't be such
// a request.
func NewNotificationRequest(ctx context.Context, target, webhookID string, secret facade.Secret, event any) *http.Request {
	body := encodeEvent(event, time.Now())
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	setNotificationHeader(r.Header, webhookID, secret, body)
	return r
}

// setNotificationHeader sets all that a notification has beside its body.
func setNotificationHeader(h http.Header, webhookID string, secret facade.Secret, body []byte) {
	h.Set("Content-Type", "application/json")
	h.Set(notification.HeaderWebhookID, webhookID)
	h.Set(notification.HeaderSignature, notification.Sign(body, secret))
}

// eventTypes are those of the events that have a Go type.
var eventTypes = map[reflect.Type]facade.EventType{
	reflect.TypeFor[notification.LiveStreamBroadcastStarted]():    facade.EventLiveStreamBroadcastStarted,
	reflect.TypeFor[notification.LiveStreamBroadcastEnded]():      facade.EventLiveStreamBroadcastEnded,
	reflect.TypeFor[notification.VideoSourceRecorded]():           facade.EventVideoSourceRecorded,
	reflect.TypeFor[notification.VideoEncodingQualityCompleted](): facade.EventVideoEncodingQualityCompleted,
	reflect.TypeFor[notification.VideoCaptionGenerated]():         facade.EventVideoCaptionGenerated,
	reflect.TypeFor[notification.VideoSummaryGenerated]():         facade.EventVideoSummaryGenerated,
}

// encodeEvent returns the body of a notification. It fills in the type and the
// time of an event that has none, in a copy.
func encodeEvent(event any, now time.Time) []byte {
	switch raw := event.(type) {
	case []byte:
		return raw
	case json.RawMessage:
		return raw
	}
	given := reflect.Indirect(reflect.ValueOf(event))
	if !given.IsValid() {
		panic("facadetest: nil is no event")
	}
	eventType, ok := eventTypes[given.Type()]
	if !ok {
		panic(fmt.Sprintf("facadetest: %T is no event", event))
	}
	filled := reflect.New(given.Type()).Elem()
	filled.Set(given)
	if field := filled.FieldByName("Type"); field.IsZero() {
		field.SetString(string(eventType))
	}
	if field := filled.FieldByName("EmittedAt"); field.IsZero() {
		// Like the service's it has no more than milliseconds.
		field.Set(reflect.ValueOf(now.UTC().Truncate(time.Millisecond)))
	}
	body, err := json.Marshal(filled.Interface())
	if err != nil {
		panic("facadetest: " + err.Error())
	}
	return body
}

// typeOf returns the type that the body of a notification names. What follows
// the event doesn't matter.
func typeOf(body []byte) facade.EventType {
	var members map[string]any
	_ = json.NewDecoder(bytes.NewReader(body)).Decode(&members) // a nil map has no type either
	eventType, _ := members["type"].(string)
	if eventType == "" {
		panic(`facadetest: without a "type" that is a string an event has no subscribers`)
	}
	return facade.EventType(eventType)
}
