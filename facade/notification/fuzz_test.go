package notification_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

var seedBodies = []string{
	vectorBody,
	`{"type":"live-stream.broadcast.started","emittedAt":"2021-01-29T16:46:25.217+01:00","liveStreamId":"li"}`,
	`{"type":"live-stream.broadcast.ended","emittedAt":"2024-08-08T14:12:18+00:00","liveStreamId":"li","quality":5}`,
	`{"type":"video.source.recorded","emittedAt":"2024-08-08T14:12:18Z","liveStreamId":"li","videoId":"vi"}`,
	`{"type":"video.caption.generated","emittedAt":"2024-08-08T14:12:18Z","videoId":"vi","captionId":"ca","generationMode":"transcript","language":"en"}`,
	`{"type":"video.summary.generated","emittedAt":"2024-08-08T14:12:18Z","videoId":"vi","summaryId":null}`,
	`{"type":"video.summary.generated","emittedAt":"2024-08-08T14:12:18+2400"}`,
	`{"type":"video.summary.generated","emittedAt":"2024-08-08 14:12:18\u002b0000"}`,
	`{"type":"video.new","emittedAt":1,"new":{"a":[null,1e400]}}`,
	`{"TYPE":"video.source.recorded","type":"video.new","emittedAt":"yesterday"}`,
	`{"type":"video.source.recorded","emittedAt":"2024-08-08T14:12:18Z","emittedAt":null,"videoId":[]}`,
	`{"type":"video.source.recorded"}{}`,
	"", "null", "[]", "5", `"type"`, `{"type":5}`, "{\"type\":\"\xff\"}",
}

// checkText asserts the properties of the text of an error.
func checkText(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	assert.True(t, strings.HasPrefix(text, "apivideo: "), text)
	assert.False(t, strings.ContainsFunc(text, unicode.IsControl), "%q", text)
	assert.Less(t, utf8.RuneCountInString(text), 400)
	assertNoSecrets(t, text)
}

// Decode fails only for a body without a type. Its fields are equal to the fields
// of encoding/json.
func FuzzDecode(f *testing.F) {
	for _, body := range seedBodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := notification.Decode("w", body)
		if err != nil {
			require.ErrorIs(t, err, notification.ErrMalformed)
			assert.Nil(t, n)
			checkText(t, err)
			var object struct {
				Type facade.EventType `json:"type"`
			}
			if json.Unmarshal(body, &object) == nil {
				assert.Empty(t, object.Type)
			}
			return
		}
		assert.NotEmpty(t, n.Type)
		_, err = json.Marshal(n.Event)
		require.NoError(t, err)
		assert.Equal(t, "w", n.WebhookID)
		assert.Equal(t, string(body), string(n.Raw))
		model, known := events[n.Type]
		require.Equal(t, known, n.Event != nil)
		if known {
			require.IsType(t, model, n.Event)
			want := newEvent(n.Type)
			if json.Unmarshal(body, want) == nil {
				assert.Equal(t, want, n.Event)
			}
		}
	})
}

// Only signed bodies are accepted, and Verify returns the result of Decode.
func FuzzVerify(f *testing.F) {
	for _, body := range seedBodies {
		f.Add([]byte(body), webhookID, vectorSignature)
	}
	f.Add([]byte(vectorBody), "", strings.ToUpper(vectorSignature))
	f.Add([]byte(vectorBody), "\x00", vectorSignature+", "+vectorSignature)
	v, err := notification.NewVerifier(notification.StaticSecrets(facade.NewSecret("another"), secret), notification.WithMaxBody(1<<16))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte, id, signature string) {
		header := http.Header{"X-Api-Video-Webhookid": {id}, "X-Api-Video-Signature": {signature}}
		n, err := v.Verify(t.Context(), header, body)
		right := notification.Sign(body, secret)
		if err == nil {
			assert.Equal(t, right, strings.ToLower(signature))
		} else {
			checkText(t, err)
			assert.Nil(t, n)
			assert.NotContains(t, err.Error(), right)
		}
		header.Set(notification.HeaderSignature, right)
		n, err = v.Verify(t.Context(), header, body)
		want, malformed := notification.Decode(id, body)
		switch {
		case len(body) > 1<<16:
			require.ErrorIs(t, err, notification.ErrTooLarge)
		case malformed != nil:
			require.ErrorIs(t, err, notification.ErrMalformed)
		default:
			require.NoError(t, err)
			assert.Equal(t, want, n)
		}
		header.Add(notification.HeaderSignature, right)
		_, err = v.Verify(t.Context(), header, body)
		require.Error(t, err, "two signatures")
	})
}

// The handler calls the function for signed bodies only, and every status is
// documented.
func FuzzNewHandler(f *testing.F) {
	for i, body := range seedBodies {
		f.Add("POST", []byte(body), webhookID, vectorSignature, int64(len(body)), uint8(i))
	}
	f.Add("GET", []byte(vectorBody), webhookID, vectorSignature, int64(195), uint8(0))
	f.Add("POST", []byte(vectorBody), webhookID, vectorSignature, int64(-1), uint8(1))
	f.Add("POST", []byte(vectorBody), "\n", "", int64(1<<40), uint8(2))
	f.Fuzz(func(t *testing.T, method string, body []byte, id, signature string, length int64, way uint8) {
		right := notification.Sign(body, secret)
		if way%4 == 0 {
			signature = right
		}
		calls := 0
		handler := notification.NewHandler(newVerifier(t, notification.WithMaxBody(4096)), func(_ context.Context, n *notification.Notification) error {
			calls++
			assert.Equal(t, right, strings.ToLower(signature))
			assert.Equal(t, string(body), string(n.Raw))
			switch way % 3 {
			case 0:
				panic(id)
			case 1:
				return errors.New(signature)
			}
			return nil
		}, notification.WithDeduplicator(notification.NewMemoryDeduplicator(time.Hour, 1)))
		for range 2 {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
			r.Method, r.ContentLength = method, length
			r.Header = http.Header{"X-Api-Video-Webhookid": {id}, "X-Api-Video-Signature": {signature}}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			assert.Contains(t, []int{202, 400, 401, 405, 413, 500}, w.Code)
			assert.Equal(t, http.StatusText(w.Code)+"\n", w.Body.String())
			assert.Equal(t, method != http.MethodPost, w.Code == http.StatusMethodNotAllowed)
			if len(body) > 4096 && method == http.MethodPost {
				assert.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
			}
			if w.Code == http.StatusAccepted {
				assert.Equal(t, 1, calls, "the second delivery is a duplicate")
			}
		}
	})
}
