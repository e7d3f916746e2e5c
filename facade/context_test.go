package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// The error names the cause of the context in each phase of a call.
func TestClient_contextEnds(t *testing.T) {
	t.Parallel()
	hang := func(start string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(conn, start)
			_, _ = io.Copy(io.Discard, conn) // until the client leaves
			_ = conn.Close()
		}
	}
	phases := []struct {
		name      string
		after     time.Duration
		handler   http.HandlerFunc // nil: no request arrives
		tokens    bool
		ambiguous bool // for a create
	}{
		{name: "before the call"},
		{name: "while it dials", after: time.Second},
		{name: "while it writes the headers", after: time.Second},
		{name: "while it waits for a token", after: time.Second, tokens: true},
		{name: "after the request", after: time.Second, handler: hang(""), ambiguous: true},
		{name: "within the headers", after: time.Second, handler: hang("HTTP/1.1 200 OK\r\nContent-"), ambiguous: true},
		{name: "within the body", after: time.Second, handler: hang("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"), ambiguous: true},
		{name: "during a wait", after: time.Second, handler: tooMany(retryAfter, "30")},
		{name: "during a backoff", after: time.Second, handler: abort, ambiguous: true},
	}
	cause := errors.New("shutting down")
	for _, phase := range phases {
		for _, op := range distinctOperations {
			for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
				isRetry := phase.handler != nil && strings.HasPrefix(phase.name, "during")
				if op.name == "delete" && phase.name == "within the body" || isRetry && (want == context.DeadlineExceeded || op.name == "create" && phase.ambiguous) { //nolint:errorlint // not wrapped
					continue // the call ends before
				}
				t.Run(fmt.Sprint(phase.name, "/", op.name, "/", want), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						server := newScript(phase.handler, succeed)
						transport := newPipeTransport(t, func(w http.ResponseWriter, r *http.Request) {
							if isTokenRequest(r) {
								<-time.After(20 * time.Second)
								respond(http.StatusOK, `{"token_type":"Bearer","access_token":"a"}`)(w, r)
								return
							}
							server.ServeHTTP(w, r)
						})
						switch phase.name {
						case "while it dials":
							transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
								<-ctx.Done()
								return nil, ctx.Err()
							}
						case "while it writes the headers":
							transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
								conn, _ := net.Pipe()
								return conn, nil
							}
						}
						opts := []facade.Option{facade.WithBaseURL("http://localhost"), facade.WithRetry(facade.RetryPolicy{MinDelay: 10_000 * time.Hour, MaxDelay: 10_000 * time.Hour})}
						if phase.tokens {
							opts = append(opts, facade.WithTokenExchange())
						}
						client := newClientWith(t, transport, opts...)
						ctx, cancel := context.WithCancelCause(t.Context())
						defer cancel(nil)
						switch {
						case want == context.DeadlineExceeded: //nolint:errorlint // not wrapped
							var stop context.CancelFunc
							ctx, stop = context.WithTimeoutCause(ctx, phase.after, cause)
							defer stop()
						case phase.after == 0:
							cancel(cause)
						default:
							defer time.AfterFunc(phase.after, func() { cancel(cause) }).Stop()
						}
						start := time.Now()
						err := op.call(ctx, client)
						assert.Equal(t, phase.after, time.Since(start))
						require.ErrorIs(t, err, want)
						require.ErrorIs(t, err, cause)
						require.ErrorContains(t, err, "shutting down")
						require.NotErrorIs(t, err, facade.ErrUnexpectedResponse)
						assert.Equal(t, phase.ambiguous && op.name == "create", errors.Is(err, facade.ErrUnconfirmed), err)
						switch phase.name {
						case "during a wait":
							require.ErrorIs(t, err, facade.ErrTooManyRequests)
							assert.Equal(t, 30*time.Second, asError(t, err).RetryAfter)
						case "during a backoff":
							require.ErrorContains(t, err, "EOF")
						}
						<-time.After(2 * time.Minute)
						if phase.handler != nil {
							assert.Equal(t, 1, server.requests(), "no request is sent later")
						} else {
							assert.Zero(t, server.requests())
						}
					})
				})
			}
		}
	}
}
