package main

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// forwardTo sends a notification through a forwarder to a receiver. It returns the
// headers at the receiver and the printed line.
func forwardTo(t *testing.T, user *url.Userinfo, event any, header http.Header) (got http.Header, line string) {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	t.Cleanup(receiver.Close)
	target, err := url.Parse(receiver.URL)
	require.NoError(t, err)
	target.User = user
	secret := facade.NewSecret("sig_sec_1")
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	require.NoError(t, err)
	var out bytes.Buffer
	a := &app{out: &output{w: &out}}
	f := newForwarder(a, verifier, target, nil, time.Minute)
	r := facadetest.NewNotificationRequest(t.Context(), "http://127.0.0.1", "webhook_1", secret, event)
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.NoError(t, a.out.flush(t.Context()))
	return got, out.String()
}

// The user of --forward-to replaces no header of the request.
func TestForwarder_user(t *testing.T) {
	t.Parallel()
	event := &notification.VideoSummaryGenerated{VideoID: "vi1"}
	header, _ := forwardTo(t, nil, event, nil)
	assert.Empty(t, header.Get("Authorization"))
	header, _ = forwardTo(t, url.UserPassword("user", "pass"), event, nil)
	assert.Equal(t, "Basic dXNlcjpwYXNz", header.Get("Authorization"))
	header, _ = forwardTo(t, url.UserPassword("user", "pass"), event, http.Header{"Authorization": {"Bearer token"}})
	assert.Equal(t, "Bearer token", header.Get("Authorization"))
}

// The receiver gets no header of the connection.
func TestForwarder_connectionHeaders(t *testing.T) {
	t.Parallel()
	header, _ := forwardTo(t, nil, &notification.VideoSummaryGenerated{VideoID: "vi1"}, http.Header{
		"Connection": {"X-Hop"}, "X-Hop": {"1"}, "Keep-Alive": {"1"}, "Proxy-Connection": {"1"}, "X-End": {"1"},
	})
	assert.Equal(t, "1", header.Get("X-End"))
	for _, name := range []string{"Connection", "X-Hop", "Keep-Alive", "Proxy-Connection"} {
		assert.NotContains(t, header, name)
	}
}

// The fields of a notification cannot change the terminal.
func TestForwarder_hostileEvent(t *testing.T) {
	t.Parallel()
	_, line := forwardTo(t, nil, []byte(`{"type":"video.\u001b[2J\u202e"}`), nil)
	assert.Regexp(t, "^\\S+ 200 [0-9a-f]{12} video.\ufffd\\[2J\ufffd\n$", line)
}

// A record has the headers of the notification and none of the connection.
func TestForwarder_recordHeaders(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "events.jsonl")
	rec, err := openRecorder(name)
	require.NoError(t, err)
	f := newForwarder(nil, nil, nil, rec, time.Minute)
	header := http.Header{"X-End": {"1"}}
	for _, name := range []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		header.Set(name, "1")
	}
	require.NoError(t, f.record(forwardedJSON{ID: "id"}, header, []byte("{}")))
	require.NoError(t, rec.close())
	records, err := new(app).readRecords(t.Context(), name)
	require.NoError(t, err)
	require.Len(t, records, 1)
	assert.Equal(t, http.Header{"X-End": {"1"}}, records[0].Header)
	assert.Len(t, header, 9, "the request keeps its headers")
}
