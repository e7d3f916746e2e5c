//go:build unix

package main

import (
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
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// TestMain runs the program instead of the tests in the process of a test.
func TestMain(m *testing.M) {
	if address := os.Getenv("QUICKSTART_TEST_API"); address != "" {
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

// The signal arrives while the response to the second create is delayed.
func TestTour_signals(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			server := facadetest.NewServer()
			t.Cleanup(server.Close)
			server.Inject(facadetest.Fault{Match: isPost}, facadetest.Fault{Match: isPost, Delay: time.Hour})
			secure := httptest.NewTLSServer(server)
			t.Cleanup(secure.Close)
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), "QUICKSTART_TEST_API="+strings.TrimPrefix(secure.URL, "https://"), "APIVIDEO_API_KEY="+server.APIKey)
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool { return len(server.Webhooks()) == 2 }, 10*time.Second, time.Millisecond)

			require.NoError(t, cmd.Process.Signal(signal))

			var exit *exec.ExitError
			require.ErrorAs(t, cmd.Wait(), &exit)
			assert.Equal(t, 1, exit.ExitCode(), "exit status of the program")
			assert.Empty(t, server.Webhooks())
		})
	}
}
