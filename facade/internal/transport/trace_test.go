package transport //nolint:testpackage // the trace is not exported

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// watch returns a trace and hooks for a request with a body.
func watch(t *testing.T, method string, rt http.RoundTripper, http1 bool) (*trace, *http.Request, *httptrace.ClientTrace) {
	t.Helper()
	req, err := http.NewRequest(method, "https://api.example.com/webhooks", strings.NewReader("{}")) //nolint:noctx // watch sets it
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	tr := newTrace(cancel)
	req = tr.watch(ctx, req, rt, http1)
	return tr, req, httptrace.ContextClientTrace(req.Context())
}

func TestTrace_GetBody(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		header []string // written before
		refuse bool
	}{
		{"nothing written", nil, false},
		{"HTTP/1, which net/http resends only if nothing was written", []string{"Host", "Content-Length", "Authorization"}, false},
		{"HTTP/1 with an idempotency key", []string{"Host", "Idempotency-Key"}, true},
		{"HTTP/1 with the other idempotency key", []string{"Host", "X-Idempotency-Key"}, true},
		{"HTTP/2", []string{":authority", ":method", ":path"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, req, hooks := watch(t, http.MethodPost, new(http.Transport), true)
			for _, name := range test.header {
				hooks.WroteHeaderField(name, nil)
			}
			body, err := req.GetBody()
			if test.refuse {
				require.ErrorIs(t, err, errResent)
				return
			}
			require.NoError(t, err)
			assert.NoError(t, body.Close())
		})
	}
}

func TestTrace_withoutGetBody(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		rt    http.RoundTripper
		http1 bool
		want  bool
	}{
		{"HTTP/1", new(http.Transport), true, true},
		{"unknown protocol", new(http.Transport), false, false},
		{"HTTP/1 and another transport", roundTripper(nil), true, false},
	}
	for _, test := range tests {
		_, req, _ := watch(t, http.MethodPost, test.rt, test.http1)
		assert.Equal(t, test.want, req.GetBody != nil, test.name)
	}
}

func TestTrace_notSent(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset by peer")
	refused := errors.New("http2: Transport: cannot retry err [stream error: stream ID 1; REFUSED_STREAM; received from peer] after Request.Body was written")
	header := func(name string) func(*http.Request, *httptrace.ClientTrace) {
		return func(_ *http.Request, h *httptrace.ClientTrace) { h.WroteHeaderField(name, []string{http.MethodPost}) }
	}
	getConn := func(_ *http.Request, h *httptrace.ClientTrace) { h.GetConn("api.example.com:443") }
	gotConn := func(_ *http.Request, h *httptrace.ClientTrace) { h.GotConn(httptrace.GotConnInfo{Reused: true}) }
	read := func(r *http.Request, _ *httptrace.ClientTrace) { _, _ = r.Body.Read(make([]byte, 1)) }
	type events []func(*http.Request, *httptrace.ClientTrace)
	tests := []struct {
		name     string
		standard bool
		events   events
		err      error
		want     bool
	}{
		{"standard, no event", true, nil, lost, false},
		{"standard, no connection", true, events{getConn}, lost, true},
		{"standard, a connection", true, events{getConn, gotConn}, lost, false},
		{"standard, a request that was written without a connection of net/http", true, events{getConn, header("Host")}, lost, false},
		{"standard, refused stream", true, events{getConn, gotConn, header(":method")}, refused, true},
		{"other, unread body", false, events{getConn}, lost, true},
		{"other, unread body and no event", false, nil, lost, true},
		{"other, read body", false, events{getConn, read}, lost, false},
		{"other, refused stream", false, events{getConn, gotConn, header(":method"), read}, refused, true},
		{"other, refused stream after a buffered body", false, events{read, getConn, gotConn, header(":method")}, refused, false},
		{"other, refused stream after another way over HTTP/1", false, events{getConn, gotConn, header("Host"), read, header(":method")}, refused, false},
		{"other, refused stream after another way over HTTP/2", false, events{getConn, gotConn, header(":method"), read, header(":method")}, refused, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var rt http.RoundTripper = roundTripper(nil)
			if test.standard {
				rt = new(http.Transport)
			}
			tr, req, hooks := watch(t, http.MethodPost, rt, true)
			for _, event := range test.events {
				event(req, hooks)
			}
			assert.Equal(t, test.want, tr.notSent(test.err))
		})
	}
}

func TestTrace_notProcessed(t *testing.T) {
	t.Parallel()
	const prefix = "http2: Transport: cannot retry err ["
	const suffix = "] after Request.Body was written; define Request.GetBody to avoid this error"
	goAway := prefix + "http2: Transport received Server's graceful shutdown GOAWAY" + suffix
	tests := []struct {
		name, text string
		wrote      bool
		want       bool
	}{
		{"graceful GOAWAY", goAway, true, true},
		{"REFUSED_STREAM", prefix + "stream error: stream ID 1; REFUSED_STREAM; received from peer" + suffix, true, true},
		{"PROTOCOL_ERROR", prefix + "stream error: stream ID 1; PROTOCOL_ERROR; received from peer" + suffix, true, false},
		{"no stream free", "net/http: cannot rewind body after connection loss", false, true},
		{"no stream free after a header", "net/http: cannot rewind body after connection loss", true, false},
		{"debug data of a GOAWAY", "http2: server sent GOAWAY and closed the connection; debug=\"" + goAway + "\"", true, false},
		{"another error", "EOF", false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := errors.New(test.text)
			assert.Equal(t, test.want, notProcessed(err, test.wrote))
			assert.Equal(t, test.want, notProcessed(fmt.Errorf("wrapped: %w", err), test.wrote), "wrapped")
		})
	}
}

func TestTrace_resent(t *testing.T) {
	t.Parallel()
	type field struct{ name, value string }
	block := func(method, path string) []field {
		return []field{{":authority", "api.example.com"}, {":method", method}, {":path", path}, {"idempotency-key", "1"}}
	}
	own, token := block(http.MethodDelete, "/webhooks/w"), block(http.MethodDelete, "/token")
	keys := []field{{"Host", "api.example.com"}, {"Idempotency-Key", "1"}, {"X-Idempotency-Key", "1"}}
	for name, test := range map[string]struct {
		fields []field
		want   bool
	}{
		"HTTP/2":                              {own, false},
		"HTTP/2, twice":                       {slices.Concat(own, own), true},
		"HTTP/2, another method before":       {slices.Concat(block(http.MethodGet, "/webhooks/w"), own), false},
		"HTTP/2, another path before":         {slices.Concat(token, own), false},
		"HTTP/2, twice, another path between": {slices.Concat(own, token, own), true},
		"HTTP/1":                              {keys, false},
		"HTTP/1, Host twice":                  {slices.Concat(keys, keys[:1]), false},
		"HTTP/1, Idempotency-Key twice":       {slices.Concat(keys, keys[1:2]), true},
		"HTTP/1, X-Idempotency-Key twice":     {slices.Concat(keys, keys[2:]), true},
	} {
		tr, _, hooks := watch(t, http.MethodDelete, new(http.Transport), true)
		for _, f := range test.fields {
			hooks.WroteHeaderField(f.name, []string{f.value})
		}
		assert.Equal(t, test.want, tr.resent(), name)
	}
}

func TestTrace_limitsNewConnections(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		_, req, hooks := watch(t, method, new(http.Transport), true)
		for range 100 {
			hooks.GotConn(httptrace.GotConnInfo{Reused: true}) // of HTTP/1, dead
		}
		for range maxNewConns - 1 {
			hooks.GotConn(httptrace.GotConnInfo{})
		}
		require.NoError(t, req.Context().Err())
		hooks.GotConn(httptrace.GotConnInfo{})
		require.ErrorIs(t, req.Context().Err(), context.Canceled)
	}
}
