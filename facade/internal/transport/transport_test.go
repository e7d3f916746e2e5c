package transport //nolint:testpackage // with the other tests of the package

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
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
			limit := 64 << 10
			if test.status != 200 {
				limit = 1 << 10
			}
			assert.Len(t, r.Body, limit)
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
