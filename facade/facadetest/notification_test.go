package facadetest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

func TestNewNotificationRequest_matchesContract(t *testing.T) {
	t.Parallel()
	for _, event := range newEvents() {
		r := facadetest.NewNotificationRequest(t.Context(), "/hook?a=b", "webhook_1", facade.NewSecret("sig_sec_1"), event)
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		contract.Notification(t, r, body)
		assert.Equal(t, "/hook?a=b", r.RequestURI)
		assert.Equal(t, int64(len(body)), r.ContentLength)
	}
}

func TestNewNotificationRequest_handler(t *testing.T) {
	t.Parallel()
	secret := facade.NewSecret("sig_sec_1")
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	require.NoError(t, err)
	var got []*notification.Notification
	handler := notification.NewHandler(verifier, func(_ context.Context, n *notification.Notification) error {
		got = append(got, n)
		return nil
	})
	serve := func(secret facade.Secret, event any) int {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, facadetest.NewNotificationRequest(t.Context(), "https://hooks.example.com/a", "webhook_1", secret, event))
		return rec.Code
	}
	begin := time.Now().Truncate(time.Millisecond)
	assert.Less(t, serve(secret, notification.VideoSummaryGenerated{VideoID: "vi1"}), 300)
	assert.Less(t, serve(secret, []byte(`{"type":"video.new"}`)), 300)
	assert.GreaterOrEqual(t, serve(facade.NewSecret("sig_sec_2"), &summary), 400, "forged")
	assert.GreaterOrEqual(t, serve(secret, []byte("no JSON")), 400, "not JSON")
	require.Len(t, got, 2)
	assert.Equal(t, facade.EventVideoSummaryGenerated, got[0].Type)
	assert.Equal(t, "webhook_1", got[0].WebhookID)
	assert.WithinRange(t, got[0].EmittedAt, begin, time.Now())
	assert.Equal(t, `{"type":"video.new"}`, string(got[1].Raw))
}

// A deduplicator must not drop the second of two requests.
func TestNewNotificationRequest_zeroEmittedAtTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // no time passes
		seen := make(map[string]bool)
		for range 3 {
			r := facadetest.NewNotificationRequest(t.Context(), "/", "webhook_1", facade.NewSecret("sig_sec_1"), notification.VideoSummaryGenerated{VideoID: "vi1"})
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			seen[string(body)] = true
			n, err := notification.Decode("", body)
			require.NoError(t, err)
			assert.WithinDuration(t, time.Now(), n.EmittedAt, time.Millisecond)
		}
		assert.Len(t, seen, 3)
	})
}

func TestNewNotificationRequest_publishedVector(t *testing.T) {
	t.Parallel()
	const body = `{"type":"video.encoding.quality.completed","emittedAt":"2021-01-29T15:46:25.217Z","videoId":"vi0000000000000000000000","liveStreamId":"li0000000000000000000000","encoding":"hls","quality":"720p"}`
	r := facadetest.NewNotificationRequest(t.Context(), "/", "webhook_1", facade.NewSecret("sig_sec_0000000000000000000000"), []byte(body))
	assert.Equal(t, http.Header{
		"Content-Type":          {"application/json"},
		"X-Api-Video-Webhookid": {"webhook_1"},
		"X-Api-Video-Signature": {"27a77d3a7fc626854886b5dbfae4e32c8b0170c1ea1b714c91ba77f1e7774e8c"},
	}, r.Header)
}

func TestNewNotificationRequest_invalidEvent(t *testing.T) {
	t.Parallel()
	assert.PanicsWithValue(t, "facadetest: int is not an event type", func() {
		facadetest.NewNotificationRequest(t.Context(), "/", "webhook_1", facade.Secret{}, 7)
	})
}
