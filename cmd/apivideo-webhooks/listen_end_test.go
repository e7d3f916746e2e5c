package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// A closed terminal ends listen as Ctrl-C does.
func TestListen_hangup(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	p := startListen(t, server, t.TempDir(), "https://tunnel.example.com/hook", "http://127.0.0.1:1/")
	_, err := p.url()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
	require.Equal(t, exitOK, p.wait(), p.errOut)
	assert.Empty(t, server.Webhooks())
}

// A receiver that hangs does not delay the end until its timeout.
func TestListen_requestInFlight(t *testing.T) {
	t.Parallel()
	received, end := make(chan struct{}), make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(received)
		<-end
	}))
	t.Cleanup(receiver.Close)
	t.Cleanup(func() { close(end) })
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	p := startListen(t, server, t.TempDir(), "https://tunnel.example.com/hook", receiver.URL)
	local, err := p.url()
	require.NoError(t, err)
	wh := server.Webhooks()[0]
	r := facadetest.NewNotificationRequest(t.Context(), local, wh.ID, wh.SignatureSecret, &notification.VideoSummaryGenerated{VideoID: "vi1"})
	r.RequestURI = ""
	go func() {
		if resp, err := new(http.Client).Do(r); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-received
	start := time.Now()
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	require.Equal(t, exitOK, p.wait(), p.errOut)
	assert.Less(t, time.Since(start), 8*time.Second)
	assert.Empty(t, server.Webhooks())
}
