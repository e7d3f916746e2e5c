package facade_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// logRecorder is a handler that keeps what it is told.
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
	return nil
}

// attrs are those of a record, which must not name one twice.
func attrs(t *testing.T, r slog.Record) map[string]any {
	t.Helper()
	all := make(map[string]any)
	r.Attrs(func(a slog.Attr) bool {
		assert.NotContains(t, all, a.Key)
		all[a.Key] = a.Value.Any()
		return true
	})
	return all
}

func TestLog(t *testing.T) {
	t.Parallel()
	const took = 3 * time.Second
	type values = map[string]any
	slow := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			<-time.After(took)
			next(w, r)
		}
	}
	list := func(ctx context.Context, c *facade.Client) error {
		_, err := c.ListWebhooks(ctx, facade.ListOptions{Event: facade.EventVideoSourceRecorded, Page: 2, PageSize: 5})
		return err
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		call    func(context.Context, *facade.Client) error
		want    values
	}{
		{"create", succeed, operations[0].call, values{"method": "POST", "path": "/webhooks", "query": "", "status": int64(201), "duration": took.String(), "attempts": int64(1)}},
		{"delete", succeed, operations[2].call, values{"method": "DELETE", "path": "/webhooks/webhook_0000000000000000000000", "query": "", "status": int64(204), "duration": took.String(), "attempts": int64(1)}},
		{"list", succeed, list, values{"method": "GET", "path": "/webhooks", "query": "events=video.source.recorded&currentPage=2&pageSize=5", "status": int64(200), "duration": took.String(), "attempts": int64(1)}},
		{"an id that is escaped", succeed, func(ctx context.Context, c *facade.Client) error {
			_, err := c.GetWebhook(ctx, "a/b\n")
			return err
		}, values{"method": "GET", "path": "/webhooks/a%2Fb%0A", "query": "", "status": int64(200), "duration": took.String(), "attempts": int64(1)}},
		{"an error", answer(503, `{"title":"No."}`), operations[0].call, values{"method": "POST", "path": "/webhooks", "query": "", "status": int64(503), "duration": took.String(), "attempts": int64(1)}},
		{"an answer that can't be used", answer(200, `<html>`), rawOperations[1].call, values{"method": "GET", "path": "/webhooks/w", "query": "", "status": int64(200), "duration": took.String(), "attempts": int64(1)}},
		{
			"a transport that fails", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, operations[0].call,
			values{"method": "POST", "path": "/webhooks", "query": "", "error": `Post "http://localhost/webhooks": EOF`, "duration": took.String(), "attempts": int64(1)},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				type key struct{}
				ctx := context.WithValue(t.Context(), key{}, "mine")
				recorder := &logRecorder{level: slog.LevelDebug}
				client := newBubbleClient(t, slow(test.handler), facade.WithLogger(slog.New(recorder)))
				_ = test.call(ctx, client)
				require.Len(t, recorder.records, 1)
				r := recorder.records[0]
				assert.Equal(t, slog.LevelDebug, r.Level)
				assert.Equal(t, "apivideo: request", r.Message)
				assert.Equal(t, test.want, attrs(t, r))
				assert.Equal(t, "mine", recorder.contexts[0].Value(key{}), "the caller's context reaches the handler")
			})
		})
	}
}

func TestLogOfTokenExchanges(t *testing.T) {
	t.Parallel()
	recorder := &logRecorder{level: slog.LevelDebug}
	service := &tokenService{reject: func(token string) bool { return token == "access1" }}
	client := newClient(t, service.ServeHTTP, facade.WithTokenExchange(), facade.WithLogger(slog.New(recorder)))
	require.NoError(t, getOne(t.Context(), client))
	var lines []string
	for _, r := range recorder.records {
		lines = append(lines, fmt.Sprint(r.Message, " ", attrs(t, r)["path"], " ", attrs(t, r)["status"]))
	}
	assert.Equal(t, []string{
		"apivideo: request /auth/api-key 200",
		"apivideo: retry /webhooks/w 401", // with another token
		"apivideo: request /auth/refresh 200",
		"apivideo: request /webhooks/w 200",
	}, lines)
}

func TestLogAboveDebugIsSilent(t *testing.T) {
	t.Parallel()
	for _, handler := range []http.HandlerFunc{succeed, answer(500, "{}"), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }} {
		recorder := &logRecorder{level: slog.LevelDebug + 1}
		client := newClient(t, handler, facade.WithLogger(slog.New(recorder)))
		for _, op := range allOperations {
			_ = op.call(t.Context(), client)
		}
		assert.Empty(t, recorder.records)
	}
}

func TestLogOfWhatIsNeverSent(t *testing.T) {
	t.Parallel()
	recorder := &logRecorder{level: slog.LevelDebug}
	client := newClient(t, succeed, facade.WithLogger(slog.New(recorder)))
	_, err := client.GetWebhook(t.Context(), "")
	require.ErrorIs(t, err, facade.ErrInvalidArgument)
	assert.Empty(t, recorder.records)
}

func TestLogHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	const mark = "sig_sec_marked"
	handlers := []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"a success", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", r.Header.Get("Authorization"))
			status := map[string]int{"POST": 201, "DELETE": 204}[r.Method]
			answer(max(status, 200), `{"webhookId":"w","signatureSecret":"`+mark+`"}`)(w, r)
		}},
		{"an error that echoes", func(w http.ResponseWriter, r *http.Request) {
			answer(400, fmt.Sprintf(`{"title":%q,"detail":%q}`, r.Header.Get("Authorization"), mark))(w, r)
		}},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/?"+mark, http.StatusFound) }},
		{"a reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for _, h := range handlers {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			var buf bytes.Buffer
			text := slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug - 100, AddSource: true})
			client := newClient(t, h.handler, facade.WithLogger(slog.New(text)))
			for _, op := range allOperations {
				_ = op.call(t.Context(), client)
			}
			assert.Equal(t, len(allOperations), strings.Count(buf.String(), "\n"), "a line for each")
			for _, secret := range []string{testKey, strings.TrimPrefix(basicKey, "Basic "), "Authorization", mark, validParams.URL} {
				assert.NotContains(t, buf.String(), secret)
			}
		})
	}
}

// A logger of one's own may fail; the call must not.
func TestLogHandlerThatFails(t *testing.T) {
	t.Parallel()
	client := newClient(t, succeed, facade.WithLogger(slog.New(failingHandler{slog.DiscardHandler})))
	for _, op := range operations {
		require.NoError(t, op.call(t.Context(), client))
	}
}

type failingHandler struct{ slog.Handler }

func (failingHandler) Enabled(context.Context, slog.Level) bool { return true }
func (failingHandler) Handle(context.Context, slog.Record) error {
	return errors.New("the disk is full")
}
