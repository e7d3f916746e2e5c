package notification_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// events has an empty event of each type.
var events = map[facade.EventType]notification.Event{
	facade.EventLiveStreamBroadcastStarted:    &notification.LiveStreamBroadcastStarted{},
	facade.EventLiveStreamBroadcastEnded:      &notification.LiveStreamBroadcastEnded{},
	facade.EventVideoSourceRecorded:           &notification.VideoSourceRecorded{},
	facade.EventVideoEncodingQualityCompleted: &notification.VideoEncodingQualityCompleted{},
	facade.EventVideoCaptionGenerated:         &notification.VideoCaptionGenerated{},
	facade.EventVideoSummaryGenerated:         &notification.VideoSummaryGenerated{},
}

// newEvent returns a pointer to an empty event of that type.
func newEvent(event facade.EventType) any {
	return reflect.New(reflect.TypeOf(events[event]).Elem()).Interface()
}

// The compiler rejects a type switch with a case that is not a pointer.
func TestEvent_onlyPointers(t *testing.T) {
	t.Parallel()
	event := reflect.TypeFor[notification.Event]()
	for _, e := range events {
		pointer := reflect.TypeOf(e)
		assert.True(t, pointer.Implements(event), pointer)
		assert.False(t, pointer.Elem().Implements(event), pointer.Elem())
	}
	require.Equal(t, 1, event.NumMethod())
	assert.NotEmpty(t, event.Method(0).PkgPath, "the method is not exported, so no other package implements it")
}

func TestEvent_jsonRoundTrip(t *testing.T) {
	t.Parallel()
	for event := range events {
		body := fullBody(t, event)
		n, err := notification.Decode("", body)
		require.NoError(t, err)
		encoded, err := json.Marshal(n.Event)
		require.NoError(t, err)
		assert.JSONEq(t, string(body), string(encoded))
	}
}

func TestEvent_jsonEmptyFields(t *testing.T) {
	t.Parallel()
	for event := range events {
		e := newEvent(event)
		reflect.ValueOf(e).Elem().FieldByName("Type").SetString(string(event))
		body, err := json.Marshal(e)
		require.NoError(t, err)
		assert.JSONEq(t, `{"type":"`+string(event)+`"}`, string(body), "zero fields are omitted")
	}
}
