//go:build unix

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// TestMain runs the program instead of the tests in a process of startProgram.
func TestMain(m *testing.M) {
	if address := os.Getenv("RECEIVER_TEST_API"); address != "" {
		transport := http.DefaultTransport.(*http.Transport)
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// startProgram starts the receiver with this server as the sandbox, and returns
// after its first log line.
func startProgram(t *testing.T, server *facadetest.Server) *exec.Cmd {
	t.Helper()
	secure := httptest.NewTLSServer(server)
	t.Cleanup(secure.Close)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-addr", "127.0.0.1:0", "-url", "https://hooks.example.com/apivideo")
	cmd.Env = append(os.Environ(), "RECEIVER_TEST_API="+strings.TrimPrefix(secure.URL, "https://"), "APIVIDEO_API_KEY="+server.APIKey)
	logs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(logs).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "receiving")
	return cmd
}

func TestReceiver_signals(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			server := facadetest.NewServer()
			t.Cleanup(server.Close)
			cmd := startProgram(t, server)

			require.NoError(t, cmd.Process.Signal(signal))

			require.NoError(t, cmd.Wait(), "exit status 0")
			assert.Len(t, server.Webhooks(), 1, "the webhook stays for the next start")
		})
	}
}

func TestReceiver_restartAfterCrash(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	for range 3 {
		cmd := startProgram(t, server)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	}

	assert.Len(t, server.Webhooks(), 1)
}
