package facade_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
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
	for _, event := range facade.EventTypes() {
		assert.True(t, event.Valid(), event)
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

func TestWebhook_lenientFields(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string]string{
		"an offset without a colon": `"createdAt":"2024-08-08T14:12:18+0000"`,
		"a date with a space":       `"createdAt":"2024-08-08 14:12:18"`,
		"a day that does not exist": `"createdAt":"2024-08-151T10:18:47+00:00"`,
		"an offset of 24 hours":     `"createdAt":"2024-08-08T14:12:18+24:00"`,
		"an empty date":             `"createdAt":""`,
		"Unix seconds":              `"createdAt":1723126338`,
		"an object as the date":     `"createdAt":{"date":"2024-08-08"}`,
		"null":                      `"createdAt":null,"url":null,"events":null,"signatureSecret":null`,
		"other types":               `"createdAt":true,"url":7,"events":"all","signatureSecret":[]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			webhook := `{"webhookId":"webhook_1",` + fields + `}`
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet && r.URL.Path == "/webhooks" {
					answer(http.StatusOK, `{"data":[`+webhook+`],"pagination":{"currentPage":1,"pageSize":25,"pagesTotal":1,"itemsTotal":1}}`)(w, r)
					return
				}
				answer(http.StatusCreated, webhook)(w, r)
			})
			want := &facade.Webhook{ID: "webhook_1"}
			created, err := client.CreateWebhook(t.Context(), validParams)
			require.NoError(t, err)
			assert.Equal(t, want, created)
			got, err := client.GetWebhook(t.Context(), "webhook_1")
			require.NoError(t, err)
			assert.Equal(t, want, got)
			all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{}))
			require.NoError(t, err)
			assert.Equal(t, []*facade.Webhook{want}, all)
		})
	}
}

// A date that cannot be read costs nothing but the date.
func TestCreateWebhook_invalidDate(t *testing.T) {
	t.Parallel()
	client := newClient(t, answer(http.StatusCreated, strings.Replace(webhookJSON(1), `"createdAt":"`, `"createdAt":"x`, 1)))
	wh, err := client.CreateWebhook(t.Context(), validParams)
	require.NoError(t, err)
	assert.True(t, wh.CreatedAt.IsZero())
	assert.False(t, wh.SignatureSecret.IsZero())
	assert.NotEmpty(t, wh.Events)
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
