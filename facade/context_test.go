package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// A phase is a part of a call, in which the context of the call ends.
type phase struct {
	name      string
	handler   http.HandlerFunc // of the first request; nil: no request arrives
	dial      func(context.Context, string, string) (net.Conn, error)
	token     bool   // the call requests a token
	before    bool   // the context ends before the call, else after a second
	ambiguous bool   // for a create
	wait      string // in the error if the client waits for a retry
}

// The error names the cause of the context in each phase of a call, without the key.
func TestClient_contextEnds(t *testing.T) {
	t.Parallel()
	for _, phase := range []phase{
		{name: "before the call", before: true},
		{name: "while it dials", dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}},
		{name: "while it writes the headers", dial: func(context.Context, string, string) (net.Conn, error) {
			conn, _ := net.Pipe()
			return conn, nil
		}},
		{name: "while it waits for a token", token: true},
		{name: "after the request", handler: silent(""), ambiguous: true},
		{name: "within the headers", handler: silent("HTTP/1.1 200 OK\r\nContent-"), ambiguous: true},
		{name: "within the body", handler: silent("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), ambiguous: true},
		{name: "during a wait", handler: tooMany(retryAfter, "30"), wait: "retry after 30s"},
		{name: "during a backoff", handler: abort, ambiguous: true, wait: "EOF"},
	} {
		for _, op := range distinctOperations {
			for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
				switch {
				case phase.name == "within the body" && op.name == "delete", // the status suffices
					phase.wait != "" && errors.Is(want, context.DeadlineExceeded),
					phase.wait == "EOF" && op.name == "create":
					continue // the call ends before
				}
				t.Run(fmt.Sprint(phase.name, "/", op.name, "/", want), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { testContextEnds(t, phase, op, want) })
				})
			}
		}
	}
}

func testContextEnds(t *testing.T, phase phase, op operation, want error) {
	t.Helper()
	server := newScript(phase.handler, succeed)
	transport := newPipeTransport(t, func(w http.ResponseWriter, r *http.Request) {
		if isTokenRequest(r) {
			<-time.After(20 * time.Second)
			respond(http.StatusOK, `{"token_type":"Bearer","access_token":"a"}`)(w, r)
			return
		}
		server.ServeHTTP(w, r)
	})
	if phase.dial != nil {
		transport.DialContext = phase.dial
	}
	recorder := newLogRecorder(slog.LevelDebug)
	opts := []facade.Option{
		withLocalhost,
		facade.WithRetry(facade.RetryPolicy{MinDelay: longBackoff, MaxDelay: longBackoff}),
		facade.WithLogger(slog.New(recorder)),
	}
	if phase.token {
		opts = append(opts, facade.WithTokenExchange())
	}
	client := newClientWith(t, transport, opts...)
	cause, after := errors.New("shutting down "+testKey), time.Second
	if phase.before {
		after = 0
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	if errors.Is(want, context.DeadlineExceeded) {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, after, cause)
		defer stop()
	} else {
		time.AfterFunc(after, func() { cancel(cause) })
		synctest.Wait()
	}
	start := time.Now()
	err := op.call(ctx, client)
	assert.Equal(t, after, time.Since(start))
	require.ErrorIs(t, err, want)
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, facade.ErrUnexpectedResponse)
	require.ErrorContains(t, err, phase.wait)
	if phase.name == "during a wait" {
		require.ErrorIs(t, err, facade.ErrTooManyRequests)
		assert.Equal(t, http.StatusTooManyRequests, asError(t, err).StatusCode)
	}
	assert.Equal(t, phase.ambiguous && op.name == "create", errors.Is(err, facade.ErrUnconfirmed), err)
	for _, text := range []string{err.Error(), recorder.lines.String()} {
		assert.Contains(t, text, "shutting down [REDACTED]")
		assert.NotContains(t, text, testKey)
	}
	<-time.After(2 * time.Minute) // no request is sent later
	assert.Equal(t, phase.handler != nil, server.requests() == 1)
	assert.LessOrEqual(t, server.requests(), 1)
}

// A body that is complete is a success, although the context has ended.
func TestClient_contextEndsAfterTheBody(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	client := newClientWith(t, roundTripper(func(*http.Request) (*http.Response, error) {
		resp := newResponse(http.StatusCreated, webhookJSON(1), nil)
		resp.Body = io.NopCloser(io.MultiReader(resp.Body, readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, io.EOF
		})))
		return resp, nil
	}))
	require.NoError(t, createWebhook(ctx, client))
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// The context of the caller takes precedence over the timeout and the limit of an
// attempt.
func TestClient_attemptEnds(t *testing.T) {
	t.Parallel()
	for want, end := range map[string]func(context.Context){
		"the timeout of the attempt is over": func(ctx context.Context) { <-ctx.Done() },
		"after 10 new connections": func(ctx context.Context) {
			for range 10 {
				httptrace.ContextClientTrace(ctx).GotConn(httptrace.GotConnInfo{})
			}
		},
	} {
		for _, isCanceled := range []bool{false, true} { // by the caller
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := getWebhook(ctx, newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					if isCanceled {
						cancel()
					}
					end(r.Context())
					return nil, r.Context().Err()
				})))
				assert.Equal(t, isCanceled, errors.Is(err, context.Canceled), err)
				assert.Equal(t, !isCanceled, strings.Contains(err.Error(), want), err)
			})
		}
	}
}
