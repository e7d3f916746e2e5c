package transport //nolint:testpackage // with the other tests of the package

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
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

func TestClient_limitsBodies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		status, size int
		tooLarge     bool
		attempts     int
	}{
		{"200 at the limit", 200, 64 << 10, false, 1},
		{"200 above the limit", 200, 64<<10 + 1, true, 1},
		{"404 at the limit", 404, 1 << 10, false, 1},
		{"404 above the limit", 404, 1<<10 + 1, true, 1},
		{"503 above the limit", 503, 1<<10 + 1, true, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newClient(func(*http.Request) (*http.Response, error) { return respond(test.status, test.size), nil }).Do(t.Context(), get)
			assert.Equal(t, test.tooLarge, errors.Is(r.Err, ErrUnexpectedResponse))
			assert.Equal(t, test.attempts, r.Attempts)
			assert.Len(t, r.Body, test.size, "with the excess that a caller redacts and truncates")
		})
	}
}

// A transport may change the headers of its request in place, or delete them.
func TestClient_headersOfEachAttempt(t *testing.T) {
	t.Parallel()
	var sent []string
	client := newClient(func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.Header.Get("Authorization")+r.Header.Get("Accept"))
		r.Header["Authorization"][0] = "masked"
		r.Header["Accept"][0] = "masked"
		r.Header.Del("Accept")
		return respond(503, 0), nil
	})
	for range 2 {
		client.Do(t.Context(), get)
	}
	require.Len(t, sent, 6)
	for _, header := range sent {
		assert.Equal(t, sent[0], header)
	}
}

func TestClient_roundTripperWithoutResponse(t *testing.T) {
	t.Parallel()
	r := newClient(func(*http.Request) (*http.Response, error) { return nil, nil }).Do(t.Context(), get) //nolint:nilnil // the point
	require.ErrorContains(t, r.Err, "no response and no error")
	r = newClient(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusNoContent}, nil
	}).Do(t.Context(), get)
	require.NoError(t, r.Err)
}

func TestContextError(t *testing.T) {
	t.Parallel()
	cause, lost := errors.New("shutting down"), errors.New("lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	require.NoError(t, contextError(ctx, nil))
	require.Equal(t, lost, contextError(ctx, lost))
	cancel(cause)
	for _, err := range []error{nil, lost, cause, context.Canceled} {
		got := contextError(ctx, err)
		require.ErrorIs(t, got, cause)
		require.ErrorIs(t, got, context.Canceled)
		if err != nil {
			require.ErrorIs(t, got, err)
		}
	}
	assert.EqualError(t, contextError(ctx, nil), "context canceled: shutting down")
}

func TestClient_redactsErrors(t *testing.T) {
	t.Parallel()
	r := newClient(func(*http.Request) (*http.Response, error) { return nil, errors.New("bad header " + key) }).Do(t.Context(), get)
	require.EqualError(t, r.Err, `Get "https://api.example.com/": bad header [REDACTED]`)
	var e *url.Error
	require.ErrorAs(t, r.Err, &e)
}

func TestClient_limitsExcess(t *testing.T) {
	t.Parallel()
	r := newClient(func(*http.Request) (*http.Response, error) { return respond(http.StatusNotFound, 1<<20), nil }).Do(t.Context(), get)
	require.ErrorIs(t, r.Err, ErrUnexpectedResponse)
	assert.Len(t, r.Body, 1<<10+maxExcess)
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
