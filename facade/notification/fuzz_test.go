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

// checkError asserts the properties of the text of an error.
func checkError(t *testing.T, err error) {
	t.Helper()
	assert.True(t, strings.HasPrefix(err.Error(), "apivideo: "), err)
	assert.False(t, strings.ContainsFunc(err.Error(), unicode.IsControl), "%q", err)
	assert.Less(t, utf8.RuneCountInString(err.Error()), 400)
	assertNoSecrets(t, err.Error())
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
			if want, err := unmarshal(n.Type, body); err == nil {
				assert.Equal(t, want, n.Event)
			}
		}
	})
}

// Only signed bodies are accepted, and Verify returns the result of Decode.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(vectorBody), "", strings.ToUpper(vectorSignature))
	f.Add([]byte(`{"type":5}`), webhookID, vectorSignature+", "+vectorSignature)
	v := newVerifier(f, notification.WithMaxBody(1<<16))
	f.Fuzz(func(t *testing.T, body []byte, id, signature string) {
		header := http.Header{"X-Api-Video-Webhookid": {id}, "X-Api-Video-Signature": {signature}}
		right := notification.Sign(body, secret)
		if _, err := v.Verify(t.Context(), header, body); err == nil {
			assert.Equal(t, right, strings.ToLower(signature))
		} else {
			checkError(t, err)
			assert.NotContains(t, err.Error(), right)
		}
		header.Set(notification.HeaderSignature, right)
		n, err := v.Verify(t.Context(), header, body)
		want, malformed := notification.Decode(id, body)
		switch {
		case len(body) > 1<<16:
			require.ErrorIs(t, err, notification.ErrTooLarge)
		case malformed != nil:
			require.EqualError(t, err, malformed.Error())
		default:
			require.NoError(t, err)
			assert.Equal(t, want, n)
		}
	})
}

// The handler calls the function for signed bodies only, and every status is documented.
func FuzzNewHandler(f *testing.F) {
	f.Add("POST", []byte(vectorBody), webhookID, vectorSignature, int64(-1), uint8(1))
	f.Add("GET", []byte(vectorBody), "\n", "", int64(1<<40), uint8(2))
	f.Fuzz(func(t *testing.T, method string, body []byte, id, signature string, length int64, way uint8) {
		right := notification.Sign(body, secret)
		if way%4 == 0 {
			signature = right
		}
		calls := 0
		handle := func(_ context.Context, n *notification.Notification) error {
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
		}
		handler := notification.NewHandler(newVerifier(t, notification.WithMaxBody(4096)), handle,
			notification.WithDeduplicator(notification.NewMemoryDeduplicator(time.Hour, 1)))
		for range 2 {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
			r.Method, r.ContentLength = method, length
			r.Header = http.Header{"X-Api-Video-Webhookid": {id}, "X-Api-Video-Signature": {signature}}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			assert.Contains(t, []int{202, 400, 401, 405, 413, 500}, w.Code)
			assert.Equal(t, http.StatusText(w.Code)+"\n", w.Body.String())
			assert.Equal(t, method != http.MethodPost, w.Code == http.StatusMethodNotAllowed)
			if w.Code == http.StatusAccepted {
				assert.Equal(t, 1, calls, "the second delivery is a duplicate")
			}
		}
	})
}
