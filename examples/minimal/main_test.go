package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// redirected sends every request to one address over HTTP.
type redirected string

func (address redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", string(address)
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
}

// The test binary is also the program, with a fake server instead of the sandbox.
func TestMain(m *testing.M) {
	if fake := os.Getenv("FAKE_SANDBOX"); fake != "" {
		http.DefaultTransport = redirected(fake)
		main()
	}
	os.Exit(m.Run())
}

func TestProgram_receivesNotification(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	require.NoError(t, listener.Close()) // free for the program

	fake := facadetest.NewServer(
		facadetest.WithDeliveryClient(&http.Client{Transport: redirected(address)}),
		facadetest.WithDeliveryRetries(1000, 10*time.Millisecond),
	)
	t.Cleanup(fake.Close)
	created := make(chan struct{})
	sandbox := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fake.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			close(created)
		}
	}))
	t.Cleanup(sandbox.Close)

	out, stdout := io.Pipe()
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Env = append(os.Environ(), "FAKE_SANDBOX="+sandbox.Listener.Addr().String(),
		"APIVIDEO_API_KEY="+fake.APIKey, "WEBHOOK_URL=https://hooks.example.com/", "PORT="+port)
	program.Stdout, program.Stderr = stdout, os.Stderr
	require.NoError(t, program.Start())
	exited := make(chan struct{})
	go func() {
		stdout.CloseWithError(program.Wait())
		close(exited)
	}()
	select {
	case <-created:
	case <-exited:
		require.Fail(t, "the program exited")
	}

	deliveries := fake.Deliver(t.Context(), &notification.VideoEncodingQualityCompleted{VideoID: "vi1", Quality: "720p"})
	require.Len(t, deliveries, 1)
	assert.True(t, deliveries[0].OK())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "video vi1 is ready in 720p\n", line)
	require.NoError(t, program.Process.Kill())
	<-exited
}
