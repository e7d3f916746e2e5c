//go:build go1.26

package facade_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// newClientConn returns a transport that sends each request on a separate
// connection, which transport does not know.
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
	open := func(t *testing.T, s *webhookCounter) http.RoundTripper {
		t.Helper()
		return newClientConn(t, newPipeTransport(t, s.losingCreates), "http", "localhost:80")
	}
	lostWays := []way{
		{"lost, ClientConn", open},
		{"lost, detached ClientConn", func(t *testing.T, s *webhookCounter) http.RoundTripper {
			t.Helper()
			return detached(open(t, s))
		}},
	}
	for _, lost := range lostWays {
		for _, refused := range refusedWays {
			for _, order := range [][2]way{{refused, lost}, {lost, refused}} {
				t.Run(order[0].name+"/"+order[1].name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						server := new(webhookCounter)
						checkFallback(t, server, fallback{ways: [2]http.RoundTripper{order[0].open(t, server), order[1].open(t, server)}}, true)
					})
				})
			}
		}
		t.Run(lost.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := new(webhookCounter)
				checkFallback(t, server, lost.open(t, server), true)
			})
		})
	}
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
				server := newFaultServer(f, http.MethodPost, -1)
				conn := newClientConn(t, newFrameTransport(t, server), "https", testHost+":443")
				client := newFrameClient(t, fallback{ways: [2]http.RoundTripper{newRefusedTransport(), conn}}, defaultRetries)
				_, err := client.CreateWebhook(t.Context(), validParams)
				require.ErrorIs(t, err, facade.ErrUnconfirmed)
				assert.Equal(t, 1, server.webhooks(validParams.URL))
				assert.EqualValues(t, 1, server.requests.Load())
			})
		})
	}
}
