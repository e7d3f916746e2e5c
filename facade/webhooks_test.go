package facade_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func TestClient_lifecycle(t *testing.T) {
	t.Parallel()
	server, client := newFake(t, facadetest.WithUnknownEvents())
	params := facade.CreateWebhookParams{
		URL:    "https://hooks.example.com/a%20b?c=d&e=%2F#f",
		Events: append(facade.EventTypes(), "video.invented.tomorrow"),
	}
	created, err := client.CreateWebhook(t.Context(), params)
	require.NoError(t, err)
	assert.Equal(t, []facade.Webhook{*created}, server.Webhooks())
	assert.Equal(t, params.URL, created.URL)
	assert.Equal(t, params.Events, created.Events)
	assert.NotEmpty(t, created.ID)
	assert.False(t, created.CreatedAt.IsZero())
	assert.False(t, created.SignatureSecret.IsZero())

	got, err := client.GetWebhook(t.Context(), created.ID)
	require.NoError(t, err)
	assert.Equal(t, created, got)

	require.NoError(t, client.DeleteWebhook(t.Context(), created.ID))
	assert.Empty(t, server.Webhooks())
	_, err = client.GetWebhook(t.Context(), created.ID)
	require.ErrorIs(t, err, facade.ErrNotFound)
	require.ErrorIs(t, client.DeleteWebhook(t.Context(), created.ID), facade.ErrNotFound)
}
