package facadetest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

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
