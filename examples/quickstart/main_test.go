package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func TestRun_inMemory(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, ""))
	for _, part := range []string{
		"Create two webhooks",
		"prints as [REDACTED]",
		"GetWebhook: 404 The requested resource was not found. (webhookId)",
		"of 100 requests remain",
		"video vi1 is available as hls in 720p",
		"response status: 202",
	} {
		assert.Contains(t, out.String(), part)
	}
	assert.NotContains(t, out.String(), "sig_sec_")
}

func TestTour_cleanUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fault facadetest.Fault
		fails bool
	}{
		{"success", facadetest.Fault{}, false},
		{"failed get", facadetest.Fault{Match: isGet, Times: -1, Status: http.StatusInternalServerError}, true},
		{"lost response to a create", facadetest.Fault{Match: isPost, Process: true, Reset: facadetest.ResetAfterRead}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := facadetest.NewServer()
			t.Cleanup(server.Close)
			server.Inject(test.fault)
			err := tour(t.Context(), io.Discard, server.Client())
			assert.Equal(t, test.fails, err != nil, err)
			assert.Empty(t, server.Webhooks())
		})
	}
}

func TestTour_canceled(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server.Inject(facadetest.Fault{Match: func(r *http.Request) bool {
		if isGet(r) {
			cancel()
		}
		return isGet(r)
	}, Status: http.StatusServiceUnavailable})

	require.Error(t, tour(ctx, io.Discard, server.Client()))

	require.ErrorIs(t, ctx.Err(), context.Canceled)
	assert.Empty(t, server.Webhooks())
}

// At most two webhooks remain after crashes. The next run deletes both.
func TestTour_afterCrash(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	isDelete := func(r *http.Request) bool { return r.Method == http.MethodDelete }
	for range 6 {
		server.Inject(facadetest.Fault{Match: isDelete, Status: http.StatusForbidden}, facadetest.Fault{Match: isDelete, Status: http.StatusForbidden})
		require.ErrorIs(t, tour(t.Context(), io.Discard, server.Client()), facade.ErrForbidden)
		require.Len(t, server.Webhooks(), 2)
	}

	require.NoError(t, tour(t.Context(), io.Discard, server.Client()))

	assert.Empty(t, server.Webhooks())
}

func TestRun_invalidKey(t *testing.T) {
	t.Parallel()
	require.Error(t, run(t.Context(), io.Discard, "a key with spaces"))
}

func isGet(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/webhooks/")
}

func isPost(r *http.Request) bool { return r.Method == http.MethodPost }
