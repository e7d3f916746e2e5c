//go:build nginx

package facade_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// nginxConfig is for nginx 1.22 and later. DIR and SERVICE are replaced. A connection ends after
// 50 requests, and the server waits one second for a response.
const nginxConfig = `
daemon off;
error_log stderr warn;
pid DIR/pid;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	keepalive_requests 50;
	upstream service {
		server SERVICE;
		keepalive 16;
	}
	server {
		listen unix:DIR/nginx ssl http2;
		ssl_certificate DIR/certificate;
		ssl_certificate_key DIR/key;
		ssl_protocols TLSv1.3;
		location / {
			proxy_pass http://service;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header X-Protocol $server_protocol;
			proxy_read_timeout 1s;
		}
	}
}
`

// newNginx starts nginx in front of handler and returns a transport for it.
func newNginx(t *testing.T, handler http.HandlerFunc) *http.Transport {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx, err = exec.LookPath("/usr/sbin/nginx") // often not in PATH
	}
	require.NoError(t, err, "make test-nginx installs nginx")
	// The path of a socket has at most 107 bytes, and t.TempDir may be longer.
	dir, err := os.MkdirTemp("", "nginx") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	service := httptest.NewServer(handler)
	t.Cleanup(service.Close)
	certificate := testCertificate()
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	for name, content := range map[string][]byte{
		"certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}),
		"key":         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"config":      []byte(strings.NewReplacer("DIR", dir, "SERVICE", service.Listener.Addr().String()).Replace(nginxConfig)),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	var stderr bytes.Buffer
	command := exec.Command(nginx, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "config")) //nolint:noctx // SIGTERM ends it
	command.Stderr = &stderr
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		assert.NoError(t, command.Process.Signal(os.Interrupt))
		assert.NoError(t, command.Wait())
		if stderr.Len() > 0 {
			t.Logf("nginx: %s", &stderr)
		}
	})
	transport := &http.Transport{
		TLSClientConfig: uncheckedTLS(), ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "nginx"))
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	require.Eventually(t, func() bool {
		conn, err := transport.DialContext(t.Context(), "", "")
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "nginx does not listen")
	return transport
}

// nginx ends an HTTP/2 connection after 50 requests while others are in flight.
func TestNginx_connectionRotation(t *testing.T) {
	t.Parallel()
	const creates = 1500
	server := new(webhookCounter)
	var http2 atomic.Int64
	transport := newNginx(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Protocol") == "HTTP/2.0" {
			http2.Add(1)
		}
		server.ServeHTTP(w, r)
	})
	dials := countDials(transport)
	createAll(t, newDirectClient(t, transport), creates, func(url, _ string, err error) {
		assert.NoError(t, err)
		assert.Equal(t, 1, server.webhooks(url))
	})
	assert.EqualValues(t, creates, http2.Load())
	assert.GreaterOrEqual(t, dials.Load(), int64(creates/(50+16)))
}

func TestNginx_504(t *testing.T) {
	t.Parallel()
	server := new(webhookCounter)
	client := newDirectClient(t, newNginx(t, func(_ http.ResponseWriter, r *http.Request) {
		server.ServeHTTP(httptest.NewRecorder(), r)
		<-r.Context().Done()
	}))
	_, err := client.CreateWebhook(t.Context(), validParams)
	require.ErrorIs(t, err, facade.ErrUnconfirmed)
	require.ErrorIs(t, err, facade.ErrServer)
	assert.Equal(t, http.StatusGatewayTimeout, asError(t, err).StatusCode)
	assert.EqualValues(t, 1, server.requests.Load())
	assert.Equal(t, 1, server.webhooks(validParams.URL))
}
