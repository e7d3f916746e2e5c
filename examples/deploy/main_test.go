package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// The file beside the program, as make demo-deploy has it.
const demo = "webhooks.json"

func TestRunInMemory(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		args  []string
		code  int
		parts []string
	}{
		{"a dry run has something pending", []string{demo}, exitPending, []string{"Nothing is changed without -apply"}},
		{"applied", []string{"-apply", demo}, exitDone, []string{"Created 2, deleted 2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out, errOut strings.Builder
			assert.Equal(t, test.code, run(t.Context(), test.args, "", &out, &errOut))
			for _, part := range append(test.parts,
				"using a server in memory",
				"+ https://hooks.example.com/shop/live [live-stream.broadcast.started live-stream.broadcast.ended]\n",
				"+ https://hooks.example.com/shop/recorded [video.source.recorded]\n",
				"- https://hooks.example.com/shop/live [live-stream.broadcast.started] (webhook_",
				"- https://hooks.example.com/shop/captions [video.caption.generated] (webhook_",
				"= https://hooks.example.com/shop/encoded [video.encoding.quality.completed] (webhook_",
				"2 to create, 2 to delete, 1 to keep\n",
			) {
				assert.Contains(t, out.String(), part)
			}
			assert.NotContains(t, out.String(), "/blog", "that is somebody else's")
			assert.NotContains(t, out.String(), "sig_sec_")
			assert.Empty(t, errOut.String())
		})
	}
}

// Where requests go is what -production decides, and nothing else.
func TestRunChoosesTheAccount(t *testing.T) {
	t.Parallel()
	const sandbox, production = "https://sandbox.api.video", "https://ws.api.video"
	for _, test := range []struct {
		args       []string
		url, named string
	}{
		{[]string{demo}, sandbox, "Using the sandbox\n"},
		{[]string{"-apply", demo}, sandbox, "Using the sandbox\n"},
		{[]string{"-production=false", demo}, sandbox, "Using the sandbox\n"},
		{[]string{"-production", demo}, production, "Using production\n"},
		{[]string{"-apply", "-production", demo}, production, "Using production\n"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			server := facadetest.NewServer()
			t.Cleanup(server.Close)
			urls, next := make(map[string]bool), newTransport(t)
			transport := facade.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				urls[r.URL.Scheme+"://"+r.URL.Host] = true
				r = r.Clone(r.Context())
				r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(server.URL, "http://")
				return next.RoundTrip(r)
			})})
			var out, errOut strings.Builder
			code := run(t.Context(), test.args, server.APIKey, &out, &errOut, transport)
			assert.Equal(t, slices.Contains(test.args, "-apply"), code == exitDone)
			assert.Equal(t, map[string]bool{test.url: true}, urls)
			assert.True(t, strings.HasPrefix(out.String(), test.named), "before anything else: %s", &out)
			assert.Empty(t, errOut.String())
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newTransport returns a transport of the test's own, since each httptest.Server
// that closes takes the idle connections of http.DefaultTransport along.
func newTransport(t *testing.T) http.RoundTripper {
	t.Helper()
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestRunRefusesArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, key string
		args      []string
		code      int
		want      string
	}{
		{"no file", "", nil, exitError, "usage: deploy"},
		{"two files", "", []string{demo, demo}, exitError, "usage: deploy"},
		{"an unknown flag", "", []string{"-aply", demo}, exitError, "-aply"},
		{"a call for help is no error", "", []string{"-h"}, exitDone, "usage: deploy"},
		{"secrets that a dry run hasn't got", "", []string{"-secrets", "secrets", demo}, exitError, "-secrets needs -apply"},
		{"production without a key", "", []string{"-production", demo}, exitError, "APIVIDEO_API_KEY"},
		{"a key that can't be right", "a key with spaces", []string{demo}, exitError, "API key"},
		{"the same for production", "a key with spaces", []string{"-production", demo}, exitError, "API key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out, errOut strings.Builder
			assert.Equal(t, test.code, run(t.Context(), test.args, test.key, &out, &errOut))
			assert.Contains(t, errOut.String(), test.want)
		})
	}
}

func TestFilesThatAreWrong(t *testing.T) {
	t.Parallel()
	const events = `"events": ["video.source.recorded"]`
	for _, test := range []struct {
		name, content, want string
	}{
		{"empty", ``, "the file is empty"},
		{"blank", " \n", "the file is empty"},
		{"not JSON", "{\n\"webhooks\": [\n}", ":3: invalid character '}'"},
		{"cut", `{"webhooks": [`, "unexpected EOF"},
		{"a string in place of a list", "{\n\"webhooks\": \"\"}", ":2: json: cannot unmarshal string"},
		{"a list in place of the object", `[]`, ":1: json: cannot unmarshal array"},
		{"a typing error", `{"webhooks": [{"url": "https://hooks.example.com/", "event": []}]}`, `unknown field "event"`},
		{"a typing error on top", `{"own": "https://hooks.example.com/", "webhooks": []}`, `unknown field "own"`},
		{"no webhooks, which might be a mistake", `{"owns": "https://hooks.example.com/"}`, `there is no "webhooks"`},
		{"null, which might be a mistake", `null`, `there is no "webhooks"`},
		{"two objects", `{"webhooks": []} {}`, "after the end"},
		{"what can't be a url", `{"webhooks": [{"url": "https://hooks.example.com/", ` + events + `}, {"url": "hooks.example.com", ` + events + `}]}`, "desired webhook 2 of 2: the URL"},
		{"no events", `{"webhooks": [{"url": "https://hooks.example.com/"}]}`, "desired webhook 1 of 1: no events are given"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "wrong.json")
			require.NoError(t, os.WriteFile(file, []byte(test.content), 0o600))
			var out, errOut strings.Builder
			assert.Equal(t, exitError, run(t.Context(), []string{"-apply", file}, "", &out, &errOut))
			assert.Contains(t, errOut.String(), file, "it says which file")
			assert.Contains(t, errOut.String(), test.want, "and what is wrong")
			assert.NotContains(t, out.String(), "Created")
		})
	}
	t.Run("not there", func(t *testing.T) {
		t.Parallel()
		var errOut strings.Builder
		assert.Equal(t, exitError, run(t.Context(), []string{"missing.json"}, "", new(strings.Builder), &errOut))
		assert.Contains(t, errOut.String(), "missing.json")
	})
}

// newServer returns a server with the webhooks of the demo, and what is desired.
func newServer(t *testing.T, opts ...facadetest.Option) (*facadetest.Server, desired) {
	t.Helper()
	server := facadetest.NewServer(opts...)
	t.Cleanup(server.Close)
	require.NoError(t, fill(t.Context(), server.Client()))
	want, err := read(demo)
	require.NoError(t, err)
	return server, want
}

func TestDeployTwiceHasNothingLeftToDo(t *testing.T) {
	t.Parallel()
	server, want := newServer(t)
	for _, s := range []settings{{apply: true}, {apply: true}, {}} {
		var out strings.Builder
		code, err := deploy(t.Context(), server.Client(), want, s, &out)
		require.NoError(t, err)
		assert.Equal(t, exitDone, code)
		if !s.apply {
			assert.Contains(t, out.String(), "0 to create, 0 to delete, 3 to keep")
		}
	}
	assert.Len(t, server.Webhooks(), 4, "the three, and somebody else's")
}

// What others have is left alone unless the file claims it.
func TestDeployWithoutOwns(t *testing.T) {
	t.Parallel()
	server, want := newServer(t)
	want.Owns = ""
	_, err := deploy(t.Context(), server.Client(), want, settings{apply: true}, new(strings.Builder))
	require.NoError(t, err)
	assert.Len(t, server.Webhooks(), 5)
}

func TestDeployThatFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		method string
		passed int // requests of that method before
		parts  []string
	}{
		{"while listing", http.MethodGet, 0, nil},
		{"at the first creation", http.MethodPost, 0, []string{"Created 0, deleted 0", "Left to do:\n- https://hooks.example.com/shop/captions"}},
		{"at the second creation", http.MethodPost, 1, []string{"Created 1, deleted 0", "Left to do:\n- ", "1 to create, 2 to delete, 2 to keep"}},
		{"at the first deletion", http.MethodDelete, 0, []string{"Created 2, deleted 0", "Left to do:\n- "}},
		{"at the second deletion", http.MethodDelete, 1, []string{"Created 2, deleted 1", "0 to create, 1 to delete, 3 to keep"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, want := newServer(t)
			match := func(r *http.Request) bool { return r.Method == test.method }
			if test.passed > 0 {
				server.Inject(facadetest.Fault{Match: match, Times: test.passed})
			}
			server.Inject(facadetest.Fault{Match: match, Status: http.StatusForbidden})
			file := filepath.Join(t.TempDir(), "secrets")
			var out strings.Builder
			code, err := deploy(t.Context(), server.Client(), want, settings{apply: true, secrets: file}, &out)
			require.ErrorIs(t, err, facade.ErrForbidden)
			assert.Equal(t, exitError, code)
			for _, part := range test.parts {
				assert.Contains(t, out.String(), part)
			}

			code, err = deploy(t.Context(), server.Client(), want, settings{apply: true, secrets: file}, &out)
			require.NoError(t, err, "the next time it finishes the work")
			assert.Equal(t, exitDone, code)
			assertSecrets(t, file, server)
			assert.NotContains(t, out.String(), "sig_sec_")
		})
	}
}

// assertSecrets checks that the file holds the secrets of the webhooks that were
// created, each once.
func assertSecrets(t *testing.T, file string, server *facadetest.Server) {
	t.Helper()
	var want []string
	for _, wh := range server.Webhooks()[2:] { // of the first four two are left
		want = append(want, wh.ID+" "+wh.SignatureSecret.Reveal())
	}
	require.Len(t, want, 2)
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, strings.Join(want, "\n")+"\n", string(got))
}

func TestDeployAtTheLimit(t *testing.T) {
	t.Parallel()
	server, want := newServer(t, facadetest.WithWebhookLimit(5))
	var out strings.Builder
	_, err := deploy(t.Context(), server.Client(), want, settings{apply: true}, &out)
	require.NoError(t, err)
	assert.Contains(t, out.String(), "The account is at its limit: 1 had to be deleted before all were created")
}

func TestDeployThatIsInterrupted(t *testing.T) {
	t.Parallel()
	server, want := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server.Inject(facadetest.Fault{Match: func(r *http.Request) bool {
		if r.Method == http.MethodDelete {
			cancel()
		}
		return r.Method == http.MethodDelete
	}, Status: http.StatusServiceUnavailable})
	file := filepath.Join(t.TempDir(), "secrets")
	code, err := deploy(ctx, server.Client(), want, settings{apply: true, secrets: file}, new(strings.Builder))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, exitError, code)
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(got), "sig_sec_"), "those that were created are kept")
}

// secretLines are what is written of two new webhooks.
const secretLines = `(webhook_[0-9A-Za-z]{22} sig_sec_[0-9A-Za-z]{22}\n){2}`

func TestRunWritesSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets")
	var out, errOut strings.Builder
	assert.Equal(t, exitDone, run(t.Context(), []string{"-apply", "-secrets", file, demo}, "", &out, &errOut))
	assert.Empty(t, errOut.String())
	assert.NotContains(t, out.String(), "sig_sec_")
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Regexp(t, "^"+secretLines+"$", string(got))
	assertPrivate(t, file)
}

func assertPrivate(t *testing.T, file string) {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	if runtime.GOOS != "windows" { // which has no such modes
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

// The service is known to leave out members.
func TestSecretsThatAreLeftOut(t *testing.T) {
	t.Parallel()
	server, want := newServer(t)
	file := filepath.Join(t.TempDir(), "secrets")
	secret, next := regexp.MustCompile(`,"signatureSecret":"[^"]*"`), newTransport(t)
	client := server.Client(facade.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(secret.ReplaceAll(body, nil)))
		return resp, err
	})}))
	code, err := deploy(t.Context(), client, want, settings{apply: true, secrets: file}, new(strings.Builder))
	assert.Equal(t, exitError, code)
	for _, wh := range server.Webhooks()[2:] { // of the first four two are left
		assert.ErrorContains(t, err, "the service leaves out the signature secret of "+strconv.Quote(wh.ID))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Empty(t, string(got))
}

// What can't be shown isn't done either.
func TestRunWhoseOutputFails(t *testing.T) {
	t.Parallel()
	server, want := newServer(t)
	before := server.Webhooks()
	file, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	require.NoError(t, err)
	require.NoError(t, file.Close())
	for _, s := range []settings{{}, {apply: true}} {
		code, err := deploy(t.Context(), server.Client(), want, s, file)
		require.ErrorIs(t, err, os.ErrClosed)
		assert.Equal(t, exitError, code)
		assert.Equal(t, before, server.Webhooks())
	}
}

func TestSecretsFile(t *testing.T) {
	t.Parallel()
	t.Run("is private, and keeps what it held", func(t *testing.T) {
		t.Parallel()
		server, want := newServer(t)
		file := filepath.Join(t.TempDir(), "secrets")
		require.NoError(t, os.WriteFile(file, []byte("webhook_1 older\n"), 0o644))
		_, err := deploy(t.Context(), server.Client(), want, settings{apply: true, secrets: file}, new(strings.Builder))
		require.NoError(t, err)
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(got), "webhook_1 older\nwebhook_"))
		assert.Equal(t, 3, strings.Count(string(got), "\n"))
		assertPrivate(t, file)
	})
	t.Run("that can't be written: nothing is changed", func(t *testing.T) {
		t.Parallel()
		server, want := newServer(t)
		before := server.Webhooks()
		code, err := deploy(t.Context(), server.Client(), want, settings{apply: true, secrets: t.TempDir()}, new(strings.Builder))
		require.Error(t, err)
		assert.Equal(t, exitError, code)
		assert.Equal(t, before, server.Webhooks())
	})
}
