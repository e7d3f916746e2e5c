package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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

func TestRunRefuses(t *testing.T) {
	t.Setenv("NATS_URL", "")
	t.Setenv("APIVIDEO_API_KEY", "")
	for _, test := range []struct{ args, want string }{
		{"", "a command is missing"},
		{"receeve", `"receeve" is no command`},
		{"work 3", `"3" is no flag`},
		{"work -concurrency 0", "-concurrency"},
		{"work -max-deliver 1", "-max-deliver is 2 at least"},
		{"receive -max-age -1s", "-max-age"},
		{"work -backoff soon", "invalid duration"},
		{"work -backoff 1s,0s", "the pauses are positive"},
		{"setup -duplicates 1m", "-duplicates"},
		{"setup -name a.b", "-name"},
		{"receive -path apivideo", "-path"},
		{"setup", "NATS_URL is not set"},
		{"work", "NATS_URL is not set"},
		{"receive", "APIVIDEO_API_KEY is not set"},
		{"all", "APIVIDEO_API_KEY is not set"},
		{"demo -events 1", "-events"},
	} {
		require.ErrorContains(t, run(t.Context(), io.Discard, io.Discard, strings.Fields(test.args)), test.want, test.args)
	}
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	require.ErrorContains(t, run(t.Context(), io.Discard, io.Discard, []string{"setup"}), "NATS can't be reached")

	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, io.Discard, []string{"help"}))
	assert.Equal(t, usage, out.String())
	require.NoError(t, run(t.Context(), io.Discard, &out, []string{"all", "-h"}))
	assert.Contains(t, out.String(), "-max-deliver")
}

func TestRunSetup(t *testing.T) {
	single := newServer(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir()})
	t.Setenv("NATS_URL", single.ClientURL())

	require.ErrorContains(t, run(t.Context(), io.Discard, io.Discard, []string{"setup"}), "replicas > 1 not supported in non-clustered mode")
	require.NoError(t, run(t.Context(), io.Discard, io.Discard, []string{"setup", "-replicas", "1"}))
	require.ErrorIs(t, run(t.Context(), io.Discard, io.Discard, []string{"setup"}), errLoses)

	s := connect(t, "apivideo", single.ClientURL())
	stream, err := s.js.Stream(t.Context(), s.events())
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	config.MaxAge = time.Hour
	_, err = s.js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	for _, command := range []string{"setup", "work"} {
		require.ErrorIs(t, run(t.Context(), io.Discard, io.Discard, []string{command, "-replicas", "1"}), errLoses)
	}
}

func TestRunAll(t *testing.T) {
	t.Setenv("NATS_URL", "")
	t.Setenv("APIVIDEO_API_KEY", "a-key")
	api := apiOf(t, http.StatusOK)
	dir := filepath.Join(t.TempDir(), "data")
	for range 2 { // the second one finds what the first one has left
		ctx, stop := context.WithCancel(t.Context())
		var logs logBuffer
		var group sync.WaitGroup
		group.Go(func() {
			assert.NoError(t, run(ctx, io.Discard, &logs, []string{"all", "-addr", "127.0.0.1:0", "-dir", dir, "-drain", "0s"}, api))
		})
		assert.Eventually(t, func() bool {
			return strings.Contains(logs.String(), "msg=receiving") && strings.Contains(logs.String(), "msg=working")
		}, 20*time.Second, 10*time.Millisecond)
		stop()
		group.Wait()
		assert.Contains(t, logs.String(), "the receiver has stopped")
		assert.Contains(t, logs.String(), "the worker has stopped")
	}
	// If one of the two can't go on, the other one stops.
	taken := listen(t, "127.0.0.1:0")
	defer func() { _ = taken.Close() }()
	err := run(t.Context(), io.Discard, io.Discard, []string{"all", "-addr", taken.Addr().String(), "-dir", dir}, api)
	assert.ErrorContains(t, err, "address already in use")
}

// apiOf returns the option for an api.video that has no webhooks, or refuses.
func apiOf(tb testing.TB, status int) facade.Option {
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

func TestRunEndsIfTheKeyIsRefused(t *testing.T) {
	t.Setenv("NATS_URL", "")
	t.Setenv("APIVIDEO_API_KEY", "of-nobody")
	for status, want := range map[int]error{http.StatusUnauthorized: facade.ErrUnauthorized, http.StatusForbidden: facade.ErrForbidden} {
		err := run(t.Context(), io.Discard, io.Discard, []string{"all", "-addr", "127.0.0.1:0", "-dir", t.TempDir()}, apiOf(t, status))
		require.ErrorIs(t, err, want)
		require.ErrorContains(t, err, "can't be listed with this APIVIDEO_API_KEY")
		assert.NotContains(t, err.Error(), "of-nobody")
	}
}

// Two servers in one directory would lose what was acknowledged.
func TestRunEndsIfAnotherOneStoresInTheDirectory(t *testing.T) {
	t.Setenv("NATS_URL", "")
	t.Setenv("APIVIDEO_API_KEY", "a-key")
	dir := t.TempDir()
	first := newEmbedded(t, dir)
	s := connect(t, "apivideo", "", nats.InProcessServer(first))
	require.NoError(t, s.ensure(t.Context()))
	put(t, s, "webhook_1", body)
	err := run(t.Context(), io.Discard, io.Discard, []string{"all", "-addr", "127.0.0.1:0", "-dir", dir}, apiOf(t, http.StatusOK))
	require.ErrorContains(t, err, "directory "+dir+": another process stores in it")
	put(t, s, "webhook_1", string(loadBody(0)))
	first.stop()
	s = connect(t, "apivideo", "", nats.InProcessServer(newEmbedded(t, dir)))
	assert.Equal(t, uint64(2), stateOf(t, s, s.events()).Msgs)
}

func TestRunEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	a := &app{logger: testLogger(), dir: t.TempDir(), name: "apivideo", duplicates: minDuplicates, maxBytes: -1}
	err := a.connected(t.Context(), func(ctx context.Context) error {
		a.streams.js.Conn().Close()
		<-ctx.Done()
		return nil
	})
	assert.ErrorIs(t, err, errClosed)
}

// What refuses the credentials may be a server that hasn't got the new ones yet.
func TestConnectionOutlivesRefusedCredentials(t *testing.T) {
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
	for range 3 { // by default the second one is the last
		select {
		case <-refusals:
		case <-time.After(20 * time.Second):
			require.FailNow(t, "it has given up", s.js.Conn().Status())
		}
	}
	require.NoError(t, single.ReloadOptions(with("right")))
	assert.Eventually(t, s.js.Conn().IsConnected, 20*time.Second, 20*time.Millisecond)
}

func TestDemo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, io.Discard, []string{"demo", "-events", "60"}))
	for _, line := range []string{
		"60 of 60 sent",
		"authentic                            60 times 202",
		"repeated                              6 times 202",
		"forged                                2 times 401",
		"stored                               60",
		"handled                              59",
		"handled more than once                0",
		"1: failed: nobody knows this video, after 3 deliveries",
	} {
		assert.Contains(t, out.String(), line)
	}
}

// logBuffer can be written and read at once.
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
