package facade_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptrace"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// A logRecorder is a handler that records.
type logRecorder struct {
	level slog.Level

	mu       sync.Mutex
	records  []slog.Record
	contexts []context.Context
}

func (h *logRecorder) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }
func (h *logRecorder) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h *logRecorder) WithGroup(string) slog.Handler                { return h }

func (h *logRecorder) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
	h.contexts = append(h.contexts, ctx)
	return errors.New("the disk is full") // which a call ignores
}

type logValues map[string]any

// logged returns the attributes, message and level of a record.
func logged(t *testing.T, r slog.Record) logValues {
	t.Helper()
	all := logValues{"msg": r.Message, "level": r.Level}
	r.Attrs(func(a slog.Attr) bool {
		assert.NotContains(t, all, a.Key)
		all[a.Key] = a.Value.Any()
		return true
	})
	return all
}

func TestWithLogger(t *testing.T) {
	t.Parallel()
	const duration = 3 * time.Second
	list := func(ctx context.Context, c *facade.Client) error {
		_, err := c.ListWebhooks(ctx, facade.ListOptions{Event: facade.EventVideoSourceRecorded, Page: 2, PageSize: 5})
		return err
	}
	getEscaped := func(ctx context.Context, c *facade.Client) error {
		_, err := c.GetWebhook(ctx, "a/b\n")
		return err
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		call    func(context.Context, *facade.Client) error
		want    logValues
	}{
		{"create", succeed, createWebhook, logValues{"method": "POST", "path": "/webhooks", "status": int64(201)}},
		{"delete", succeed, operations[2].call, logValues{"method": "DELETE", "path": "/webhooks/" + webhookID, "status": int64(204)}},
		{"list", succeed, list, logValues{"method": "GET", "path": "/webhooks", "query": "events=video.source.recorded&currentPage=2&pageSize=5", "status": int64(200)}},
		{"escaped ID", succeed, getEscaped, logValues{"method": "GET", "path": "/webhooks/a%2Fb%0A", "status": int64(200)}},
		{"503", unavailable, createWebhook, logValues{"method": "POST", "path": "/webhooks", "status": int64(503)}},
		{"HTML", respond(200, `<html>`), rawOperations[1].call, logValues{"method": "GET", "path": "/webhooks/w", "status": int64(200)}},
		{"closed connection", abort, createWebhook, logValues{"method": "POST", "path": "/webhooks", "error": `Post "http://localhost/webhooks": EOF`}},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			trace := new(httptrace.ClientTrace) // a value in the context of the caller
			ctx := httptrace.WithClientTrace(t.Context(), trace)
			recorder := &logRecorder{level: slog.LevelDebug}
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				<-time.After(duration)
				test.handler(w, r)
			}, facade.WithLogger(slog.New(recorder)))
			_ = test.call(ctx, client)
			require.Len(t, recorder.records, 1, test.name)
			want := logValues{"msg": "apivideo: request", "level": slog.LevelDebug, "query": "", "duration": duration.String(), "attempts": int64(1)}
			maps.Copy(want, test.want)
			assert.Equal(t, want, logged(t, recorder.records[0]), test.name)
			assert.Same(t, trace, httptrace.ContextClientTrace(recorder.contexts[0]), "the context of the caller")
		})
	}
}

func TestWithLogger_retries(t *testing.T) {
	t.Parallel()
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelWarn, slog.LevelError} {
		synctest.Test(t, func(t *testing.T) {
			recorder := &logRecorder{level: level}
			server := newScript(abort, unavailable, tooMany(retryAfter, "2"), succeed)
			require.NoError(t, getWebhook(t.Context(), newClient(t, server.ServeHTTP, defaultRetries, facade.WithLogger(slog.New(recorder)))))
			path, waits := "/webhooks/"+webhookID, server.waits()
			require.Len(t, waits, 3)
			var want []logValues
			if level <= slog.LevelWarn {
				for i := range 3 {
					want = append(want, logValues{"msg": "apivideo: retry", "level": slog.LevelWarn, "method": "GET", "path": path, "attempt": int64(i + 1), "wait": waits[i].String()})
				}
				want[0]["error"] = `Get "http://localhost` + path + `": EOF`
				want[1]["status"], want[2]["status"] = int64(503), int64(429)
			}
			if level == slog.LevelDebug {
				total := waits[0] + waits[1] + waits[2]
				want = append(want, logValues{"msg": "apivideo: request", "level": slog.LevelDebug, "method": "GET", "path": path, "query": "", "status": int64(200), "attempts": int64(4), "duration": total.String()})
			}
			var got []logValues
			for _, r := range recorder.records {
				got = append(got, logged(t, r))
			}
			assert.Equal(t, want, got)
		})
	}
}

func TestWithLogger_tokenRequests(t *testing.T) {
	t.Parallel()
	recorder := &logRecorder{level: slog.LevelDebug}
	service := &tokenService{reject: rejectFirst}
	client := newClient(t, service.ServeHTTP, facade.WithTokenExchange(), facade.WithLogger(slog.New(recorder)))
	_, err := client.GetWebhook(t.Context(), "")
	require.ErrorIs(t, err, facade.ErrInvalidArgument)
	assert.Empty(t, recorder.records, "no request")
	_, err = client.GetWebhook(t.Context(), "w")
	require.NoError(t, err)
	var lines []string
	for _, r := range recorder.records {
		values := logged(t, r)
		lines = append(lines, fmt.Sprint(values["msg"], " ", values["path"], " ", values["status"]))
	}
	assert.Equal(t, []string{
		"apivideo: request /auth/api-key 200",
		"apivideo: retry /webhooks/w 401",
		"apivideo: request /auth/refresh 200",
		"apivideo: request /webhooks/w 200",
	}, lines)
}
