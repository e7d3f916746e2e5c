package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// processTimeout limits each wait for a process.
const processTimeout = 30 * time.Second

// newCommand returns the tool as a process for a server.
func newCommand(t *testing.T, server *facadetest.Server, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "apivideo-webhooks", append([]string{"--base-url", server.URL}, args...)...)
	cmd.Env = append(os.Environ(), "APIVIDEO_API_KEY="+server.APIKey)
	return cmd
}

// process is a command in the background.
type process struct {
	cmd         *exec.Cmd
	out, errOut *watchedBuffer
	ended       chan struct{}
}

// startProcess starts a command. The tool has the race detector if the tests have it.
func startProcess(cmd *exec.Cmd) (*process, error) {
	if cmd.Args[0] == program {
		cmd.Path, _ = os.Executable() // the system knows the path
	}
	p := &process{cmd: cmd, out: newWatchedBuffer(), errOut: newWatchedBuffer(), ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.out
	}
	cmd.Stderr = p.errOut
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // ProcessState has the result
	}()
	return p, nil
}

var servesOn = regexp.MustCompile(`(?m)^(?:Serving .* on |Forwarding from |Listening on |\{"url":")(http://[^\s"]+)`)

// url waits until the process serves and returns the URL.
func (p *process) url() (string, error) {
	deadline := time.After(processTimeout)
	for {
		out, changed := p.out.state()
		errOut, errChanged := p.errOut.state()
		if m := servesOn.FindStringSubmatch(out + errOut); m != nil {
			return m[1], nil
		}
		select {
		case <-changed:
		case <-errChanged:
		case <-p.ended:
			return "", fmt.Errorf("the process has ended: %s%s", p.out, p.errOut)
		case <-deadline:
			return "", fmt.Errorf("the process does not serve: %s%s", p.out, p.errOut)
		}
	}
}

// waitFor waits until stdout matches a pattern.
func (p *process) waitFor(t *testing.T, pattern string) {
	t.Helper()
	deadline := time.After(processTimeout)
	for {
		out, changed := p.out.state()
		if regexp.MustCompile(pattern).MatchString(out) {
			return
		}
		select {
		case <-changed:
		case <-p.ended:
			require.Regexp(t, pattern, p.out.String(), "the process has ended: %s", p.errOut)
		case <-deadline:
			require.Fail(t, "timeout", "%s\n%s%s", pattern, p.out, p.errOut)
		}
	}
}

// wait returns the exit code, or -1 after a signal that ended the process.
func (p *process) wait() int {
	select {
	case <-p.ended:
	case <-time.After(processTimeout):
		p.kill()
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// watchedBuffer is a buffer with a notice of each change.
type watchedBuffer struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func newWatchedBuffer() *watchedBuffer { return &watchedBuffer{changed: make(chan struct{})} }

func (b *watchedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
	return b.text.Write(p)
}

// state returns the text, and a channel that is closed at the next change.
func (b *watchedBuffer) state() (string, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String(), b.changed
}

func (b *watchedBuffer) String() string {
	text, _ := b.state()
	return text
}

// matchNth matches the request with a number, counted from 1, after the start.
func matchNth(n int, then func()) func(*http.Request) bool {
	var count atomic.Int32
	return func(*http.Request) bool {
		if int(count.Add(1)) != n {
			return false
		}
		if then != nil {
			then()
		}
		return true
	}
}
