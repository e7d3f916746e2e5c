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

func TestNotificationReportsWhatTheContractDoesNotSay(t *testing.T) {
	t.Parallel()
	const summary = `{"type":"video.summary.generated","emittedAt":"2024-08-08T14:15:40+00:00","videoId":"v","summaryId":"s"}`
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("X-Api-Video-WebhookID", "webhook_1")
	header.Set("X-Api-Video-Signature", strings.Repeat("0a", 32))
	anonymous := header.Clone()
	anonymous.Del("X-Api-Video-WebhookID")
	for name, test := range map[string]struct {
		method string
		header http.Header
		body   string
		report string // what is reported, if anything
	}{
		"a good one":         {http.MethodPost, header, summary, ""},
		"more members":       {http.MethodPost, header, summary[:len(summary)-1] + `,"more":1}`, ""},
		"a method":           {http.MethodPut, header, summary, "the method is PUT"},
		"no id":              {http.MethodPost, anonymous, summary, "X-Api-Video-WebhookID"},
		"upper case":         {http.MethodPost, with(header, "X-Api-Video-Signature", strings.Repeat("0A", 32)), summary, "X-Api-Video-Signature"},
		"another media type": {http.MethodPost, with(header, "Content-Type", "text/plain"), summary, "text/plain"},
		"credentials":        {http.MethodPost, with(header, "Authorization", "Basic a2V5Og=="), summary, "Authorization"},
		"another type":       {http.MethodPost, header, `{"type":"video.new"}`, `no webhook sends "video.new"`},
		"no JSON":            {http.MethodPost, header, "{", "the body"},
		"a type only":        {http.MethodPost, header, `{"type":"video.summary.generated"}`, ""},
		"a field of another": {http.MethodPost, header, strings.ReplaceAll(summary, `"v"`, "5"), "videoId"},
		"no instant":         {http.MethodPost, header, strings.ReplaceAll(summary, "T14", " 14"), "emittedAt"},
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
