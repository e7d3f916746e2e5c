package notification_test

import (
	"crypto/sha256"
	"encoding/hex"
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

const vectorTime = "2021-01-29T15:46:25.217Z"

// fullBody returns a notification with a value in each field of the event.
func fullBody(t *testing.T, event facade.EventType) []byte {
	t.Helper()
	values := map[string]any{"type": event, "emittedAt": vectorTime}
	fields := reflect.TypeOf(events[event]).Elem()
	for i := range fields.NumField() {
		name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		if _, ok := values[name]; !ok {
			values[name] = fmt.Sprint("value ", i)
		}
	}
	require.Len(t, values, fields.NumField())
	body, err := json.Marshal(values)
	require.NoError(t, err)
	return body
}

// unmarshal returns the event that encoding/json decodes.
func unmarshal(t *testing.T, event facade.EventType, body []byte) any {
	t.Helper()
	want := newEvent(event)
	require.NoError(t, json.Unmarshal(body, want))
	return want
}

// publishedSamples has the samples of the API document of the service. Their date is
// invalid.
var publishedSamples = map[facade.EventType]string{
	facade.EventLiveStreamBroadcastStarted:    `{"type":"live-stream.broadcast.started","emittedAt":"2024-08-151T10:18:47+00:00","liveStreamId":"li3q7HxhApxRF1c8F8r6VeaI"}`,
	facade.EventLiveStreamBroadcastEnded:      `{"type":"live-stream.broadcast.ended","emittedAt":"2024-08-151T10:18:47+00:00","liveStreamId":"li3q7HxhApxRF1c8F8r6VeaI"}`,
	facade.EventVideoSourceRecorded:           `{"type":"video.source.recorded","emittedAt":"2024-08-151T10:18:47+00:00","liveStreamId":"li3q7HxhApxRF1c8F8r6VeaI","videoId":"vi4k0jvEUuaTdRAEjQ4Jfrgz"}`,
	facade.EventVideoEncodingQualityCompleted: `{"type":"video.encoding.quality.completed","emittedAt":"2024-08-151T10:18:47+00:00","videoId":"vi4k0jvEUuaTdRAEjQ4Jfrgz","encoding":"hls","quality":"720p"}`,
	facade.EventVideoCaptionGenerated:         `{"type":"video.caption.generated","emittedAt":"2024-08-151T10:18:47+00:00","videoId":"vi4k0jvEUuaTdRAEjQ4Jfrgz","captionId":"cap1","generationMode":"transcript","language":"en"}`,
	facade.EventVideoSummaryGenerated:         `{"type":"video.summary.generated","emittedAt":"2024-08-151T10:18:47+00:00","videoId":"vi4k0jvEUuaTdRAEjQ4Jfrgz","summaryId":"summary1"}`,
}

func TestDecode_publishedSamples(t *testing.T) {
	t.Parallel()
	require.Len(t, publishedSamples, len(events))
	for event, body := range publishedSamples {
		n, err := notification.Decode(webhookID, []byte(body))
		require.NoError(t, err, event)
		assert.Equal(t, event, n.Type)
		assert.True(t, n.EmittedAt.IsZero(), event)
		assert.Equal(t, body, string(n.Raw))
		want := unmarshal(t, event, []byte(strings.Replace(body, `"emittedAt":"2024-08-151T10:18:47+00:00",`, "", 1)))
		assert.Equal(t, want, n.Event)
	}
}

func TestDecode_contract(t *testing.T) {
	t.Parallel()
	api := contract.Load(t)
	assert.Len(t, api.Components.Schemas["EventType"].Value.Enum, len(events))
	require.Len(t, api.Webhooks, len(events))
	for name, hook := range api.Webhooks {
		var fields, properties []string
		event := reflect.TypeOf(events[facade.EventType(name)]).Elem()
		for i := range event.NumField() {
			field, _, _ := strings.Cut(event.Field(i).Tag.Get("json"), ",")
			fields = append(fields, field)
		}
		content := hook.Post.RequestBody.Value.Content["application/json"]
		for property := range content.Schema.Value.Properties {
			properties = append(properties, property)
		}
		assert.ElementsMatch(t, properties, fields, name)
		examples := content.Examples
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

func TestDecode_emittedAt(t *testing.T) {
	t.Parallel()
	cet := time.FixedZone("", 3600)
	for emittedAt, want := range map[string]time.Time{
		`"2021-01-29T16:46:25.217+01:00"`:  time.Date(2021, 1, 29, 16, 46, 25, 217e6, cet),
		`"2021-01-29T15:46:25.217Z"`:       time.Date(2021, 1, 29, 15, 46, 25, 217e6, time.UTC),
		`"2024-08-08T14:12:18+00:00"`:      time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC),
		`"2024-08-08T14:12:18+0000"`:       time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC),
		`"2024-08-08T14:12:18.5+0100"`:     time.Date(2024, 8, 8, 14, 12, 18, 5e8, cet),
		`"2024-08-08T14:12:18"`:            time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC),
		`"2024-08-08 14:12:18Z"`:           time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC),
		`"2024-08-08 14:12:18+00:00"`:      time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC),
		`"2024-08-08 14:12:18.5+0100"`:     time.Date(2024, 8, 8, 14, 12, 18, 5e8, cet),
		`"2024-08-08T14:12:18\u002b01:00"`: time.Date(2024, 8, 8, 14, 12, 18, 0, cet),
		`"2024-08-08\u002014:12:18"`:       time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC),
		`"2024-08-08T14:12:18+2400"`:       {},
		`"2024-08-08T14:12:18+24:00"`:      {},
		`"2024-08-08T14:12:18-9900"`:       {},
		`"2024-08-08 14:12:18-24:00"`:      {},
		`"2024-08-08T14:12:18+2359"`:       time.Date(2024, 8, 8, 14, 12, 18, 0, time.FixedZone("", 23*3600+59*60)),
		`"10000-08-08T14:12:18"`:           {},
		`"\ud800"`:                         {},
		`"2024-08-08 14:12:18"`:            time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC),
		`"2024-08-08 14:12:18.217"`:        time.Date(2024, 8, 8, 14, 12, 18, 217e6, time.UTC),
		`"2024-08-151T10:18:47+00:00"`:     {},
		`"2021-13-29T15:46:25Z"`:           {},
		`"2021-01-29"`:                     {},
		`"yesterday"`:                      {},
		`""`:                               {},
		`1723126338`:                       {},
		`1723126338000`:                    {},
		`null`:                             {},
		`true`:                             {},
		`{"date":"2024-08-08"}`:            {},
		`["2024-08-08T14:12:18Z"]`:         {},
	} {
		for _, event := range []string{"live-stream.broadcast.ended", "video.new"} {
			n, err := notification.Decode("", []byte(`{"type":"`+event+`","emittedAt":`+emittedAt+`,"liveStreamId":"li"}`))
			require.NoError(t, err, emittedAt)
			assert.True(t, want.Equal(n.EmittedAt), "%s is %v", emittedAt, n.EmittedAt)
			_, err = json.Marshal(n.Event)
			require.NoError(t, err, emittedAt)
			if e, ok := n.Event.(*notification.LiveStreamBroadcastEnded); ok {
				assert.Equal(t, n.EmittedAt, e.EmittedAt)
				assert.Equal(t, "li", e.LiveStreamID)
			}
		}
	}
}

func TestDecode_unreadableFields(t *testing.T) {
	t.Parallel()
	at := time.Date(2021, 1, 29, 15, 46, 25, 217e6, time.UTC)
	const completed, caption, summary = facade.EventVideoEncodingQualityCompleted, facade.EventVideoCaptionGenerated, facade.EventVideoSummaryGenerated
	for name, test := range map[string]struct {
		body string
		want notification.Event
	}{
		"missing emittedAt": {
			`{"type":"video.summary.generated","videoId":"vi","summaryId":"s"}`,
			&notification.VideoSummaryGenerated{Type: summary, VideoID: "vi", SummaryID: "s"},
		},
		"number": {
			`{"type":"video.encoding.quality.completed","emittedAt":"` + vectorTime + `","quality":720,"videoId":"vi"}`,
			&notification.VideoEncodingQualityCompleted{Type: completed, EmittedAt: at, VideoID: "vi"},
		},
		"array": {
			`{"language":["en"],"type":"video.caption.generated","emittedAt":"` + vectorTime + `","videoId":"vi"}`,
			&notification.VideoCaptionGenerated{Type: caption, EmittedAt: at, VideoID: "vi"},
		},
		"object": {
			`{"type":"video.summary.generated","videoId":{"id":["vi"]},"summaryId":"s"}`,
			&notification.VideoSummaryGenerated{Type: summary, SummaryID: "s"},
		},
		"bool": {
			`{"type":"video.summary.generated","videoId":true,"summaryId":"s"}`,
			&notification.VideoSummaryGenerated{Type: summary, SummaryID: "s"},
		},
		"null": {
			`{"type":"video.summary.generated","emittedAt":null,"videoId":null,"summaryId":null}`,
			&notification.VideoSummaryGenerated{Type: summary},
		},
		"every field": {
			`{"type":"video.caption.generated","emittedAt":[],"videoId":1,"captionId":{},"generationMode":false,"language":1.5}`,
			&notification.VideoCaptionGenerated{Type: caption},
		},
		"field of another event": {
			`{"quality":5,"type":"video.summary.generated","videoId":"vi","language":[]}`,
			&notification.VideoSummaryGenerated{Type: summary, VideoID: "vi"},
		},
		"only a type": {
			`{"type":"video.summary.generated"}`,
			&notification.VideoSummaryGenerated{Type: summary},
		},
		"unknown field and value": {
			`{"type":"video.encoding.quality.completed","emittedAt":"` + vectorTime + `","encoding":"av1","quality":"4320p","new":[{}]}`,
			&notification.VideoEncodingQualityCompleted{Type: completed, EmittedAt: at, Encoding: "av1", Quality: "4320p"},
		},
		"unknown type": {`{"type":"video.new","quality":{"height":720},"emittedAt":5}`, nil},
		"outer spaces": {" \n{\"type\":\"video.new\"}\r\n\t", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := notification.Decode("w", []byte(test.body))
			require.NoError(t, err)
			assert.Equal(t, test.want, n.Event)
			assert.Equal(t, test.body, string(n.Raw))
		})
	}
}

func TestDecode_duplicateField(t *testing.T) {
	t.Parallel()
	n, err := notification.Decode("", []byte(`{"type":"video.new","type":"live-stream.broadcast.ended","liveStreamId":"a","liveStreamId":"b"}`))
	require.NoError(t, err)
	assert.Equal(t, "b", n.Event.(*notification.LiveStreamBroadcastEnded).LiveStreamID, "last value")
}

// Names of fields match as in encoding/json.
func TestDecode_fieldNames(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]facade.EventType{
		`{"Type":"video.new","videoId":"vi1"}`:                  "video.new",
		`{"type":"video.summary.generated","TYPE":"video.new"}`: "video.new",
		`{"TYPE":"video.new","type":"video.summary.generated"}`: facade.EventVideoSummaryGenerated,
		`{"type":"video.new","Type":5}`:                         "video.new",
		`{"type":"video.new","types":"video.other"}`:            "video.new",
	} {
		n, err := notification.Decode("", []byte(body))
		require.NoError(t, err, body)
		assert.Equal(t, want, n.Type, body)
	}
}

func TestDecode_malformed(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":                            "",
		"null":                             "null",
		"array":                            "[" + vectorBody + "]",
		"string":                           `"type"`,
		"number":                           "5",
		"empty object":                     "{}",
		"missing type":                     `{"emittedAt":"` + vectorTime + `"}`,
		"empty type":                       `{"type":""}`,
		"null type":                        `{"type":null}`,
		"number as type":                   `{"type":5}`,
		"array as type":                    `{"type":["video.new"]}`,
		"truncated":                        vectorBody[:len(vectorBody)-1],
		"trailing object":                  vectorBody + "{}",
		"trailing byte":                    vectorBody + "\x00",
		"byte order mark":                  "\ufeff" + vectorBody,
		"HTML":                             "<html>",
		"truncated after an invalid field": `{"type":"video.summary.generated","videoId":5,"summaryId":`,
		"20,000 nested arrays":             `{"type":"video.new","new":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}",
		"object in an array":               `[{"type":"video.new"}]`,
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

func TestDecode_shortErrors(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		strings.Repeat("x", 1<<20),
		`{"type":` + strings.Repeat("9", 1<<20) + `}`,
		"{\x1b[31m",
	} {
		_, err := notification.Decode("", []byte(body))
		require.ErrorIs(t, err, notification.ErrMalformed)
		assert.Less(t, len(err.Error()), 300)
		assert.NotContains(t, err.Error(), "\x1b")
	}
}

func TestNotification_rawCopy(t *testing.T) {
	t.Parallel()
	body := []byte(vectorBody)
	n, err := newVerifier(t).Verify(t.Context(), signedHeader(webhookID, vectorBody, secret), body)
	require.NoError(t, err)
	clear(body)
	assert.Equal(t, vectorBody, string(n.Raw))
	stored, err := notification.Decode(n.WebhookID, n.Raw)
	require.NoError(t, err)
	assert.Equal(t, n, stored)
}

func TestNotification_ID(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte(webhookID + "\x00" + vectorBody))
	n, err := notification.Decode(webhookID, []byte(vectorBody))
	require.NoError(t, err)
	assert.Equal(t, hex.EncodeToString(sum[:]), n.ID())
	seen := make(map[string]string)
	for _, id := range []string{"", "a", "a ", "ab", strings.Repeat("a", 1<<16)} {
		for _, body := range []string{vectorBody, " " + vectorBody, vectorBody + " ", `{"type":"b"}`} {
			n, err := notification.Decode(id, []byte(body))
			require.NoError(t, err)
			assert.Regexp(t, "^[0-9a-f]{64}$", n.ID())
			again, err := notification.Decode(id, []byte(body))
			require.NoError(t, err)
			assert.Equal(t, n.ID(), again.ID())
			assert.NotContains(t, seen, n.ID())
			seen[n.ID()] = id + "|" + body
		}
	}
	assert.Len(t, seen, 20)
}

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
