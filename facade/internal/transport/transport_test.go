package transport //nolint:testpackage // with the other tests of the package

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
)

const key = "testkey-Zm9yZ2V0bWVub3Q"

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newClient(f roundTripper) *Client {
	return &Client{
		Sender: &Sender{
			RoundTripper: f,
			Timeout:      time.Minute,
			MaxBody:      64 << 10,
			MaxErrorBody: 1 << 10,
			Header:       http.Header{"Accept": {"application/json"}},
			Redactor:     redact.New(key),
			OnResponse:   func(http.Header) {},
		},
		Auth:   Basic(key),
		Retry:  Policy{MaxAttempts: 3, MinDelay: 1, MaxDelay: 1},
		Logger: slog.New(slog.DiscardHandler),
	}
}

func respond(status, size int) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(strings.Repeat("x", size)))}
}

func get() (*http.Request, error) {
	return http.NewRequest(http.MethodGet, "https://api.example.com/", nil) //nolint:noctx // Do sets it
}

func TestClient_limitsExcess(t *testing.T) {
	t.Parallel()
	r := newClient(func(*http.Request) (*http.Response, error) { return respond(http.StatusNotFound, 1<<20), nil }).Do(t.Context(), get)
	require.ErrorIs(t, r.Err, ErrUnexpectedResponse)
	assert.Len(t, r.Body, 1<<10+maxExcess)
}

// A readerFunc is a body.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestClient_contextEndsAfterTheBody(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := newClient(func(*http.Request) (*http.Response, error) {
		resp := respond(http.StatusCreated, 0)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("{}"), readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, io.EOF
		})))
		return resp, nil
	}).Do(ctx, get)
	require.NoError(t, r.Err)
	assert.Equal(t, "{}", string(r.Body))
	assert.False(t, r.Ambiguous)
}

func TestClient_attemptTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newClient(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		r := client.Do(t.Context(), get)
		require.ErrorIs(t, r.Err, context.DeadlineExceeded)
		require.ErrorContains(t, r.Err, "the timeout of the attempt is over")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r = client.Do(ctx, get)
		require.ErrorIs(t, r.Err, context.DeadlineExceeded)
		assert.NotContains(t, r.Err.Error(), "timeout of the attempt")
	})
}

// The context of the caller takes precedence over the limit of new connections.
func TestClient_tooManyConnections(t *testing.T) {
	t.Parallel()
	for _, isCanceled := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		r := newClient(func(r *http.Request) (*http.Response, error) {
			for range maxNewConns {
				httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
			}
			if isCanceled {
				cancel()
			}
			return nil, r.Context().Err()
		}).Do(ctx, get)
		cancel()
		assert.Equal(t, isCanceled, errors.Is(r.Err, context.Canceled), r.Err)
		assert.Equal(t, !isCanceled, errors.Is(r.Err, errTooManyConns), r.Err)
	}
}

// The error and the log of a canceled call may contain the cause of the context.
func TestClient_redactsContextCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("canceled by " + key)
	synctest.Test(t, func(t *testing.T) {
		for _, after := range []time.Duration{0, time.Second} { // before the request, during a delay
			var logged bytes.Buffer
			client := newClient(func(*http.Request) (*http.Response, error) { return respond(http.StatusServiceUnavailable, 0), nil })
			client.Retry = Policy{MaxAttempts: 2, MinDelay: 1000 * time.Hour, MaxDelay: 1000 * time.Hour}
			client.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
			ctx, cancel := context.WithCancelCause(t.Context())
			if after == 0 {
				cancel(cause)
			}
			time.AfterFunc(after, func() { cancel(cause) })
			r := client.Do(ctx, get)
			require.ErrorIs(t, r.Err, cause)
			for _, text := range []string{r.Err.Error(), logged.String()} {
				assert.Contains(t, text, "canceled by [REDACTED]")
				assert.NotContains(t, text, key)
			}
		}
	})
}

// A program may replace http.DefaultTransport at any time.
func TestClient_defaultTransport(t *testing.T) { //nolint:paralleltest // http.DefaultTransport is global
	replaced := http.DefaultTransport
	defer func() { http.DefaultTransport = replaced }()
	client := newClient(nil)
	client.RoundTripper = nil
	http.DefaultTransport = roundTripper(func(*http.Request) (*http.Response, error) { return respond(http.StatusTeapot, 0), nil })
	assert.Equal(t, http.StatusTeapot, client.Do(t.Context(), get).Status)
}
