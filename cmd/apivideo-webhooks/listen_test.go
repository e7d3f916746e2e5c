package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// tunnel is a reverse proxy from a public URL to a target that is known later.
type tunnel struct {
	*httptest.Server
	mu     sync.Mutex
	target *url.URL
}

func newTunnel(t *testing.T) *tunnel {
	t.Helper()
	tun := new(tunnel)
	proxy := &httputil.ReverseProxy{
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Rewrite: func(p *httputil.ProxyRequest) {
			tun.mu.Lock()
			defer tun.mu.Unlock()
			p.SetURL(tun.target)
			p.SetXForwarded()
		},
	}
	tun.Server = httptest.NewServer(proxy)
	t.Cleanup(tun.Close)
	return tun
}

func (tun *tunnel) setTarget(t *testing.T, raw string) {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	tun.mu.Lock()
	defer tun.mu.Unlock()
	tun.target = u
}

// startListen starts listen behind a tunnel and returns after its webhook exists.
func startListen(t *testing.T, server *facadetest.Server, config, publicURL, forwardTo string, args ...string) *process {
	t.Helper()
	cmd := newCommand(t, server, append([]string{"listen", "--port", "0", "--url", publicURL, "--forward-to", forwardTo}, args...)...)
	cmd.Env = append(cmd.Env, "XDG_CONFIG_HOME="+config)
	p, err := startProcess(cmd)
	require.NoError(t, err)
	t.Cleanup(p.kill)
	return p
}

// The fake delivers through a tunnel to listen, and listen to a receiver that
// responds, fails, hangs and truncates.
func TestListen_twoHops(t *testing.T) {
	t.Parallel()
	const hang, truncate = 1, 2
	var mu sync.Mutex
	var bodies []string
	statuses := []int{http.StatusAccepted, http.StatusInternalServerError, http.StatusServiceUnavailable, hang, http.StatusOK, truncate, http.StatusNoContent}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.NotEmpty(t, r.Header.Get("X-Forwarded-For"), "the header of the tunnel")
		mu.Lock()
		status := statuses[len(bodies)]
		bodies = append(bodies, string(body))
		mu.Unlock()
		switch status {
		case hang:
			<-r.Context().Done()
		case truncate:
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(receiver.Close)
	server := facadetest.NewServer(facadetest.WithDeliveryRetries(3, 0))
	t.Cleanup(server.Close)
	public := newTunnel(t)
	p := startListen(t, server, t.TempDir(), public.URL+"/hook", receiver.URL, "--forward-timeout", "2s", "-o", "json")
	local, err := p.url()
	require.NoError(t, err)
	public.setTarget(t, local)

	attempts := func(body string) (statuses []string, ok bool) {
		deliveries := server.Deliver(t.Context(), []byte(body))
		require.Len(t, deliveries, 1)
		for _, a := range deliveries[0].Attempts {
			statuses = append(statuses, strconv.Itoa(a.Status))
		}
		return statuses, deliveries[0].OK()
	}
	const body = `{"type":"video.source.recorded", "videoId":"vi%d"}`
	got, ok := attempts(fmt.Sprintf(body, 1))
	assert.Equal(t, []string{"202"}, got)
	assert.True(t, ok)
	got, ok = attempts(fmt.Sprintf(body, 2))
	assert.Equal(t, []string{"500", "503", "504", "200"}, got)
	assert.True(t, ok)
	_, ok = attempts(fmt.Sprintf(body, 3))
	assert.True(t, ok)
	receiver.Close()
	got, ok = attempts(fmt.Sprintf(body, 4))
	assert.Equal(t, []string{"502", "502", "502", "502"}, got)
	assert.False(t, ok)

	p.waitFor(t, `(?s)(502.*){4}`)
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, exitOK, p.wait(), p.errOut)
	assert.Empty(t, server.Webhooks())
	assert.NotContains(t, p.out.String()+p.errOut.String(), "sig_sec_")
	for i, n := range []int{1, 2, 2, 2, 2, 3, 3} {
		assert.Equal(t, fmt.Sprintf(body, n), bodies[i], "byte for byte")
	}
	first, lines, _ := strings.Cut(p.out.String(), "\n")
	assert.JSONEq(t, `{"url":"`+local+`"}`, first)
	for line := range strings.Lines(lines) {
		var f forwardedJSON
		require.NoError(t, json.Unmarshal([]byte(line), &f))
		assert.True(t, f.Verified)
	}
}

// After kill -9 the next run on the same machine removes the webhook, and nothing
// else.
func TestListen_killed(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	other, err := server.Client().CreateWebhook(t.Context(), facade.CreateWebhookParams{
		URL:    "https://tunnel.example.com/hook?" + marker + "=AAAAAAAAAAAAAAAAAAAAAAAAAA",
		Events: []facade.EventType{facade.EventVideoSourceRecorded},
	})
	require.NoError(t, err)
	for _, id := range []string{"", "..", "../../x", "a/b"} { // hostile markers
		_, err := server.Client().CreateWebhook(t.Context(), facade.CreateWebhookParams{
			URL:    "https://tunnel.example.com/?" + url.Values{marker: {id}}.Encode(),
			Events: []facade.EventType{facade.EventVideoSourceRecorded},
		})
		require.NoError(t, err)
	}
	foreign := len(server.Webhooks())
	here, there := t.TempDir(), t.TempDir()
	start := func(config string) *process {
		// An empty marker does not hide the marker of the run.
		p := startListen(t, server, config, "https://tunnel.example.com/hook?"+marker+"=", "http://127.0.0.1:1/")
		_, err := p.url()
		require.NoError(t, err)
		return p
	}

	killed, running := start(here), start(here)
	require.NoError(t, killed.cmd.Process.Signal(syscall.SIGKILL))
	assert.Equal(t, -1, killed.wait())
	require.Len(t, server.Webhooks(), foreign+2)

	elsewhere := start(there) // another machine
	require.Len(t, server.Webhooks(), foreign+3)
	require.NotContains(t, elsewhere.errOut.String(), "Removed")

	next := start(here)
	require.Len(t, server.Webhooks(), foreign+3)
	require.Equal(t, 1, strings.Count(next.errOut.String(), "Removed "))

	for _, p := range []*process{running, elsewhere, next} {
		require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
		require.Equal(t, exitOK, p.wait(), p.errOut)
	}
	require.Len(t, server.Webhooks(), foreign)
	assert.Equal(t, other.ID, server.Webhooks()[0].ID)
	files, err := os.ReadDir(filepath.Join(here, "apivideo-webhooks", "listen"))
	require.NoError(t, err)
	assert.Empty(t, files)
}

// The files of runs whose webhooks do not exist are removed after an hour, except those
// of running processes and of other accounts.
func TestListen_staleRunFiles(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	config := t.TempDir()
	folder := filepath.Join(config, "apivideo-webhooks", "listen")
	files := func() (names []string) {
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	start := func() *process {
		p := startListen(t, server, config, "https://tunnel.example.com/hook", "http://127.0.0.1:1/")
		_, err := p.url()
		require.NoError(t, err)
		return p
	}
	age := func(d time.Duration) {
		old := time.Now().Add(-d)
		for _, name := range files() {
			require.NoError(t, os.Chtimes(filepath.Join(folder, name), old, old))
		}
	}

	killed := start()
	leftovers := files()
	killed.kill()
	require.NoError(t, server.Client().DeleteWebhook(t.Context(), server.Webhooks()[0].ID)) // by hand
	require.NoError(t, os.WriteFile(filepath.Join(folder, "A"), []byte("another account"), 0o600))
	running := start()
	require.Len(t, files(), 3, "the file of the crash is young")
	require.Subset(t, files(), leftovers)

	name := filepath.Join(folder, leftovers[0])
	account, err := os.ReadFile(name)
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(server.URL + " " + server.APIKey))
	require.Equal(t, hex.EncodeToString(sum[:]), string(account))
	for path, want := range map[string]os.FileMode{name: 0o600, folder: 0o700} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm())
	}
	age(59 * time.Minute)
	require.NoError(t, removeStale(folder, string(account), nil))
	require.Subset(t, files(), leftovers, "less than an hour")
	age(time.Hour)
	require.NoError(t, removeStale(folder, string(account), map[string]bool{leftovers[0]: true}))
	require.Subset(t, files(), leftovers, "the webhook exists")
	next := start()
	require.Len(t, files(), 3)
	assert.NotSubset(t, files(), leftovers)
	for _, p := range []*process{running, next} {
		require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
		require.Equal(t, exitOK, p.wait(), p.errOut)
	}
	assert.Equal(t, []string{"A"}, files())
}

// A creation without a response may have created the webhook.
func TestListen_ambiguousCreation(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	post := func(r *http.Request) bool { return r.Method == http.MethodPost }
	arrived := make(chan struct{})
	server.Inject(facadetest.Fault{
		Match: func(r *http.Request) bool {
			if post(r) {
				close(arrived)
			}
			return post(r)
		},
		Process: true, Delay: processTimeout,
	})
	p := startListen(t, server, t.TempDir(), "https://tunnel.example.com/hook", "http://127.0.0.1:1/")
	select {
	case <-arrived:
	case <-p.ended:
	}
	require.Eventually(t, func() bool { return len(server.Webhooks()) == 1 }, processTimeout, time.Millisecond)
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, exitSignal+int(syscall.SIGINT), p.wait(), p.errOut)
	assert.Contains(t, p.errOut.String(), "Deleted ")
	assert.Empty(t, server.Webhooks())
}

// Without a response and a list the next run removes the webhook.
func TestListen_ambiguousCreationWithoutList(t *testing.T) {
	t.Parallel()
	for _, created := range []bool{true, false} {
		t.Run(strconv.FormatBool(created), func(t *testing.T) {
			t.Parallel()
			server := facadetest.NewServer()
			t.Cleanup(server.Close)
			var posted atomic.Bool
			server.Inject(
				facadetest.Fault{
					Match:   func(r *http.Request) bool { return r.Method == http.MethodPost && !posted.Swap(true) },
					Process: created, Status: http.StatusInternalServerError,
				},
				facadetest.Fault{Match: func(*http.Request) bool { return posted.Load() && created }, Status: http.StatusForbidden, Times: 2},
			)
			config := t.TempDir()
			p := startListen(t, server, config, "https://tunnel.example.com/hook", "http://127.0.0.1:1/")
			require.Equal(t, exitError, p.wait())
			require.Equal(t, created, strings.Contains(p.errOut.String(), "; the temporary webhook may exist, and the next listen deletes it: "), p.errOut)

			next := startListen(t, server, config, "https://tunnel.example.com/hook", "http://127.0.0.1:1/")
			_, err := next.url()
			require.NoError(t, err)
			require.Equal(t, created, strings.Contains(next.errOut.String(), "Removed "), next.errOut)
			require.Len(t, server.Webhooks(), 1)
		})
	}
}

// The second signal ends listen although the deletion hangs.
func TestListen_secondSignal(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	p := startListen(t, server, t.TempDir(), "https://tunnel.example.com/hook", "http://127.0.0.1:1/")
	_, err := p.url()
	require.NoError(t, err)
	arrived := make(chan struct{})
	server.Inject(facadetest.Fault{Match: matchNth(1, func() { close(arrived) }), Status: http.StatusOK, Delay: processTimeout})
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	select {
	case <-arrived:
	case <-p.ended:
	}
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, -1, p.wait(), p.errOut)
}

// A recording that cannot be written is a 503, so that the service retries.
func TestListen_recordingFails(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer(facadetest.WithDeliveryRetries(0, 0))
	t.Cleanup(server.Close)
	public := newTunnel(t)
	p := startListen(t, server, t.TempDir(), public.URL, "http://127.0.0.1:1/", "--record", "/dev/full")
	local, err := p.url()
	require.NoError(t, err)
	public.setTarget(t, local)
	deliveries := server.Deliver(t.Context(), []byte(`{"type":"video.source.recorded"}`))
	require.Len(t, deliveries, 1)
	require.Len(t, deliveries[0].Attempts, 1)
	assert.Equal(t, http.StatusServiceUnavailable, deliveries[0].Attempts[0].Status)
	p.waitFor(t, "503 .* the recording failed: .*no space left")
}

// listen needs its port before it creates a webhook.
func TestListen_portInUse(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	cmd := newCommand(t, server, "listen", "--port", port, "--url", "https://tunnel.example.com", "--forward-to", "http://127.0.0.1:1/")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "address already in use; choose another --port")
	assert.Empty(t, server.Requests())
}

func TestRecord_bytes(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{}", "\xff\x00", "\u2028<é>\r\n"} {
		name := filepath.Join(t.TempDir(), "events.jsonl")
		rec, err := openRecorder(name)
		require.NoError(t, err)
		r := record{ID: "id", Header: http.Header{}}
		r.setBody([]byte(body))
		require.NoError(t, rec.add(r))
		require.NoError(t, rec.close())
		records, err := new(app).readRecords(t.Context(), name)
		require.NoError(t, err)
		require.Len(t, records, 1)
		assert.Equal(t, body, string(records[0].bytes()))
	}
}

// A device keeps its mode, also for root.
func TestOpenRecorder_device(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, exec.CommandContext(t.Context(), "mkfifo", "-m", "640", name).Run())
	rec, err := openRecorder(name)
	require.NoError(t, err)
	require.NoError(t, rec.add(record{}))
	require.NoError(t, rec.close())
	info, err := os.Stat(name)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
}
