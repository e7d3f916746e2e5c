package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// newFullPipe returns a pipe that is full and that nothing reads.
func newFullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	require.NoError(t, w.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = w.Write(make([]byte, 1<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	return w
}

// A stalled reader of stdout delays neither a delivery nor the end.
func TestListen_stalledOutput(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"table", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			server := facadetest.NewServer(facadetest.WithDeliveryRetries(0, 0))
			t.Cleanup(server.Close)
			public := newTunnel(t)
			cmd := newCommand(t, server, "listen", "--port", "0", "--url", public.URL, "-o", format)
			cmd.Env = append(cmd.Env, "XDG_CONFIG_HOME="+t.TempDir())
			cmd.Stdout = newFullPipe(t)
			p, err := startProcess(cmd)
			require.NoError(t, err)
			t.Cleanup(p.kill)
			local, err := p.url()
			require.NoError(t, err)
			public.setTarget(t, local)
			for range 3 {
				deliveries := server.Deliver(t.Context(), []byte(`{"type":"video.source.recorded"}`))
				require.Len(t, deliveries, 1)
				require.True(t, deliveries[0].OK(), deliveries[0].Attempts)
			}
			require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
			assert.Equal(t, exitError, p.wait(), p.errOut)
			assert.Contains(t, p.errOut.String(), "Error: the output cannot be written: its reader has stalled\n")
			assert.Empty(t, server.Webhooks())
		})
	}
}

func TestOutput_isStalled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		out := &output{w: w}
		for range 2 {
			_, err := out.Write(make([]byte, maxPending))
			require.NoError(t, err)
			synctest.Wait() // the first write is in flight
			assert.False(t, out.isStalled())
		}
		_, err := out.Write([]byte("a"))
		require.NoError(t, err)
		assert.True(t, out.isStalled())
		require.ErrorIs(t, out.flush(t.Context()), errStalled)
		_, err = out.Write([]byte("a"))
		require.ErrorIs(t, err, errStalled)
		require.NoError(t, r.Close())
	})
}

// A signal ends the wait for a stalled reader.
func TestOutput_stalled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		out := &output{w: w}
		_, err := out.Write([]byte("a"))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		start := time.Now()
		require.EqualError(t, out.flush(ctx), "its reader has stalled")
		assert.Equal(t, time.Hour+outputTimeout, time.Since(start))
		require.NoError(t, r.Close())
		_, err = out.Write([]byte("b"))
		require.EqualError(t, err, "its reader has stalled")
	})
}

// All output is written in order before the end.
func TestOutput_order(t *testing.T) {
	t.Parallel()
	var got, want bytes.Buffer
	out := &output{w: &got}
	for i := range 1000 {
		line := []byte(strings.Repeat("x", i) + "\n")
		_, err := out.Write(line)
		require.NoError(t, err)
		want.Write(line)
	}
	require.NoError(t, out.flush(t.Context()))
	assert.Equal(t, want.String(), got.String())
}

// The fields of a webhook cannot change the terminal.
func TestApp_hostileWebhook(t *testing.T) {
	t.Parallel()
	wh := &facade.Webhook{ID: "a\x1b[2J", URL: "https://b\n", Events: []facade.EventType{"c\u202e"}}
	for _, test := range []struct {
		print func(*app)
		want  string
	}{
		{func(a *app) { a.printWebhooks([]*facade.Webhook{wh}) }, "a\ufffd[2J\thttps://b\ufffd\tc\ufffd\t-\n"},
		{func(a *app) { a.printWebhook(newWebhookJSON(wh)) }, "ID\ta\ufffd[2J\nURL\thttps://b\ufffd\nEVENTS\tc\ufffd\nCREATED\t-\n"},
	} {
		var got bytes.Buffer
		a := &app{out: &output{w: &got}}
		test.print(a)
		require.NoError(t, a.out.flush(t.Context()))
		assert.Equal(t, test.want, got.String())
	}
}
