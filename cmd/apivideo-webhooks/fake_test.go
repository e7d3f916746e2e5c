package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

func TestDemo(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "./demo").CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Regexp(t, `(?m)^[0-9a-f]{12} attempt 1: 202 Accepted in .* ms$`, string(out))
	assert.Contains(t, string(out), "$ apivideo-webhooks replay ")
}
