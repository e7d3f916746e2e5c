package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

func TestApp_invalidArguments(t *testing.T) {
	t.Setenv("NATS_URL", "")
	t.Setenv("APIVIDEO_API_KEY", "")
	for _, test := range []struct{ args, want string }{
		{"", "usage: ingest setup|"},
		{"receeve", "usage: ingest setup|"},
		{"work 3", "arguments after the flags"},
		{"work -concurrency 0", "-concurrency"},
		{"work -timeout 0s", "-timeout has to be positive"},
		{"work -timeout -1s", "-timeout has to be positive"},
		{"work -grace -1s", "-grace"},
		{"work -ack-wait 10ms", "-ack-wait"},
		{"work -backoff soon", "not a positive duration"},
		{"work -backoff 1s,0s", "not a positive duration"},
		{"receive -max-age -1s", "-max-age"},
		{"receive -max-age 61s", "at most half of -duplicates"},
		{"receive -drain -1s", "-drain"},
		{"receive -path=", "-path"},
		{"receive -path apivideo", "-path"},
		{"receive -path //x", "-path"},
		{"receive -path /a/../b", "-path"},
		{"receive -path /a//", "-path"},
		{"receive -path /{a}", "-path"},
		{"receive -path //", "-path"},
		{"receive -path /apivideo?x=1", "-path"},
		{"receive -path /a#b", "-path"},
		{"receive -path /a%20b", "-path"},
		{"setup -max-bytes 0", "-max-bytes"},
		{"setup -max-bytes -7", "-max-bytes"},
		{"setup -max-bytes 1000", "-max-bytes"},
		{"work -backoff 800h,1s", "the sum is more than 720h0m0s"},
		{"work -backoff 400h,400h", "the sum is more than 720h0m0s"},
		{"setup -connect-timeout -1s", "-connect-timeout"},
		{"setup -duplicates 1m", "-duplicates"},
		{"setup -replicas 0", "-replicas"},
		{"setup -replicas -1", "-replicas"},
		{"setup -name a.b", "-name"},
		{"setup", "NATS_URL is not set"},
		{"work", "NATS_URL is not set"},
		{"all -addr 127.0.0.1:0 -dir " + t.TempDir(), "APIVIDEO_API_KEY"},
	} {
		require.ErrorContains(t, newApp(io.Discard, io.Discard).run(t.Context(), strings.Fields(test.args)), test.want, test.args)
	}
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	require.ErrorContains(t, newApp(io.Discard, io.Discard).run(t.Context(), []string{"setup", "-connect-timeout", "100ms"}), "NATS is not reachable")

	var out bytes.Buffer
	require.ErrorIs(t, newApp(io.Discard, &out).run(t.Context(), []string{"all", "-h"}), flag.ErrHelp)
	assert.Contains(t, out.String(), "-backoff")
}

func TestApp_flags(t *testing.T) {
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	for command, want := range map[string]string{"receive": ":8080", "all": ":8080", "work": ":8081"} {
		a := newApp(io.Discard, io.Discard)
		require.NoError(t, a.parse(command, nil))
		assert.Equal(t, want, a.addr, "a receiver and a worker on one machine")
	}
	for _, path := range []string{"/", "/a", "/a/", "/a/b-c_d~1.x"} {
		a := newApp(io.Discard, io.Discard)
		require.NoError(t, a.parse("receive", []string{"-path", path}))
		assert.Equal(t, path, a.receiver.path)
	}
}

func TestApp_setup(t *testing.T) {
	single := newServer(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir()})
	t.Setenv("NATS_URL", single.ClientURL())

	require.ErrorContains(t, newApp(io.Discard, io.Discard).run(t.Context(), []string{"setup"}), "replicas > 1 not supported in non-clustered mode")
	require.NoError(t, newApp(io.Discard, io.Discard).run(t.Context(), []string{"setup", "-replicas", "1"}))
	require.ErrorIs(t, newApp(io.Discard, io.Discard).run(t.Context(), []string{"setup"}), errLoses)

	var out bytes.Buffer
	require.NoError(t, newApp(&out, io.Discard).run(t.Context(), []string{"requeue", "-replicas", "1"}))
	assert.Equal(t, "0 dead letters moved\n", out.String())

	s := connect(t, "apivideo", single.ClientURL())
	for _, subject := range []string{"a", "b"} {
		_, err := s.js.Publish(t.Context(), "apivideo-dead."+subject, nil)
		require.NoError(t, err)
	}
	out.Reset()
	require.NoError(t, newApp(&out, io.Discard).run(t.Context(), []string{"requeue", "-replicas", "1", "-type", "b"}))
	assert.Equal(t, "1 dead letters moved\n", out.String())
	assert.Equal(t, "apivideo-dead.a", onlyDeadLetter(t, s).Subject)

	stream, err := s.js.Stream(t.Context(), s.events())
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	config.MaxAge = time.Hour
	_, err = s.js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	for _, command := range []string{"setup", "work"} {
		require.ErrorIs(t, newApp(io.Discard, io.Discard).run(t.Context(), []string{command, "-replicas", "1"}), errLoses)
	}
}

func TestApp_all(t *testing.T) {
	t.Setenv("NATS_CREDS", filepath.Join(t.TempDir(), "ignored-without-NATS_URL"))
	t.Setenv("NATS_URL", "")
	t.Setenv("APIVIDEO_API_KEY", "a-key")
	api := fakeAPI(t, http.StatusOK)
	dir := filepath.Join(t.TempDir(), "data")
	for range 2 { // the second process finds the streams of the first
		ctx, stop := context.WithCancel(t.Context())
		var logs logBuffer
		var group sync.WaitGroup
		group.Go(func() {
			assert.NoError(t, newApp(io.Discard, &logs, api).run(ctx, []string{"all", "-addr", "127.0.0.1:0", "-dir", dir, "-drain", "0s"}))
		})
		assert.Eventually(t, func() bool {
			return strings.Contains(logs.String(), "msg=receiving") && strings.Contains(logs.String(), "msg=working")
		}, 20*time.Second, 10*time.Millisecond)
		stop()
		group.Wait()
		assert.Contains(t, logs.String(), "the receiver stopped")
		assert.Contains(t, logs.String(), "the worker stopped")
	}
	// If one part fails, the other part stops.
	taken := listen(t, "127.0.0.1:0")
	defer func() { _ = taken.Close() }()
	err := newApp(io.Discard, io.Discard, api).run(t.Context(), []string{"all", "-addr", taken.Addr().String(), "-dir", dir})
	assert.ErrorContains(t, err, "address already in use")
}

// fakeAPI returns the option for an API without webhooks, or with an error.
func fakeAPI(tb testing.TB, status int) facade.Option {
	tb.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if status == http.StatusOK {
			_, _ = io.WriteString(w, `{"data":[],"pagination":{"currentPage":1,"pageSize":100,"pagesTotal":1,"itemsTotal":0,"currentPageItems":0,"links":[]}}`)
		}
	}))
	tb.Cleanup(api.Close)
	return facade.WithBaseURL(api.URL)
}

func TestApp_invalidKey(t *testing.T) {
	t.Setenv("NATS_URL", "")
	t.Setenv("APIVIDEO_API_KEY", "invalid-key")
	for status, want := range map[int]error{http.StatusUnauthorized: facade.ErrUnauthorized, http.StatusForbidden: facade.ErrForbidden} {
		err := newApp(io.Discard, io.Discard, fakeAPI(t, status)).run(t.Context(), []string{"all", "-addr", "127.0.0.1:0", "-dir", t.TempDir()})
		require.ErrorIs(t, err, want)
		require.ErrorContains(t, err, "APIVIDEO_API_KEY is invalid")
		assert.NotContains(t, err.Error(), "invalid-key")
	}
}

// Two servers in one directory lose acknowledged events.
func TestApp_directoryInUse(t *testing.T) {
	t.Setenv("NATS_URL", "")
	t.Setenv("APIVIDEO_API_KEY", "a-key")
	dir := t.TempDir()
	first := newEmbedded(t, dir)
	s := connect(t, "apivideo", "", nats.InProcessServer(first))
	require.NoError(t, s.ensure(t.Context()))
	put(t, s, "webhook_1", body)
	err := newApp(io.Discard, io.Discard, fakeAPI(t, http.StatusOK)).run(t.Context(), []string{"all", "-addr", "127.0.0.1:0", "-dir", dir})
	require.ErrorContains(t, err, "directory "+dir+": another process uses it")
	put(t, s, "webhook_1", string(loadBody(0)))
	first.stop()
	s = connect(t, "apivideo", "", nats.InProcessServer(newEmbedded(t, dir)))
	assert.Equal(t, uint64(2), streamState(t, s, s.events()).Msgs)
}

func TestApp_closedConnection(t *testing.T) {
	t.Parallel()
	a := newApp(io.Discard, io.Discard)
	require.NoError(t, a.parse("demo", []string{"-dir", t.TempDir()}))
	a.natsURL = ""
	err := a.runParts(t.Context(), func(ctx context.Context) error {
		a.js.Conn().Close()
		<-ctx.Done()
		return nil
	})
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
}

// Refused credentials may be valid soon.
func TestApp_refusedCredentials(t *testing.T) {
	t.Parallel()
	opts := func(password string) *server.Options {
		return &server.Options{
			ServerName: "single", Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, NoSigs: true, NoLog: true,
			Username: "ingest", Password: password,
		}
	}
	first := opts("right")
	first.StoreDir = t.TempDir()
	single := newServer(t, first)
	with := func(password string) *server.Options {
		o := opts(password)
		o.StoreDir, o.Port = first.StoreDir, single.Addr().(*net.TCPAddr).Port
		return o
	}
	refusals := make(chan struct{}, 100)
	s := connect(t, "apivideo", single.ClientURL(), nats.UserInfo("ingest", "right"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrAuthorization) {
				refusals <- struct{}{}
			}
		}))
	require.NoError(t, single.ReloadOptions(with("wrong")))
	for range 3 { // the default is to give up after two
		select {
		case <-refusals:
		case <-time.After(20 * time.Second):
			require.FailNow(t, "the connection gave up", s.js.Conn().Status())
		}
	}
	require.NoError(t, single.ReloadOptions(with("right")))
	assert.Eventually(t, s.js.Conn().IsConnected, 20*time.Second, 20*time.Millisecond)
}

func TestDemo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, newApp(&out, io.Discard).run(t.Context(), []string{"demo"}))
	assert.Equal(t, "accepted 200 with duplicates\nhandled 99\ndead letters 1\n", out.String())
}

// The program waits for a late server.
func TestApp_lateServer(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 1)[0]
	p := startProgram(t, "nats://127.0.0.1:"+strconv.Itoa(port), "setup -replicas 1")
	require.Eventually(t, func() bool { return strings.Contains(p.logs.String(), "NATS is not reachable yet") }, 20*time.Second, 10*time.Millisecond)
	newServer(t, &server.Options{Host: "127.0.0.1", Port: port, StoreDir: t.TempDir()})
	<-p.exit
	assert.Equal(t, 0, p.cmd.ProcessState.ExitCode())
}

// logBuffer is safe for concurrent use.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
