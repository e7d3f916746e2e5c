package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Only --production sends requests to production. A proxy sees the host of each
// request.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	const sandbox, production = "CONNECT sandbox.api.video:443", "CONNECT ws.api.video:443"
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "none.yaml"), []byte("webhooks: []\n"), 0o600))
	commands := map[string]string{
		"list":                    sandbox,
		"list --sandbox":          sandbox,
		"list --production=false": sandbox,
		"list --production":       production,
		"list --plain-http --base-url http://fake.example.com": "GET fake.example.com",
	}
	for _, writing := range []string{
		"create --url https://hooks.example.com/ --event video.source.recorded",
		"ensure --url https://hooks.example.com/ --event video.source.recorded",
		"delete webhook_1",
		"apply -f none.yaml --yes",
		"listen --url https://tunnel.example.com/ --port 0",
	} {
		commands[writing] = sandbox
		commands[writing+" --production"] = production
	}
	for command, want := range commands {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			hosts := make(chan string, 10)
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				hosts <- r.Method + " " + r.Host
				w.WriteHeader(http.StatusBadGateway)
			}))
			t.Cleanup(proxy.Close)
			cmd := exec.CommandContext(t.Context(), "apivideo-webhooks", strings.Fields(command)...)
			cmd.Dir = folder
			cmd.Env = append(os.Environ(), "APIVIDEO_API_KEY=key", "HTTP_PROXY="+proxy.URL, "HTTPS_PROXY="+proxy.URL, "NO_PROXY=", "XDG_CONFIG_HOME="+folder)
			p, err := startProcess(cmd)
			require.NoError(t, err)
			t.Cleanup(p.kill)
			select {
			case host := <-hosts:
				assert.Equal(t, want, host)
			case <-p.ended:
				require.Fail(t, "no request", p.errOut)
			}
		})
	}
}
