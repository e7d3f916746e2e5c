package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runProgram is the main function of the program in a test. The ID of the video
// selects the fault of an event.
func runProgram(args string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	a := newApp(os.Stdout, os.Stderr)
	a.worker.handle = func(ctx context.Context, e event) error {
		switch raw := string(e.Raw); {
		case strings.Contains(raw, `"exit"`):
			wait(ctx, 200*time.Millisecond)
			os.Exit(3)
		case strings.Contains(raw, `"hang"`):
			select {}
		case strings.Contains(raw, `"goexit"`):
			runtime.Goexit()
		case strings.Contains(raw, `"long"`):
			wait(ctx, 6*time.Second)
		case strings.Contains(raw, `"slow"`):
			wait(ctx, 500*time.Millisecond)
		}
		fmt.Printf("handled %s\n", e.ID())
		return nil
	}
	if err := a.run(ctx, strings.Fields(args)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// program is a process with the program.
type program struct {
	cmd  *exec.Cmd
	out  *logBuffer
	logs *logBuffer
	exit chan struct{}
}

func startProgram(tb testing.TB, natsURL, args string, env ...string) *program {
	tb.Helper()
	p := &program{cmd: exec.Command(os.Args[0]), out: new(logBuffer), logs: new(logBuffer), exit: make(chan struct{})} //nolint:noctx // killed at the end of the test
	p.cmd.Env = append(append(os.Environ(), "INGEST_TEST_PROGRAM="+args, "NATS_URL="+natsURL), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.logs
	require.NoError(tb, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.exit)
	}()
	tb.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exit
		if tb.Failed() {
			tb.Log(p.logs.String())
		}
	})
	return p
}

// singleServer returns streams on a server with a port, and the URL of the server.
func singleServer(tb testing.TB) (*streams, string) {
	tb.Helper()
	single := newServer(tb, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: tb.TempDir()})
	s := connect(tb, "apivideo", single.ClientURL())
	s.replicas = 1
	require.NoError(tb, s.ensure(tb.Context()))
	return s, single.ClientURL()
}

func videoBody(id string, i int) string {
	return fmt.Sprintf(`{"type":"video.encoding.quality.completed","videoId":%q,"quality":"%dp"}`, id, i)
}

// An event ends the process. No other event in flight becomes a dead letter.
func TestProcess_eventThatExits(t *testing.T) {
	t.Parallel()
	s, url := singleServer(t)
	for i := range 16 {
		id := "slow"
		if i == 5 {
			id = "exit"
		}
		put(t, s, "webhook_1", videoBody(id, i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var out bytes.Buffer
	crashes := 0
	var supervisor sync.WaitGroup
	supervisor.Go(func() {
		for ctx.Err() == nil {
			p := startProgram(t, url, "work -replicas 1 -addr 127.0.0.1:0 -ack-wait 2s -backoff 100ms,100ms")
			select {
			case <-p.exit:
			case <-ctx.Done():
				_ = p.cmd.Process.Kill()
				<-p.exit
			}
			mu.Lock()
			out.WriteString(p.out.String())
			if p.cmd.ProcessState.ExitCode() == 3 {
				crashes++
			}
			mu.Unlock()
		}
	})
	eventuallyEmpty(t, s)
	cancel()
	supervisor.Wait()
	m := onlyDeadLetter(t, s)
	assert.Contains(t, string(m.Data), "exit")
	assert.Contains(t, m.Header.Get(headerDeadReason), "abandoned: ")
	handled := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		handled[line] = true
	}
	assert.Len(t, handled, 15)
	assert.LessOrEqual(t, crashes, 4, "one among others, and three alone")
	t.Logf("1 dead letter, %d handled, %d crashes", len(handled), crashes)
}

// After a pause of the process no event is lost on the way to it, or waits in a local
// queue longer than the ack wait.
func TestProcess_pause(t *testing.T) {
	t.Parallel()
	s, url := singleServer(t)
	p := startProgram(t, url, "work -replicas 1 -addr 127.0.0.1:0 -ack-wait 6s")
	require.Eventually(t, func() bool { return strings.Contains(p.logs.String(), "msg=working") }, 20*time.Second, 10*time.Millisecond)
	put(t, s, "webhook_1", videoBody("first", 0))
	eventuallyEmpty(t, s)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
	for i := range 24 {
		put(t, s, "webhook_1", videoBody("long", i))
	}
	wait(t.Context(), 1200*time.Millisecond) // the pulls are over
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
	eventuallyEmpty(t, s)
	consumer, err := s.js.Consumer(t.Context(), s.events(), consumerName)
	require.NoError(t, err)
	assert.Equal(t, uint64(25), consumer.CachedInfo().Delivered.Consumer, "no event was delivered twice")
	assert.Zero(t, streamState(t, s, s.dead()).Msgs)
}

// Endless functions are in the log and in the health check.
func TestProcess_hangs(t *testing.T) {
	t.Parallel()
	s, url := singleServer(t)
	p := startProgram(t, url, "work -replicas 1 -addr 127.0.0.1:0 -concurrency 2 -timeout 100ms -grace 100ms -backoff 1h")
	for i := range 2 {
		put(t, s, "webhook_1", videoBody("hang", i))
	}
	address := ""
	require.Eventually(t, func() bool {
		_, rest, _ := strings.Cut(p.logs.String(), "msg=health address=")
		address, _, _ = strings.Cut(rest, "\n")
		return address != "" && strings.Contains(p.logs.String(), "hanging=2")
	}, 20*time.Second, 10*time.Millisecond)
	assert.Equal(t, 503, get(t, address, "/healthz"))
	assert.Equal(t, 200, get(t, address, "/readyz"))
	put(t, s, "webhook_1", videoBody("goexit", 3))
	put(t, s, "webhook_1", videoBody("vi", 4))
	require.Eventually(t, func() bool { // the two run concurrently
		return strings.Contains(p.out.String(), "handled") && strings.Contains(p.logs.String(), "runtime.Goexit")
	}, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	<-p.exit
	assert.Equal(t, 1, p.cmd.ProcessState.ExitCode())
}

// A graceful stop succeeds although the collector of the telemetry is unreachable.
func TestProcess_unreachableTelemetry(t *testing.T) {
	t.Parallel()
	_, url := singleServer(t)
	p := startProgram(t, url, "work -replicas 1 -addr 127.0.0.1:0",
		"OTEL_METRICS_EXPORTER=otlp", "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	require.Eventually(t, func() bool { return strings.Contains(p.logs.String(), "msg=working") }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	<-p.exit
	assert.Equal(t, 0, p.cmd.ProcessState.ExitCode())
	assert.Contains(t, p.logs.String(), "msg=telemetry")
}
