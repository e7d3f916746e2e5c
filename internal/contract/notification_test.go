package contract_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/internal/contract"
)

func TestNotification(t *testing.T) {
	t.Parallel()
	const summary = `{"type":"video.summary.generated","emittedAt":"2024-08-08T14:15:40+00:00","videoId":"v","summaryId":"s"}`
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("X-Api-Video-WebhookID", "webhook_1")
	header.Set("X-Api-Video-Signature", strings.Repeat("0a", 32))
	withoutID := header.Clone()
	withoutID.Del("X-Api-Video-WebhookID")
	for name, test := range map[string]struct {
		method string
		header http.Header
		body   string
		report string // expected part of the report, empty for none
	}{
		"valid notification":      {http.MethodPost, header, summary, ""},
		"unknown field":           {http.MethodPost, header, summary[:len(summary)-1] + `,"more":1}`, ""},
		"method PUT":              {http.MethodPut, header, summary, "the method is PUT"},
		"missing webhook ID":      {http.MethodPost, withoutID, summary, "X-Api-Video-WebhookID"},
		"signature in upper case": {http.MethodPost, withHeader(header, "X-Api-Video-Signature", strings.Repeat("0A", 32)), summary, "X-Api-Video-Signature"},
		"content type text/plain": {http.MethodPost, withHeader(header, "Content-Type", "text/plain"), summary, "text/plain"},
		"Authorization header":    {http.MethodPost, withHeader(header, "Authorization", "Basic a2V5Og=="), summary, "Authorization"},
		"unknown event type":      {http.MethodPost, header, `{"type":"video.new"}`, `unknown event type "video.new"`},
		"malformed JSON":          {http.MethodPost, header, "{", "decode the body"},
		"only a type":             {http.MethodPost, header, `{"type":"video.summary.generated"}`, ""},
		"video ID as a number":    {http.MethodPost, header, strings.ReplaceAll(summary, `"v"`, "5"), "videoId"},
		"malformed emittedAt":     {http.MethodPost, header, strings.ReplaceAll(summary, "T14", " 14"), "emittedAt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequestWithContext(t.Context(), test.method, "/hook?any=1", strings.NewReader(test.body))
			req.Header = test.header
			tb := &recorder{TB: t}

			contract.Notification(tb, req, []byte(test.body))

			if test.report == "" {
				assert.Empty(t, tb.reports)
				return
			}
			require.Len(t, tb.reports, 1)
			assert.Contains(t, tb.reports[0], test.report)
		})
	}
}
