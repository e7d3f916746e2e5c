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

// watch returns a trace, and a function that lets a transport cause events:
//
//   - "get" and "got" a pooled connection,
//   - "new" for a new connection,
//   - "read" the body,
//   - any other event is a written header, with a value after a space.
func watch(t *testing.T, method string, rt http.RoundTripper, http1 bool) (*trace, *http.Request, func(...string)) {
	t.Helper()
	req, err := http.NewRequest(method, "https://api.example.com/webhooks", strings.NewReader("{}")) //nolint:noctx // below
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	tr := newTrace(cancel)
	req = tr.watch(ctx, req, rt, http1)
	hooks := httptrace.ContextClientTrace(req.Context())
	return tr, req, func(events ...string) {
		for _, event := range events {
			switch name, value, _ := strings.Cut(event, " "); name {
			case "get":
				hooks.GetConn("api.example.com:443")
			case "got", "new":
				hooks.GotConn(httptrace.GotConnInfo{Reused: name == "got"})
			case "read":
				_, _ = req.Body.Read(make([]byte, 1))
			default:
				hooks.WroteHeaderField(name, []string{value})
			}
		}
	}
}

func TestTrace_GetBody(t *testing.T) {
	t.Parallel()
	standard, other := new(http.Transport), http.NewFileTransport(nil)
	for _, test := range []struct {
		name      string
		rt        http.RoundTripper
		http1     bool
		written   []string
		isPresent bool
		want      error
	}{
		{"HTTP/1, nothing written", standard, true, nil, true, nil},
		{"HTTP/1, net/http resends if nothing was written", standard, true, []string{"Host", "Authorization"}, true, nil},
		{"HTTP/1 with an idempotency key", standard, true, []string{"Host", "Idempotency-Key"}, true, errResent},
		{"HTTP/1 with the other idempotency key", standard, true, []string{"X-Idempotency-Key"}, true, errResent},
		{"HTTP/2 after HTTP/1", standard, true, []string{":method POST", ":path /"}, true, errResent},
		{"unknown protocol", standard, false, nil, false, nil},
		{"another transport", other, true, nil, false, nil},
	} {
		_, req, cause := watch(t, http.MethodPost, test.rt, test.http1)
		cause(test.written...)
		require.Equal(t, test.isPresent, req.GetBody != nil, test.name)
		if test.isPresent {
			_, err := req.GetBody()
			assert.Equal(t, test.want, err, test.name)
		}
	}
}

func TestTrace_notSent(t *testing.T) {
	t.Parallel()
	const prefix = "http2: Transport: cannot retry err ["
	const suffix = "] after Request.Body was written; define Request.GetBody to avoid this error"
	const (
		lost     = "connection reset by peer"
		noStream = "net/http: cannot rewind body after connection loss"
		graceful = prefix + "http2: Transport received Server's graceful shutdown GOAWAY" + suffix
		refused  = prefix + "stream error: stream ID 1; REFUSED_STREAM; received from peer" + suffix
		protocol = prefix + "stream error: stream ID 1; PROTOCOL_ERROR; received from peer" + suffix
		debug    = "http2: server sent GOAWAY and closed the connection; debug=\"" + graceful + "\""
	)
	standard, other := new(http.Transport), http.NewFileTransport(nil)
	const header1, header2 = "Host", ":method POST" // the first of HTTP/1 and HTTP/2
	for _, test := range []struct {
		rt     http.RoundTripper
		events []string
		err    string
		want   bool
	}{
		{standard, nil, lost, false},
		{standard, []string{"get"}, lost, true},
		{standard, []string{"get", "got"}, lost, false},
		{standard, []string{"get", header1}, lost, false}, // written without a connection of net/http
		{standard, []string{"get", "got", header2}, refused, true},
		{standard, []string{"get", "got", header2}, graceful, true},
		{standard, []string{"get", "got", header2}, protocol, false},
		{standard, []string{"get", "got", header2}, debug, false}, // text of the server
		{standard, []string{"get", "got"}, noStream, true},
		{standard, []string{"get", "got", header2}, noStream, false},
		{other, nil, lost, true}, // the body is unread
		{other, []string{"get"}, lost, true},
		{other, []string{"get", "read"}, lost, false},
		{other, []string{"get", "got", header2, "read"}, refused, true},
		{other, []string{"get", "got", header2, "read"}, noStream, false},
		{other, []string{"read", "get", "got", header2}, refused, false},                    // the body is a copy
		{other, []string{"get", "got", header1, "read", "got", header2}, refused, false},    // and HTTP/1 before
		{other, []string{"get", "got", header2, "read", "got", header2}, refused, false},    // and HTTP/2 before
		{other, []string{"got", "Idempotency-Key", "read", "got", header2}, refused, false}, // and HTTP/1 before
	} {
		tr, _, cause := watch(t, http.MethodPost, test.rt, true)
		cause(test.events...)
		err := errors.New(test.err)
		assert.Equal(t, test.want, tr.notSent(err), "%T %q %s", test.rt, test.events, err)
		assert.Equal(t, test.want, tr.notSent(fmt.Errorf("wrapped: %w", err)), "%T %q %s", test.rt, test.events, err)
	}
}

func TestTrace_resent(t *testing.T) {
	t.Parallel()
	const authority, path, token, del, key = ":authority h", ":path /webhooks/w", ":path /token", ":method DELETE", "idempotency-key 1"
	own, other := []string{authority, del, path, key}, []string{authority, del, token, key}
	query := []string{authority, del, path + "?tenant=1", key}
	keys := []string{"Host h", "Idempotency-Key 1", "X-Idempotency-Key 1"}
	for name, test := range map[string]struct {
		events []string
		want   bool
	}{
		"HTTP/2":                              {own, false},
		"HTTP/2, twice":                       {slices.Concat(own, own), true},
		"HTTP/2, twice, with a query":         {slices.Concat(query, query), true},
		"HTTP/2, another method before":       {slices.Concat([]string{":method GET", path}, own), false},
		"HTTP/2, another path before":         {slices.Concat(other, own), false},
		"HTTP/2, twice, another path between": {slices.Concat(own, other, own), true},
		"HTTP/1":                              {keys, false},
		"HTTP/1, Host twice":                  {slices.Concat(keys, keys[:1]), false},
		"HTTP/1, Idempotency-Key twice":       {slices.Concat(keys, keys[1:2]), true},
		"HTTP/1, X-Idempotency-Key twice":     {slices.Concat(keys, keys[2:]), true},
	} {
		tr, _, cause := watch(t, http.MethodDelete, new(http.Transport), true)
		cause(test.events...)
		assert.Equal(t, test.want, tr.resent(), name)
	}
}

func TestTrace_limitsNewConnections(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		_, req, cause := watch(t, method, new(http.Transport), true)
		cause(slices.Repeat([]string{"got"}, 100)...) // of HTTP/1, dead
		cause(slices.Repeat([]string{"new"}, maxNewConns-1)...)
		require.NoError(t, req.Context().Err(), method)
		cause("new")
		require.ErrorIs(t, req.Context().Err(), context.Canceled, method)
	}
}
