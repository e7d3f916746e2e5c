package facade_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// A logRecorder is a handler that keeps each record as a line: level, message and
// attributes.
type logRecorder struct {
	level slog.Level

	mu       sync.Mutex
	lines    []string
	contexts []context.Context
}

func (h *logRecorder) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }
func (h *logRecorder) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h *logRecorder) WithGroup(string) slog.Handler                { return h }

func (h *logRecorder) Handle(ctx context.Context, r slog.Record) error {
	line := []string{r.Level.String(), r.Message}
	r.Attrs(func(a slog.Attr) bool {
		line = append(line, a.String())
		return true
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, strings.Join(line, " "))
	h.contexts = append(h.contexts, ctx)
	return errors.New("the disk is full") // which a call ignores
}

func TestWithLogger(t *testing.T) {
	t.Parallel()
	list := func(ctx context.Context, c *facade.Client) error {
		_, err := c.ListWebhooks(ctx, facade.ListOptions{Event: facade.EventVideoSourceRecorded, Page: 2, PageSize: 5})
		return err
	}
	getEscaped := func(ctx context.Context, c *facade.Client) error {
		_, err := c.GetWebhook(ctx, "a/b\n")
		return err
	}
	getInvalid := func(ctx context.Context, c *facade.Client) error {
		_, err := c.GetWebhook(ctx, "")
		return err
	}
	for _, test := range []struct {
		handler http.HandlerFunc
		call    func(context.Context, *facade.Client) error
		want    string // without the level, the message and the last attributes
	}{
		{succeed, createWebhook, "method=POST path=/webhooks status=201 query="},
		{succeed, operations[2].call, "method=DELETE path=/webhooks/" + webhookID + " status=204 query="},
		{succeed, list, "method=GET path=/webhooks status=200 query=events=video.source.recorded&currentPage=2&pageSize=5"},
		{succeed, getEscaped, "method=GET path=/webhooks/a%2Fb%0A status=200 query="},
		{succeed, getInvalid, ""},
		{unavailable, createWebhook, "method=POST path=/webhooks status=503 query="},
		{respond(200, `<html>`), rawOperations[1].call, "method=GET path=/webhooks/w status=200 query="},
		{abort, createWebhook, `method=POST path=/webhooks error=Post "http://localhost/webhooks": EOF query=`},
	} {
		synctest.Test(t, func(t *testing.T) {
			trace := new(httptrace.ClientTrace) // a value in the context of the caller
			ctx := httptrace.WithClientTrace(t.Context(), trace)
			recorder := &logRecorder{level: slog.LevelDebug}
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				<-time.After(3 * time.Second)
				test.handler(w, r)
			}, facade.WithLogger(slog.New(recorder)))
			_ = test.call(ctx, client)
			if test.want == "" {
				assert.Empty(t, recorder.lines)
				return
			}
			assert.Equal(t, []string{"DEBUG apivideo: request " + test.want + " attempts=1 duration=3s"}, recorder.lines)
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
			client := newClient(t, server.ServeHTTP, defaultRetries, facade.WithLogger(slog.New(recorder)))
			start := time.Now()
			require.NoError(t, getWebhook(t.Context(), client))
			elapsed, waits := time.Since(start), server.waits()
			require.Len(t, waits, 3)
			const request = "method=GET path=/webhooks/" + webhookID
			want := []string{
				fmt.Sprintf(`WARN apivideo: retry %s error=Get "http://localhost/webhooks/%s": EOF attempt=1 wait=%v`, request, webhookID, waits[0]),
				fmt.Sprintf("WARN apivideo: retry %s status=503 attempt=2 wait=%v", request, waits[1]),
				fmt.Sprintf("WARN apivideo: retry %s status=429 attempt=3 wait=%v", request, waits[2]),
				fmt.Sprintf("DEBUG apivideo: request %s status=200 query= attempts=4 duration=%v", request, elapsed),
			}
			lines := map[slog.Level]int{slog.LevelDebug: 4, slog.LevelWarn: 3}[level]
			assert.Equal(t, want[:lines], append([]string{}, recorder.lines...))
		})
	}
}

func TestWithLogger_tokenRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		recorder := &logRecorder{level: slog.LevelDebug}
		service := &tokenService{reject: rejectFirst}
		client := newClient(t, service.ServeHTTP, facade.WithTokenExchange(), facade.WithLogger(slog.New(recorder)))
		_, err := client.GetWebhook(t.Context(), "w")
		require.NoError(t, err)
		assert.Equal(t, []string{
			"DEBUG apivideo: request method=POST path=/auth/api-key status=200 query= attempts=1 duration=0s",
			"WARN apivideo: retry method=GET path=/webhooks/w status=401 attempt=1 wait=0s",
			"DEBUG apivideo: request method=POST path=/auth/refresh status=200 query= attempts=1 duration=0s",
			"DEBUG apivideo: request method=GET path=/webhooks/w status=200 query= attempts=2 duration=0s",
		}, recorder.lines)
	})
}
