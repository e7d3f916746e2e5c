package notification_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

// events are the six types with the event each is decoded into.
var events = map[facade.EventType]any{
	facade.EventLiveStreamBroadcastStarted:    &notification.LiveStreamBroadcastStarted{},
	facade.EventLiveStreamBroadcastEnded:      &notification.LiveStreamBroadcastEnded{},
	facade.EventVideoSourceRecorded:           &notification.VideoSourceRecorded{},
	facade.EventVideoEncodingQualityCompleted: &notification.VideoEncodingQualityCompleted{},
	facade.EventVideoCaptionGenerated:         &notification.VideoCaptionGenerated{},
	facade.EventVideoSummaryGenerated:         &notification.VideoSummaryGenerated{},
}

const vectorTime = "2021-01-29T15:46:25.217Z"

func TestDecodeTypesWhatTheContractNames(t *testing.T) {
	t.Parallel()
	api := contract.Load(t)
	assert.Len(t, api.Components.Schemas["EventType"].Value.Enum, len(events))
	require.Len(t, api.Webhooks, len(events))
	for name, hook := range api.Webhooks {
		examples := hook.Post.RequestBody.Value.Content["application/json"].Examples
		require.NotEmpty(t, examples, name)
		for _, example := range examples {
			body, err := json.Marshal(example.Value.Value)
			require.NoError(t, err)
			n, err := notification.Decode(webhookID, body)
			require.NoError(t, err, name)
			assert.Equal(t, facade.EventType(name), n.Type)
			assert.Equal(t, webhookID, n.WebhookID)
			assert.IsType(t, events[n.Type], n.Event)
			assert.Equal(t, unmarshal(t, n.Type, body), n.Event)
			assert.Equal(t, json.RawMessage(body), n.Raw)
		}
	}
}

// A member that the contract gains must not be forgotten on the way into its
// event: what encoding/json makes of a body is what Decode has to make of it.
func TestDecodeFillsEveryMember(t *testing.T) {
	t.Parallel()
	for event, model := range events {
		members := map[string]any{"type": event, "emittedAt": vectorTime}
		fields := reflect.TypeOf(model).Elem()
		for i := range fields.NumField() {
			name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
			if _, ok := members[name]; !ok {
				members[name] = fmt.Sprint("value ", i)
			}
		}
		require.Len(t, members, fields.NumField())
		body, err := json.Marshal(members)
		require.NoError(t, err)
		n, err := notification.Decode("", body)
		require.NoError(t, err)
		assert.Equal(t, unmarshal(t, event, body), n.Event)
		value := reflect.ValueOf(n.Event).Elem()
		for i := range value.NumField() {
			assert.False(t, value.Field(i).IsZero(), fields.Field(i).Name)
		}
	}
}

// unmarshal returns what encoding/json makes of a body.
func unmarshal(t *testing.T, event facade.EventType, body []byte) any {
	t.Helper()
	want := reflect.New(reflect.TypeOf(events[event]).Elem()).Interface()
	require.NoError(t, json.Unmarshal(body, want))
	return want
}

func TestDecodeReadsEmittedAtInItsThreeForms(t *testing.T) {
	t.Parallel()
	tests := map[string]time.Time{
		"2021-01-29T16:46:25.217+01:00": time.Date(2021, 1, 29, 15, 46, 25, 217e6, time.UTC),
		"2021-01-29T15:46:25.217Z":      time.Date(2021, 1, 29, 15, 46, 25, 217e6, time.UTC),
		"2024-08-08T14:12:18+00:00":     time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC),
	}
	for form, want := range tests {
		n, err := notification.Decode("", []byte(`{"type":"live-stream.broadcast.ended","emittedAt":"`+form+`","liveStreamId":"li"}`))
		require.NoError(t, err, form)
		assert.True(t, want.Equal(n.EmittedAt), form)
		assert.Equal(t, n.EmittedAt, n.Event.(*notification.LiveStreamBroadcastEnded).EmittedAt)
	}
}

func TestDecodePassesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body      string
		event     facade.EventType
		typed     bool
		emittedAt bool
	}{
		"a type":                           {`{"type":"video.new","emittedAt":"` + vectorTime + `","a":{"b":[1]}}`, "video.new", false, true},
		"a type, without emittedAt":        {`{"type":"video.new"}`, "video.new", false, false},
		"a type, emittedAt null":           {`{"type":"video.new","emittedAt":null}`, "video.new", false, false},
		"a type, emittedAt a number":       {`{"type":"video.new","emittedAt":1611935185}`, "video.new", false, false},
		"a type, emittedAt of words":       {`{"type":"video.new","emittedAt":"yesterday"}`, "video.new", false, false},
		"a type, another's member strange": {`{"type":"video.new","emittedAt":"` + vectorTime + `","quality":{"height":720}}`, "video.new", false, true},
		"a member":                         {`{"type":"live-stream.broadcast.started","emittedAt":"` + vectorTime + `","liveStreamId":"li","new":[{}]}`, facade.EventLiveStreamBroadcastStarted, true, true},
		"a value":                          {`{"type":"video.encoding.quality.completed","emittedAt":"` + vectorTime + `","encoding":"av1","quality":"4320p"}`, facade.EventVideoEncodingQualityCompleted, true, true},
		"another type's member, strange":   {`{"quality":5,"type":"live-stream.broadcast.started","emittedAt":"` + vectorTime + `","liveStreamId":"li","language":[]}`, facade.EventLiveStreamBroadcastStarted, true, true},
		"no members":                       {`{"type":"video.summary.generated","emittedAt":"` + vectorTime + `"}`, facade.EventVideoSummaryGenerated, true, true},
		"null members":                     {`{"type":"video.summary.generated","emittedAt":"` + vectorTime + `","videoId":null}`, facade.EventVideoSummaryGenerated, true, true},
		"space around it":                  {" \n{\"type\":\"video.new\"}\r\n\t", "video.new", false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := notification.Decode("w", []byte(tt.body))
			require.NoError(t, err)
			assert.Equal(t, tt.event, n.Type)
			assert.Equal(t, tt.body, string(n.Raw))
			assert.Equal(t, tt.emittedAt, !n.EmittedAt.IsZero())
			if tt.typed {
				assert.Equal(t, unmarshal(t, tt.event, []byte(tt.body)), n.Event)
			} else {
				assert.Nil(t, n.Event)
			}
		})
	}
}

func TestDecodeTakesTheLaterOfTwoMembers(t *testing.T) {
	t.Parallel()
	n, err := notification.Decode("", []byte(`{"type":"video.new","type":"live-stream.broadcast.ended","liveStreamId":"a","liveStreamId":"b","emittedAt":"`+vectorTime+`"}`))
	require.NoError(t, err)
	assert.Equal(t, "b", n.Event.(*notification.LiveStreamBroadcastEnded).LiveStreamID)
}

func TestDecodeRefusesWhatIsNoNotification(t *testing.T) {
	t.Parallel()
	known := `{"type":"video.encoding.quality.completed","emittedAt":"` + vectorTime + `"`
	for name, body := range map[string]string{
		"nothing":                    "",
		"null":                       "null",
		"an array":                   "[" + vectorBody + "]",
		"a string":                   `"type"`,
		"a number":                   "5",
		"an empty object":            "{}",
		"no type":                    `{"emittedAt":"` + vectorTime + `"}`,
		"an empty type":              `{"type":"","emittedAt":"` + vectorTime + `"}`,
		"a type that is null":        `{"type":null}`,
		"a type that is a number":    `{"type":5}`,
		"a type that is one of two":  `{"type":"video.new","type":5}`,
		"cut":                        vectorBody[:len(vectorBody)-1],
		"trailing data":              vectorBody + "{}",
		"a trailing byte":            vectorBody + "\x00",
		"a byte order mark":          "\ufeff" + vectorBody,
		"HTML":                       "<html>",
		"no emittedAt":               `{"type":"video.encoding.quality.completed"}`,
		"emittedAt null":             `{"type":"video.encoding.quality.completed","emittedAt":null}`,
		"emittedAt empty":            `{"type":"video.encoding.quality.completed","emittedAt":""}`,
		"emittedAt a number":         `{"type":"video.encoding.quality.completed","emittedAt":1611935185}`,
		"emittedAt an object":        `{"type":"video.encoding.quality.completed","emittedAt":{}}`,
		"emittedAt without zone":     `{"type":"video.encoding.quality.completed","emittedAt":"2021-01-29T15:46:25"}`,
		"emittedAt a day":            `{"type":"video.encoding.quality.completed","emittedAt":"2021-01-29"}`,
		"emittedAt of a 13th month":  `{"type":"video.encoding.quality.completed","emittedAt":"2021-13-29T15:46:25Z"}`,
		"a member that is a number":  known + `,"quality":720}`,
		"a member that is an object": known + `,"videoId":{"id":"vi"}}`,
		"nested too deep":            known + `,"new":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := notification.Decode("", []byte(body))
			require.ErrorIs(t, err, notification.ErrMalformed)
			assert.Nil(t, n)
			assert.True(t, strings.HasPrefix(err.Error(), "apivideo: malformed notification: "), err)
		})
	}
}

func TestDecodeKeepsItsErrorsShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("9", 1<<20)
	for _, body := range []string{
		`{"type":"video.summary.generated","emittedAt":"` + long + `"}`,
		`{"type":"video.summary.generated","emittedAt":"` + vectorTime + `","videoId":` + long + `}`,
		"{\x1b[31m",
	} {
		_, err := notification.Decode("", []byte(body))
		require.ErrorIs(t, err, notification.ErrMalformed)
		assert.Less(t, len(err.Error()), 300)
		assert.NotContains(t, err.Error(), "\x1b")
	}
}

func TestRawIsACopy(t *testing.T) {
	t.Parallel()
	body := []byte(vectorBody)
	n, err := newVerifier(t).Verify(t.Context(), signed(webhookID, vectorBody, secret), body)
	require.NoError(t, err)
	clear(body)
	assert.Equal(t, vectorBody, string(n.Raw))

	again, err := notification.Decode(n.WebhookID, n.Raw)
	require.NoError(t, err)
	assert.Equal(t, n, again, "a stored body gives the same notification")
}
