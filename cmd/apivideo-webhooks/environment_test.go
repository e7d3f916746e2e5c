package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Only --production sends requests to production. A proxy sees the host of each
// request.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	const sandbox, production = "sandbox.api.video:443", "ws.api.video:443"
	for flags, want := range map[string]string{
		"list":                          sandbox,
		"list --sandbox":                sandbox,
		"list --production=false":       sandbox,
		"list --production":             production,
		"delete webhook_1":              sandbox,
		"delete webhook_1 --production": production,
	} {
		t.Run(flags, func(t *testing.T) {
			t.Parallel()
			hosts := make(chan string, 10)
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				hosts <- r.Method + " " + r.Host
				w.WriteHeader(http.StatusBadGateway)
			}))
			t.Cleanup(proxy.Close)
			cmd := exec.CommandContext(t.Context(), "apivideo-webhooks", strings.Fields(flags)...)
			cmd.Env = append(os.Environ(), "APIVIDEO_API_KEY=key", "HTTPS_PROXY="+proxy.URL, "NO_PROXY=")
			p, err := startProcess(cmd)
			require.NoError(t, err)
			t.Cleanup(p.kill)
			select {
			case host := <-hosts:
				assert.Equal(t, "CONNECT "+want, host)
			case <-p.ended:
				require.Fail(t, "no request", p.errOut)
			}
		})
	}
}
