package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// The official client for Node works with the fake. make test/cmd/apivideo-webhooks installs
// the client.
func TestFake_nodeClient(t *testing.T) {
	t.Parallel()
	require.DirExists(t, "testdata/node/node_modules", "run make test/cmd/apivideo-webhooks, which needs npm")
	p, err := startProcess(exec.CommandContext(t.Context(), "apivideo-webhooks", "fake", "--addr", "127.0.0.1:0", "--api-key", "node", "--retry-interval", "1ms"))
	require.NoError(t, err)
	t.Cleanup(p.kill)
	url, err := p.url()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "node", "test.mjs", url)
	cmd.Dir = "testdata/node"
	cmd.Env = append(os.Environ(), "APIVIDEO_API_KEY=node")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, "ok\n", string(out))
}

// A signal ends fake although a fault delays a response.
func TestFake_signal(t *testing.T) {
	t.Parallel()
	p, err := startProcess(exec.CommandContext(t.Context(), "apivideo-webhooks", "fake", "--addr", "127.0.0.1:0", "--api-key", "key"))
	require.NoError(t, err)
	t.Cleanup(p.kill)
	url, err := p.url()
	require.NoError(t, err)
	fault := `{"method":"POST","process":true,"delay":"1h"}`
	require.NoError(t, exec.CommandContext(t.Context(), "curl", "-sSf", "-d", fault, url+"/_fake/faults").Run())
	client, err := facade.NewClient("key", facade.WithBaseURL(url))
	require.NoError(t, err)
	created := make(chan error)
	go func() {
		_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: "https://hooks.example.com/", Events: facade.EventTypes()})
		created <- err
	}()
	require.Eventually(t, func() bool {
		webhooks, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{}))
		return err == nil && len(webhooks) == 1
	}, processTimeout, 10*time.Millisecond, "the request is in flight")
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, exitOK, p.wait(), p.errOut)
	require.ErrorIs(t, <-created, facade.ErrUnconfirmed)
}

// Only an invalid fault is an error of the request.
func TestInject_panic(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	require.EqualError(t, inject(server, facadetest.Fault{Status: 99}), "Fault.Status must be between 200 and 999, not 99")
	assert.Panics(t, func() { _ = inject(nil, facadetest.Fault{}) })
}

// The body of a control request has at most 1 MiB.
func TestFakeHandler_largeBody(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	h := newFakeHandler(server, false)
	post := func(path, body string, size int) int {
		body += strings.Repeat(" ", size-len(body))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body)))
		return w.Code
	}
	const event, fault = `{"type":"video.source.recorded"}`, `{"status":500}`
	assert.Equal(t, http.StatusOK, post("/_fake/deliver", event, 1<<20))
	assert.Equal(t, http.StatusBadRequest, post("/_fake/deliver", event, 1<<20+1))
	assert.Equal(t, http.StatusNoContent, post("/_fake/faults", fault, 1<<20))
	assert.Equal(t, http.StatusBadRequest, post("/_fake/faults", fault, 1<<20+1))
}

func TestDemo(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "./demo").CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Regexp(t, `(?m)^[0-9a-f]{12} attempt 1: 202 Accepted in .* ms$`, string(out))
	assert.Contains(t, string(out), "$ apivideo-webhooks replay ")
}
