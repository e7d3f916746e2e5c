package facade_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

func TestEventTypes(t *testing.T) {
	t.Parallel()
	var documented []facade.EventType
	for _, name := range contract.Load(t).Components.Schemas["EventType"].Value.Enum {
		documented = append(documented, facade.EventType(fmt.Sprint(name)))
	}
	assert.Equal(t, documented, facade.EventTypes())
}

func TestWebhook_lenientFields(t *testing.T) {
	t.Parallel()
	date := time.Date(2021, 1, 29, 15, 46, 25, 217_000_000, time.UTC)
	tests := []struct {
		fields string
		want   facade.Webhook
	}{
		{`"createdAt":"2021-01-29T16:46:25.217+01:00"`, facade.Webhook{CreatedAt: date}},
		{`"createdAt":"2021-01-29T15:46:25.217Z"`, facade.Webhook{CreatedAt: date}},
		{`"createdAt":"2021-01-29T15:46:25+00:00"`, facade.Webhook{CreatedAt: date.Truncate(time.Second)}},
		{`"createdAt":"2024-08-08T14:12:18+0000"`, facade.Webhook{}},
		{`"createdAt":"2024-08-08 14:12:18"`, facade.Webhook{}},
		{`"createdAt":"2024-08-151T10:18:47+00:00"`, facade.Webhook{}},
		{`"createdAt":"2024-08-08T14:12:18+24:00"`, facade.Webhook{}},
		{`"createdAt":""`, facade.Webhook{}},
		{`"createdAt":1723126338`, facade.Webhook{}},
		{`"createdAt":{"date":"2024-08-08"}`, facade.Webhook{}},
		{`"createdAt":null,"url":null,"events":null,"signatureSecret":null`, facade.Webhook{}},
		{`"createdAt":true,"url":7,"events":"all","signatureSecret":[]`, facade.Webhook{}},
		{`"events":["video.invented.tomorrow"],"paused":{"since":[1]}`, facade.Webhook{Events: []facade.EventType{"video.invented.tomorrow"}}},
		{`"createdAt":"x","url":"https://hooks.example.com","signatureSecret":"s"`, facade.Webhook{URL: "https://hooks.example.com", SignatureSecret: facade.NewSecret("s")}},
	}
	for _, test := range tests {
		webhook := " \n" + `{"webhookId":"webhook_1",` + test.fields + "}\r\n"
		client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Path == "/webhooks" {
				respond(http.StatusOK, pageJSON(webhook, 1, 25, 1, 1))(w, r)
				return
			}
			respond(http.StatusCreated, webhook)(w, r)
		})
		check := func(got *facade.Webhook, err error) {
			t.Helper()
			require.NoError(t, err, test.fields)
			assert.True(t, test.want.CreatedAt.Equal(got.CreatedAt), test.fields)
			want, other := test.want, *got
			want.ID, want.CreatedAt, other.CreatedAt = "webhook_1", time.Time{}, time.Time{}
			assert.Equal(t, want, other, test.fields)
		}
		check(client.CreateWebhook(t.Context(), validParams))
		check(client.GetWebhook(t.Context(), "webhook_1"))
		all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{}))
		require.Len(t, all, 1)
		check(all[0], err)
	}
}

func TestWebhook_JSON(t *testing.T) {
	t.Parallel()
	wh := facade.Webhook{
		ID: "webhook_1", URL: "https://hooks.example.com", Events: []facade.EventType{facade.EventVideoSourceRecorded},
		CreatedAt: time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC), SignatureSecret: facade.NewSecret("sig_sec_1"),
	}
	encoded, err := json.Marshal(wh)
	require.NoError(t, err)
	assert.JSONEq(t, `{"webhookId":"webhook_1","url":"https://hooks.example.com","events":["video.source.recorded"],`+
		`"createdAt":"2024-08-08T14:12:18Z","signatureSecret":"[REDACTED]"}`, string(encoded))
}
