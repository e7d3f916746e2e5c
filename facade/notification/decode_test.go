package notification_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
	"github.com/apivideo-community/webhooks-go/internal/contract"
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

// decode returns the notification in a valid body.
func decode(t *testing.T, body string) *notification.Notification {
	t.Helper()
	n, err := notification.Decode(webhookID, []byte(body))
	require.NoError(t, err, body)
	assert.Equal(t, webhookID, n.WebhookID)
	assert.Equal(t, body, string(n.Raw))
	return n
}

// Each event has the fields of the contract. The samples in the API document of the
// service have an impossible date.
func TestDecode_contract(t *testing.T) {
	t.Parallel()
	api := contract.Load(t)
	require.Len(t, api.Webhooks, len(events))
	assert.Len(t, api.Components.Schemas["EventType"].Value.Enum, len(events))
	for name, hook := range api.Webhooks {
		content := hook.Post.RequestBody.Value.Content["application/json"]
		assert.Len(t, content.Schema.Value.Properties, reflect.TypeOf(events[facade.EventType(name)]).Elem().NumField())
		require.Len(t, content.Examples, 1)
		for _, example := range content.Examples {
			values := example.Value.Value.(map[string]any)
			assert.ElementsMatch(t, keys(content.Schema.Value.Properties), keys(values), name)
			for _, emittedAt := range []string{vectorTime, "2024-08-151T10:18:47+00:00"} {
				changed := maps.Clone(values)
				changed["emittedAt"] = emittedAt
				n := decode(t, encode(t, changed))
				assert.Equal(t, facade.EventType(name), n.Type)
				if emittedAt != vectorTime {
					assert.Zero(t, n.EmittedAt)
					delete(changed, "emittedAt") // a zero field is omitted
				}
				assert.JSONEq(t, encode(t, changed), encode(t, n.Event))
				assert.IsType(t, events[n.Type], n.Event)
			}
		}
		n := decode(t, `{"type":"`+name+`"}`)
		assert.JSONEq(t, string(n.Raw), encode(t, n.Event), "zero fields are omitted")
	}
}

func keys[V any](m map[string]V) []string { return slices.Collect(maps.Keys(m)) }

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// The compiler rejects a type switch with a case that is not a pointer.
func TestEvent_onlyPointers(t *testing.T) {
	t.Parallel()
	event := reflect.TypeFor[notification.Event]()
	for _, e := range events {
		assert.False(t, reflect.TypeOf(e).Elem().Implements(event), "%T", e)
	}
	assert.NotEmpty(t, event.Method(0).PkgPath, "no other package has the method")
}

func TestDecode_emittedAt(t *testing.T) {
	t.Parallel()
	for want, texts := range map[time.Time][]string{
		time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC): {
			`"2024-08-08T14:12:18Z"`, `"2024-08-08T14:12:18+00:00"`, `"2024-08-08T14:12:18+0000"`,
			`"2024-08-08T14:12:18"`, `"2024-08-08 14:12:18"`, `"2024-08-08 14:12:18Z"`, `"2024-08-08 14:12:18+00:00"`,
			`"2024-08-08\u002014:12:18"`, `"2024-08-08T15:12:18\u002b01:00"`, `"2024-08-09T14:11:18+2359"`,
		},
		time.Date(2024, 8, 8, 14, 12, 18, 5e8, time.UTC): {
			`"2024-08-08T15:12:18.5+01:00"`, `"2024-08-08T15:12:18.5+0100"`, `"2024-08-08 15:12:18.500+0100"`,
		},
		{}: {
			`"2024-08-151T10:18:47+00:00"`, `"2021-13-29T15:46:25Z"`, `"2021-01-29"`, `"10000-08-08T14:12:18"`,
			`"2024-08-09T14:12:18+2400"`, `"2024-08-09T14:12:18+24:00"`, `"2024-08-08 14:12:18-9900"`,
			`"yesterday"`, `"\ud800"`, `""`, `1723126338`, `1723126338000`, `null`, `true`,
			`{"date":"2024-08-08"}`, `["2024-08-08T14:12:18Z"]`,
		},
	} {
		for _, emittedAt := range texts {
			n := decode(t, `{"type":"video.new","emittedAt":`+emittedAt+`}`)
			assert.True(t, want.Equal(n.EmittedAt), "%s is %v", emittedAt, n.EmittedAt)
			n = decode(t, `{"emittedAt":`+emittedAt+`,"type":"live-stream.broadcast.ended","liveStreamId":"li"}`)
			event := n.Event.(*notification.LiveStreamBroadcastEnded)
			assert.True(t, want.Equal(event.EmittedAt), "%s is %v", emittedAt, event.EmittedAt)
			assert.Equal(t, "li", event.LiveStreamID)
			encode(t, event) // package json rejects some offsets
		}
	}
}

// Fields of another kind are zero, and unknown fields, values and types are accepted.
func TestDecode_fields(t *testing.T) {
	t.Parallel()
	type summary = notification.VideoSummaryGenerated
	type caption = notification.VideoCaptionGenerated
	type quality = notification.VideoEncodingQualityCompleted
	for fields, want := range map[string]notification.Event{
		`"type":"video.summary.generated","videoId":"vi","summaryId":"s"`:              &summary{VideoID: "vi", SummaryID: "s"},
		`"type":"video.encoding.quality.completed","quality":720,"videoId":"vi"`:       &quality{VideoID: "vi"},
		`"language":["en"],"type":"video.caption.generated","videoId":"vi"`:            &caption{VideoID: "vi"},
		`"type":"video.summary.generated","videoId":{"id":["vi"]},"summaryId":"s"`:     &summary{SummaryID: "s"},
		`"type":"video.summary.generated","videoId":true,"summaryId":null`:             &summary{},
		`"quality":5,"type":"video.summary.generated","videoId":"vi","language":[]`:    &summary{VideoID: "vi"},
		`"type":"video.caption.generated","captionId":{},"generationMode":false`:       &caption{},
		`"type":"video.encoding.quality.completed","encoding":"av1","new":[{}]`:        &quality{Encoding: "av1"},
		`"type":"video.new","quality":{"height":720}`:                                  nil,
		`"type":"video.new","type":"video.summary.generated","videoId":1,"videoId":""`: &summary{},
		`"type":"video.summary.generated","videoId":"a","videoId":"b"`:                 &summary{VideoID: "b"},
		`"type":"video.summary.generated","TYPE":"video.new"`:                          nil,
		`"TYPE":"video.new","type":"video.summary.generated"`:                          &summary{},
		`"Type":"video.summary.generated","Type":5,"types":"video.new"`:                &summary{},
	} {
		n := decode(t, " \n{\"emittedAt\":\""+vectorTime+"\","+fields+"}\r\n\t")
		assert.False(t, n.EmittedAt.IsZero(), fields)
		if want != nil {
			reflect.ValueOf(want).Elem().FieldByName("EmittedAt").Set(reflect.ValueOf(n.EmittedAt))
			reflect.ValueOf(want).Elem().FieldByName("Type").SetString(string(n.Type))
		}
		assert.Equal(t, want, n.Event, fields)
	}
}

func TestDecode_malformed(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "null", "[" + vectorBody + "]", `"type"`, "5", "<html>",
		`{}`, `{"emittedAt":"` + vectorTime + `"}`, `{"type":""}`, `{"type":null}`, `{"type":5}`, `{"type":["video.new"]}`,
		vectorBody[:len(vectorBody)-1], vectorBody + "{}", vectorBody + "\x00", "\ufeff" + vectorBody,
		`{"type":"video.summary.generated","videoId":5,"summaryId":`, // truncated after an invalid field
		`{"type":"video.new","new":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}",
		strings.Repeat("x", 1<<20), `{"type":` + strings.Repeat("9", 1<<20) + `}`, "{\x1b[31m",
	} {
		n, err := notification.Decode("", []byte(body))
		require.ErrorIs(t, err, notification.ErrMalformed, "%.40q", body)
		assert.Nil(t, n, "%.40q", body)
		assert.True(t, strings.HasPrefix(err.Error(), "apivideo: malformed notification: "), err)
		assert.Less(t, len(err.Error()), 300, "%.40q", body)
		assert.NotContains(t, err.Error(), "\x1b")
	}
}

func TestNotification_ID(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte(webhookID + "\x00" + vectorBody))
	assert.Equal(t, hex.EncodeToString(sum[:]), decode(t, vectorBody).ID())
}

// Decode fails only for a body without a type. Its fields are equal to the fields of
// encoding/json.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(vectorBody))
	f.Add([]byte(`{"TYPE":"video.source.recorded","type":"live-stream.broadcast.ended","emittedAt":"yesterday"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := notification.Decode("w", body)
		if err != nil {
			require.ErrorIs(t, err, notification.ErrMalformed)
			checkError(t, err)
			var object struct {
				Type facade.EventType `json:"type"`
			}
			if json.Unmarshal(body, &object) == nil {
				assert.Empty(t, object.Type)
			}
			return
		}
		assert.NotEmpty(t, n.Type)
		assert.Equal(t, string(body), string(n.Raw))
		encode(t, n.Event)
		require.Equal(t, events[n.Type] != nil, n.Event != nil)
		if n.Event != nil {
			want := reflect.New(reflect.TypeOf(events[n.Type]).Elem()).Interface()
			if json.Unmarshal(body, want) == nil {
				assert.Equal(t, want, n.Event)
			}
		}
	})
}
