package facadetest_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func TestReset(t *testing.T) {
	t.Parallel()
	server, call := start(t, facadetest.WithRateLimit(2, 1))
	call.create(someWebhook)
	assert.Equal(t, http.StatusTooManyRequests, call.do(http.MethodPost, "/webhooks", someWebhook).status)
	tokens := exchange(call)
	call.do(http.MethodGet, "/webhooks", "")
	server.Inject(facadetest.Fault{Status: http.StatusBadGateway, Times: -1})
	server.Reset()
	assert.Empty(t, server.Webhooks())
	assert.Empty(t, server.Requests())
	list := call.do(http.MethodGet, "/webhooks", "", "Authorization", "Bearer "+tokens.AccessToken)
	assert.Equal(t, http.StatusOK, list.status, "no fault, and valid credentials")
	list.assertRateLimit("2", "1", "60")
	call.create(someWebhook)
	assert.Len(t, server.Webhooks(), 1)
	assert.Len(t, server.Requests(), 2)
}

// The race detector watches. The server works afterwards.
func TestReset_concurrent(t *testing.T) {
	t.Parallel()
	server, _ := start(t, withoutInterval, facadetest.WithRateLimit(1000, 1000))
	hook := newHook(t)
	client := server.Client()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				server.Inject(facadetest.Fault{Status: http.StatusBadRequest})
				w, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: hook.URL, Events: []facade.EventType{facade.EventVideoSummaryGenerated}})
				if err == nil {
					server.Deliver(t.Context(), &summary)
					_ = client.DeleteWebhook(t.Context(), w.ID)
				}
				_, _ = server.Requests(), server.Webhooks()
				server.Reset()
			}
		})
	}
	group.Wait()
	server.Reset()
	assert.Empty(t, server.Webhooks())
	assert.Empty(t, server.Requests())
	subscribe(t, server, hook.URL)
	assert.True(t, server.Deliver(t.Context(), &summary)[0].OK())
	assert.Len(t, server.Requests(), 1)
}
