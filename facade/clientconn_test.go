//go:build go1.26

package facade_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// newClientConn returns a transport that sends each request on a separate connection,
// which transport does not know.
func newClientConn(t *testing.T, transport *http.Transport, scheme, address string) http.RoundTripper {
	t.Helper()
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		conn, err := transport.NewClientConn(r.Context(), scheme, address)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn.RoundTrip(r)
	})
}

func TestCreateWebhook_clientConn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := new(webhookCounter)
		conn := newClientConn(t, newPipeTransport(t, server.losingCreates), "http", "localhost:80")
		checkFallback(t, "ClientConn", server, conn)
		checkFallback(t, "ClientConn detached", server, detached(conn))
	})
}

func TestHTTP2Faults_clientConn(t *testing.T) {
	t.Parallel()
	for _, f := range frameFaults() {
		if !f.processed || f.later { // all connections are new
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				wrap := func(rt http.RoundTripper) http.RoundTripper {
					transport, ok := rt.(*http.Transport)
					require.True(t, ok)
					conn := newClientConn(t, transport, "https", "ws.api.video:443")
					return fallback(newRefusedTransport(t, nil, 1000), conn)
				}
				checkFrameFault(t, f, frameCall{op: distinctOperations[0], always: true, indirect: true, wrap: wrap})
			})
		})
	}
}
