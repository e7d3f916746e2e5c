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

// A logRecorder writes lines without a time.
type logRecorder struct {
	slog.Handler
	lines syncBuffer

	mu       sync.Mutex
	contexts []context.Context
}

func newLogRecorder(level slog.Level) *logRecorder {
	h := new(logRecorder)
	h.Handler = slog.NewTextHandler(&h.lines, &slog.HandlerOptions{Level: level})
	return h
}

func (h *logRecorder) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.contexts = append(h.contexts, ctx)
	r.Time = time.Time{}
	return errors.Join(h.Handler.Handle(ctx, r), errors.New("the disk is full")) // which a call ignores
}

func TestWithLogger(t *testing.T) {
	t.Parallel()
	list := func(ctx context.Context, c *facade.Client) error {
		_, err := c.ListWebhooks(ctx, facade.ListOptions{Event: facade.EventVideoSourceRecorded, Page: 2, PageSize: 5})
		return err
	}
	get := func(id string) func(context.Context, *facade.Client) error {
		return func(ctx context.Context, c *facade.Client) error {
			_, err := c.GetWebhook(ctx, id)
			return err
		}
	}
	for _, test := range []struct {
		handler http.HandlerFunc
		call    func(context.Context, *facade.Client) error
		want    string // without the level, the message and the last attributes
	}{
		{succeed, createWebhook, "method=POST path=/webhooks status=201 query=\"\""},
		{succeed, operations[2].call, "method=DELETE path=/webhooks/" + webhookID + " status=204 query=\"\""},
		{succeed, list, "method=GET path=/webhooks status=200 query=\"events=video.source.recorded&currentPage=2&pageSize=5\""},
		{succeed, get("a/b\n"), "method=GET path=/webhooks/a%2Fb%0A status=200 query=\"\""},
		{succeed, get(""), ""},
		{unavailable, createWebhook, "method=POST path=/webhooks status=503 query=\"\""},
		{respond(200, `<html>`), get("w"), "method=GET path=/webhooks/w status=200 query=\"\""},
		{abort, createWebhook, `method=POST path=/webhooks error="Post \"http://localhost/webhooks\": EOF" query=""`},
	} {
		synctest.Test(t, func(t *testing.T) {
			trace := new(httptrace.ClientTrace) // a value in the context of the caller
			ctx := httptrace.WithClientTrace(t.Context(), trace)
			recorder := newLogRecorder(slog.LevelDebug)
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				<-time.After(3 * time.Second)
				test.handler(w, r)
			}, facade.WithLogger(slog.New(recorder)))
			_ = test.call(ctx, client)
			want := "level=DEBUG msg=\"apivideo: request\" " + test.want + " attempts=1 duration=3s\n"
			if test.want == "" {
				want = ""
			}
			assert.Equal(t, want, recorder.lines.String())
			for _, ctx := range recorder.contexts {
				assert.Same(t, trace, httptrace.ContextClientTrace(ctx), "the context of the caller")
			}
		})
	}
}

func TestWithLogger_retries(t *testing.T) {
	t.Parallel()
	for level, lines := range map[slog.Level]int{slog.LevelDebug: 4, slog.LevelWarn: 3, slog.LevelError: 0} {
		synctest.Test(t, func(t *testing.T) {
			recorder := newLogRecorder(level)
			server := newScript(abort, unavailable, tooMany(retryAfter, "2"), succeed)
			client := newClient(t, server.ServeHTTP, defaultRetries, facade.WithLogger(slog.New(recorder)))
			start := time.Now()
			_, err := client.GetWebhook(t.Context(), "w")
			require.NoError(t, err)
			w := server.waits()
			retry := func(outcome string, n int) string {
				return fmt.Sprintf("level=WARN msg=\"apivideo: retry\" method=GET path=/webhooks/w %s attempt=%d wait=%v\n", outcome, n, w[n-1])
			}
			want := []string{
				retry(`error="Get \"http://localhost/webhooks/w\": EOF"`, 1),
				retry("status=503", 2),
				retry("status=429", 3),
				`level=DEBUG msg="apivideo: request" method=GET path=/webhooks/w status=200 query="" attempts=4 duration=` +
					time.Since(start).String() + "\n",
			}
			assert.Equal(t, strings.Join(want[:lines], ""), recorder.lines.String())
		})
	}
}

func TestWithLogger_tokenRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		recorder := newLogRecorder(slog.LevelDebug)
		service := &tokenService{reject: rejectFirst}
		client := newClient(t, service.ServeHTTP, facade.WithTokenExchange(), facade.WithLogger(slog.New(recorder)))
		_, err := client.GetWebhook(t.Context(), "w")
		require.NoError(t, err)
		assert.Equal(t, `level=DEBUG msg="apivideo: request" method=POST path=/auth/api-key status=200 query="" attempts=1 duration=0s
level=WARN msg="apivideo: retry" method=GET path=/webhooks/w status=401 attempt=1 wait=0s
level=DEBUG msg="apivideo: request" method=POST path=/auth/refresh status=200 query="" attempts=1 duration=0s
level=DEBUG msg="apivideo: request" method=GET path=/webhooks/w status=200 query="" attempts=2 duration=0s
`, recorder.lines.String())
	})
}
