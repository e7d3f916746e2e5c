package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

const desiredJSON = `{
  "owns": "https://hooks.example.com/shop/",
  "webhooks": [
    {"url": "https://hooks.example.com/shop/encoded", "events": ["video.encoding.quality.completed"]},
    {"url": "https://hooks.example.com/shop/live", "events": ["live-stream.broadcast.started", "live-stream.broadcast.ended"]},
    {"url": "https://hooks.example.com/shop/recorded", "events": ["video.source.recorded"]}
  ]
}`

// applyRequests is the number of requests of an apply: a list, two creations and two
// deletions.
const applyRequests = 5

// newAccount returns a server with a kept webhook, an outdated webhook, an unwanted
// webhook and a webhook of another owner.
func newAccount(t *testing.T, opts ...facadetest.Option) *facadetest.Server {
	t.Helper()
	server := facadetest.NewServer(opts...)
	t.Cleanup(server.Close)
	client := server.Client()
	for _, p := range []facade.CreateWebhookParams{
		{URL: "https://hooks.example.com/shop/encoded", Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted}},
		{URL: "https://hooks.example.com/shop/live", Events: []facade.EventType{facade.EventLiveStreamBroadcastStarted}},
		{URL: "https://hooks.example.com/shop/captions", Events: []facade.EventType{facade.EventVideoCaptionGenerated}},
		{URL: "https://hooks.example.com/shopping", Events: []facade.EventType{facade.EventVideoSourceRecorded}},
	} {
		_, err := client.CreateWebhook(t.Context(), p)
		require.NoError(t, err)
	}
	return server
}

// apply runs apply to its end.
func apply(t *testing.T, server *facadetest.Server, folder string) (code int, output string) {
	t.Helper()
	file := filepath.Join(folder, "webhooks.json")
	require.NoError(t, os.WriteFile(file, []byte(desiredJSON), 0o600))
	cmd := newCommand(t, server, "apply", "--yes", "-f", file, "--secrets-file", filepath.Join(folder, "secrets.json"))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// requireApplied checks the account, and that the file has exactly the secrets of
// the desired webhooks.
func requireApplied(t *testing.T, server *facadetest.Server, folder string) {
	t.Helper()
	want := map[string]string{}
	other := 0
	for _, wh := range server.Webhooks() {
		if wh.URL == "https://hooks.example.com/shopping" {
			other++
			continue
		}
		want[wh.ID] = wh.SignatureSecret.Reveal()
	}
	require.Len(t, want, 3)
	require.Equal(t, 1, other)
	require.Equal(t, want, readSecretsFile(t, folder))
}

// readSecretsFile returns the secrets in the file by webhook ID.
func readSecretsFile(t *testing.T, folder string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "secrets.json"))
	require.NoError(t, err)
	var content secretsFile
	require.NoError(t, json.Unmarshal(data, &content))
	secrets := map[string]string{}
	for _, e := range content.Webhooks {
		secrets[e.ID] = e.Secret
	}
	require.Len(t, secrets, len(content.Webhooks))
	return secrets
}

func TestApply_interruptedAtEveryRequest(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name string
		facadetest.Fault
	}{
		{"403", facadetest.Fault{Status: http.StatusForbidden}},
		{"403 after the change", facadetest.Fault{Status: http.StatusForbidden, Process: true}},
	} {
		for n := 1; n <= applyRequests; n++ {
			t.Run(fault.name+" for request "+strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				server, folder := newAccount(t), t.TempDir()
				f := fault.Fault
				f.Match = matchNth(n, nil)
				server.Inject(f)
				code, out := apply(t, server, folder)
				require.Equal(t, exitError, code, out)
				if n > 1 {
					require.Contains(t, out, "Remaining:\n")
				}
				require.NotContains(t, out, "sig_sec_")

				code, out = apply(t, server, folder)
				require.Equal(t, exitOK, code, out)
				requireApplied(t, server, folder)
			})
		}
	}
}

func TestApply_signalAtEveryRequest(t *testing.T) {
	t.Parallel()
	for n := 1; n <= applyRequests; n++ {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
			t.Run(signal.String()+" at request "+strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				server, folder := newAccount(t), t.TempDir()
				arrived := make(chan struct{})
				server.Inject(facadetest.Fault{Match: matchNth(n, func() { close(arrived) }), Process: true, Delay: processTimeout})
				file := filepath.Join(folder, "webhooks.json")
				require.NoError(t, os.WriteFile(file, []byte(desiredJSON), 0o600))
				p, err := startProcess(newCommand(t, server, "apply", "--yes", "-f", file, "--secrets-file", filepath.Join(folder, "secrets.json")))
				require.NoError(t, err)
				t.Cleanup(p.kill)
				select {
				case <-arrived:
				case <-p.ended:
				}
				require.NoError(t, p.cmd.Process.Signal(signal))
				if code := p.wait(); signal == syscall.SIGINT {
					require.Equal(t, exitSignal+int(signal), code, p.errOut)
					require.Contains(t, p.errOut.String(), "run the command again")
				}

				code, out := apply(t, server, folder)
				require.Equal(t, exitOK, code, out)
				requireApplied(t, server, folder)
			})
		}
	}
}

func TestApply_fullAccount(t *testing.T) {
	t.Parallel()
	server, folder := newAccount(t, facadetest.WithWebhookLimit(5)), t.TempDir()
	code, out := apply(t, server, folder)
	require.Equal(t, exitOK, code, out)
	assert.Contains(t, out, "The account was full: deleted 1 webhook before the first creation\n")
	requireApplied(t, server, folder)
}

// The service is known to omit secrets.
func TestApply_secretsOmitted(t *testing.T) {
	t.Parallel()
	server, folder := newAccount(t), t.TempDir()
	code, out := apply(t, server, folder)
	require.Equal(t, exitOK, code, out)
	want := readSecretsFile(t, folder)

	list := func() facadetest.Fault {
		return facadetest.Fault{Match: func(r *http.Request) bool { return r.URL.Path == "/webhooks" }, Body: listWithoutSecrets(t, server)}
	}
	server.Inject(list())
	code, out = apply(t, server, folder)
	require.Equal(t, exitOK, code, out)
	require.Equal(t, want, readSecretsFile(t, folder), "the file has the secrets already")

	require.NoError(t, os.Remove(filepath.Join(folder, "secrets.json")))
	server.Inject(list())
	code, out = apply(t, server, folder)
	require.Equal(t, exitOK, code, out)
	require.Equal(t, want, readSecretsFile(t, folder), "GetWebhook has the secrets")

	require.NoError(t, os.Remove(filepath.Join(folder, "secrets.json")))
	server.Inject(list(), facadetest.Fault{Match: matchNth(1, nil), Body: `{"webhookId":"webhook_1","url":"https://hooks.example.com/shop/encoded","events":[]}`})
	code, out = apply(t, server, folder)
	require.Equal(t, exitError, code, out)
	require.Contains(t, out, "the service omits the signature secret of webhook_")
	require.Len(t, readSecretsFile(t, folder), 2, "the other secrets are written")
}

// listWithoutSecrets returns a list of all webhooks.
func listWithoutSecrets(t *testing.T, server *facadetest.Server) string {
	t.Helper()
	var data []map[string]any
	for _, wh := range server.Webhooks() {
		data = append(data, map[string]any{"webhookId": wh.ID, "url": wh.URL, "events": wh.Events})
	}
	body, err := json.Marshal(map[string]any{"data": data, "pagination": map[string]any{
		"currentPage": 1, "currentPageItems": len(data), "pageSize": 100, "pagesTotal": 1, "itemsTotal": len(data), "links": []any{},
	}})
	require.NoError(t, err)
	return string(bytes.TrimSpace(body))
}

// The prefix of --owns ends at a boundary of the URL.
func TestOwnerOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		prefix, url string
		want        bool
	}{
		{"https://a.example", "https://a.example", true},
		{"https://a.example", "https://a.example/b", true},
		{"https://a.example", "https://a.example?b", true},
		{"https://a.example", "https://a.example.org/b", false},
		{"https://a.example", "https://a.example@b.example/", false},
		{"https://a.example", "https://a.example:8443/", false},
		{"https://a.example/shop", "https://a.example/shop", true},
		{"https://a.example/shop", "https://a.example/shop#b", true},
		{"https://a.example/shop", "https://a.example/shopping", false},
		{"https://a.example/shop/", "https://a.example/shop/b", true},
		{"https://a.example/shop/", "https://a.example/shop", false},
		{"https://a.example/shop/", "http://a.example/shop/b", false},
	} {
		t.Run(test.prefix+" "+test.url, func(t *testing.T) {
			t.Parallel()
			owns, err := ownerOf(test.prefix)
			require.NoError(t, err)
			assert.Equal(t, test.want, owns(&facade.Webhook{URL: test.url}))
		})
	}
}

// A listing that cannot be printed is not applied either.
func TestApply_outputLost(t *testing.T) {
	t.Parallel()
	server, folder := newAccount(t), t.TempDir()
	before := server.Webhooks()
	file := filepath.Join(folder, "webhooks.json")
	require.NoError(t, os.WriteFile(file, []byte(desiredJSON), 0o600))
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer func() { _ = full.Close() }()
	cmd := newCommand(t, server, "apply", "--yes", "-f", file)
	var errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = full, &errOut
	require.Error(t, cmd.Run())
	assert.Equal(t, exitError, cmd.ProcessState.ExitCode())
	assert.Contains(t, errOut.String(), "Error: the output cannot be written: ")
	assert.Equal(t, before, server.Webhooks())
}
