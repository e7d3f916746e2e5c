package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// A signal ends send although the receiver hangs.
func TestSend_signal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prefix  string
		signals []os.Signal
		want    int
		text    string
	}{
		{"SIGHUP", "", []os.Signal{syscall.SIGHUP}, 129, "hangup"},
		{"SIGINT", "", []os.Signal{syscall.SIGINT}, 130, "interrupt"},
		{"SIGTERM", "", []os.Signal{syscall.SIGTERM}, 143, "terminated"},
		{"SIGHUP with nohup", "trap '' HUP; ", []os.Signal{syscall.SIGHUP, syscall.SIGINT}, 130, "interrupt"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := facadetest.NewServer()
			t.Cleanup(server.Close)
			arrived := make(chan struct{})
			server.Inject(facadetest.Fault{Match: matchNth(1, func() { close(arrived) }), Process: true, Delay: processTimeout})
			cmd := exec.CommandContext(t.Context(), "sh", "-c", test.prefix+"exec apivideo-webhooks send video.source.recorded --timeout 1m --to "+server.URL)
			cmd.Env = append(os.Environ(), "APIVIDEO_WEBHOOK_SECRET=sig_sec_1")
			p, err := startProcess(cmd)
			require.NoError(t, err)
			t.Cleanup(p.kill)
			select {
			case <-arrived:
			case <-p.ended:
			}
			for _, s := range test.signals {
				require.NoError(t, p.cmd.Process.Signal(s))
			}
			assert.Equal(t, test.want, p.wait(), p.errOut)
			assert.Equal(t, "Error: the delivery was interrupted ("+test.text+"); run the command again\n", p.errOut.String())
		})
	}
}

// A signal ends the wait before a retry.
func TestSend_signalBetweenAttempts(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer() // 404
	t.Cleanup(server.Close)
	cmd := newCommand(t, server, "send", "video.source.recorded", "--to", server.URL, "--retries", "1", "--retry-interval", "1h")
	cmd.Env = append(cmd.Env, "APIVIDEO_WEBHOOK_SECRET=sig_sec_1")
	p, err := startProcess(cmd)
	require.NoError(t, err)
	t.Cleanup(p.kill)
	p.waitFor(t, "attempt 1: 404")
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, 130, p.wait(), p.errOut)
	assert.NotContains(t, p.out.String(), "attempt 2")
}

// After an interrupted creation the message does not advise a second one.
func TestCreate_signal(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	arrived := make(chan struct{})
	server.Inject(facadetest.Fault{Match: matchNth(1, func() { close(arrived) }), Process: true, Delay: processTimeout})
	p, err := startProcess(newCommand(t, server, "create", "--url", "https://hooks.example.com/", "--event", "video.source.recorded"))
	require.NoError(t, err)
	t.Cleanup(p.kill)
	select {
	case <-arrived:
	case <-p.ended:
	}
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, 130, p.wait(), p.errOut)
	assert.Contains(t, p.errOut.String(), `; the webhook may exist, see "apivideo-webhooks list", or use ensure instead of create`)
	assert.NotContains(t, p.errOut.String(), "run the command again")
}

// A signal ends a command that waits for the rest of its input.
func TestCommands_signalDuringInput(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	for _, command := range []string{
		"send --body - --to http://127.0.0.1:1",
		"send --body @pipe --to http://127.0.0.1:1",
		"send --secret-file pipe video.source.recorded --to http://127.0.0.1:1",
		"verify --signature s --body -",
		"verify --signature s --body @pipe",
		"verify --signature s --body {} --secret-file pipe",
		"plan -f -",
		"plan -f pipe",
		"apply -f -",
		"apply -f pipe",
		"apply -f none.yaml --secrets-file pipe",
		"replay - --to http://127.0.0.1:1",
		"replay pipe --to http://127.0.0.1:1",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			cmd := newCommand(t, server, strings.Fields(command)...)
			cmd.Dir = t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(cmd.Dir, "none.yaml"), []byte("webhooks: []\n"), 0o600))
			name := filepath.Join(cmd.Dir, "pipe")
			require.NoError(t, syscall.Mkfifo(name, 0o600))
			pipe, err := os.OpenFile(name, os.O_RDWR, 0)
			require.NoError(t, err)
			defer func() { _ = pipe.Close() }()
			cmd.Stdin = pipe
			p, err := startProcess(cmd)
			require.NoError(t, err)
			t.Cleanup(p.kill)
			_, err = pipe.Write(make([]byte, 1<<20)) // more than the pipe holds
			require.NoError(t, err)
			require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
			assert.Equal(t, 130, p.wait(), p.errOut)
			assert.Equal(t, "Error: the input was interrupted (interrupt); run the command again\n", p.errOut.String())
		})
	}
}
