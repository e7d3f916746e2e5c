package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deliverTo sends a notification without headers and returns the printed attempts.
func deliverTo(ctx context.Context, t *testing.T, handler http.HandlerFunc, format string) (ok bool, printed string) {
	t.Helper()
	receiver := httptest.NewServer(handler)
	t.Cleanup(receiver.Close)
	var out bytes.Buffer
	a := &app{out: &output{w: &out}, format: format}
	d := &deliverer{to: receiver.URL, timeout: processTimeout}
	ok, err := d.deliver(ctx, a, "0123456789abcdef", http.Header{}, []byte("{}"))
	require.NoError(t, err)
	require.NoError(t, a.out.flush(t.Context()))
	return ok, out.String()
}

func TestDeliver_truncatedResponse(t *testing.T) {
	t.Parallel()
	ok, out := deliverTo(t.Context(), t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}, "table")
	assert.True(t, ok, "the receiver accepts the notification")
	assert.Regexp(t, `^0123456789ab attempt 1: 200 OK in \S+ ms\n  half\n  the response is incomplete: unexpected EOF\n$`, out)
}

// A signal after the status does not hide the result.
func TestDeliver_signalAfterStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusAccepted, http.StatusBadRequest} {
		ctx, cancel := context.WithCancel(t.Context())
		trace := &httptrace.ClientTrace{PutIdleConn: func(error) { cancel() }} // after the last byte
		ok, out := deliverTo(httptrace.WithClientTrace(ctx, trace), t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "body")
		}, "table")
		require.Error(t, ctx.Err())
		assert.Equal(t, status == http.StatusAccepted, ok)
		assert.Contains(t, out, " "+http.StatusText(status)+" in ")
	}
}

// A notification has no other headers than the recorded ones.
func TestDeliver_headers(t *testing.T) {
	t.Parallel()
	var got http.Header
	ok, _ := deliverTo(t.Context(), t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header }, "table")
	assert.True(t, ok)
	assert.Equal(t, http.Header{"Content-Length": {"2"}}, got)
}

// A response is printed up to a limit.
func TestDeliver_largeResponse(t *testing.T) {
	t.Parallel()
	_, out := deliverTo(t.Context(), t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 64<<10)+"z")
	}, "json")
	assert.Equal(t, 64<<10, strings.Count(out, "x"))
	assert.Zero(t, strings.Count(out, "z"))
}

// A response cannot change the terminal.
func TestDeliver_hostileResponse(t *testing.T) {
	t.Parallel()
	_, out := deliverTo(t.Context(), t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "a\x1b[2J\r\nb")
	}, "table")
	assert.Contains(t, out, "\n  a\ufffd[2J b\n")
}
