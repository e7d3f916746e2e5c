package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func TestTourInMemory(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, ""))
	for _, part := range []string{
		"Create three webhooks",
		"doesn't print: [REDACTED]",
		"page 2 of 2, 3 webhooks in all",
		"GetWebhook: 404 The requested resource was not found. (webhookId)",
		"CreateWebhook: invalid argument",
		"400 Bad Request: This attribute is required.",
		"- url: This attribute is required.",
		"- events: This attribute is required.",
		"of 40 requests left",
		"vi1 is there as hls in 720p",
		"answered 202",
	} {
		assert.Contains(t, out.String(), part)
	}
	assert.NotContains(t, out.String(), "sig_sec_")
}

func TestTourCleansUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fault facadetest.Fault
	}{
		{"at the end", facadetest.Fault{}},
		{"after an error", facadetest.Fault{Match: isGet, Times: -1, Status: http.StatusInternalServerError}},
		{"after a create whose answer is lost", facadetest.Fault{Match: isPost, Process: true, Reset: facadetest.ResetAfterRead}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := facadetest.NewServer()
			t.Cleanup(server.Close)
			server.Inject(test.fault)
			err := tour(t.Context(), new(strings.Builder), server.Client())
			assert.Equal(t, test.fault.Match != nil, err != nil, err)
			assert.Empty(t, server.Webhooks())
		})
	}
}

func TestTourCleansUpWhenInterrupted(t *testing.T) {
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
	err := tour(ctx, new(strings.Builder), server.Client())
	require.Error(t, err)
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	assert.Empty(t, server.Webhooks())
}

func TestRunRefusesABadKey(t *testing.T) {
	t.Parallel()
	require.Error(t, run(t.Context(), new(strings.Builder), "a key with spaces"))
}

func isGet(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/webhooks/")
}

func isPost(r *http.Request) bool { return r.Method == http.MethodPost }
