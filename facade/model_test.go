package facade_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

func TestEventTypesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	for _, event := range []facade.EventType{
		facade.EventLiveStreamBroadcastStarted,
		facade.EventLiveStreamBroadcastEnded,
		facade.EventVideoSourceRecorded,
		facade.EventVideoEncodingQualityCompleted,
		facade.EventVideoCaptionGenerated,
		facade.EventVideoSummaryGenerated,
	} {
		assert.True(t, gen.EventType(event).Valid(), event)
	}
}

func TestWebhookAsTheServiceMayWriteIt(t *testing.T) {
	t.Parallel()
	utc := time.Date(2021, 1, 29, 15, 46, 25, 217_000_000, time.UTC)
	tests := []struct {
		name string
		body string
		want facade.Webhook
	}{
		{"a date with offset", `{"webhookId":"w","createdAt":"2021-01-29T16:46:25.217+01:00"}`, facade.Webhook{ID: "w", CreatedAt: utc}},
		{"a date in UTC with fractions", `{"webhookId":"w","createdAt":"2021-01-29T15:46:25.217Z"}`, facade.Webhook{ID: "w", CreatedAt: utc}},
		{"a date with offset zero", `{"webhookId":"w","createdAt":"2024-08-08T14:12:18+00:00"}`, facade.Webhook{ID: "w", CreatedAt: time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC)}},
		{"nothing but the id", `{"webhookId":"w"}`, facade.Webhook{ID: "w"}},
		{"nulls", `{"webhookId":"w","createdAt":null,"events":null,"url":null,"signatureSecret":null}`, facade.Webhook{ID: "w"}},
		{"an event not known here", `{"webhookId":"w","events":["video.invented.tomorrow"]}`, facade.Webhook{ID: "w", Events: []facade.EventType{"video.invented.tomorrow"}}},
		{"a member not known here", `{"webhookId":"w","paused":{"since":[1]}}`, facade.Webhook{ID: "w"}},
		{"space around it", " \n" + `{"webhookId":"w"}` + "\r\n", facade.Webhook{ID: "w"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, answer(http.StatusOK, test.body))
			wh, err := client.GetWebhook(t.Context(), "w")
			require.NoError(t, err)
			assert.Equal(t, test.want.ID, wh.ID)
			assert.True(t, test.want.CreatedAt.Equal(wh.CreatedAt), wh.CreatedAt)
			assert.ElementsMatch(t, test.want.Events, wh.Events)
			assert.Empty(t, wh.URL)
			assert.True(t, wh.SignatureSecret.IsZero())
		})
	}
}
