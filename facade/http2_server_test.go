package facade_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

// testHost is the host of testCertificate.
const testHost = "api.example.com"

// testCertificate returns a certificate and a pool with the certificate. The year in a
// synctest bubble is 2000.
var testCertificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{testHost}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

// clientTLS returns the configuration of a client that trusts testCertificate.
func clientTLS() *tls.Config {
	_, pool := testCertificate()
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: testHost}
}

// newHTTP2Server starts a server with net/http's HTTP/2 and returns the URL and a
// transport.
func newHTTP2Server(t *testing.T, handler http.Handler) (string, *http.Transport) {
	t.Helper()
	certificate, _ := testCertificate()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = discardLog
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := &http.Transport{
		TLSClientConfig: clientTLS(), ForceAttemptHTTP2: true,
		MaxResponseHeaderBytes: 256 << 10,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return server.URL, transport
}

// A webhookCounter performs requests and counts the work: the service without
// its checks.
type webhookCounter struct {
	requests atomic.Int64

	mu      sync.Mutex
	created map[string]int // by URL
	deleted bool           // the only webhook
}

// perform does the work of a request and returns the response.
func (s *webhookCounter) perform(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodPost:
		var model gen.WebhookCreation
		if err := json.NewDecoder(r.Body).Decode(&model); err != nil {
			panic(err)
		}
		if s.created == nil {
			s.created = make(map[string]int)
		}
		s.created[model.URL]++
	case r.Method == http.MethodDelete && s.deleted:
		respond(http.StatusNotFound, `{}`)(w, r)
		return w
	case r.Method == http.MethodDelete:
		s.deleted = true
	}
	succeed(w, r)
	return w
}

// ServeHTTP serves HTTP/1.
func (s *webhookCounter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	response := s.perform(r)
	w.WriteHeader(response.Code)
	_, _ = response.Body.WriteTo(w)
}

// webhooks returns the number of webhooks that were created for url.
func (s *webhookCounter) webhooks(url string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.created[url]
}

// checkCreate checks the result of a create against the number of webhooks.
func (s *webhookCounter) checkCreate(t *testing.T, url string, err error) {
	t.Helper()
	switch made := s.webhooks(url); {
	case err == nil:
		assert.Equal(t, 1, made, "webhooks of a success")
	case errors.Is(err, facade.ErrUnconfirmed):
		assert.LessOrEqual(t, made, 1, "webhooks: %v", err)
	default:
		assert.Zero(t, made, "webhooks: %v", err)
	}
}

// A frameServer is an HTTP/2 server that writes single frames. A test can end
// a stream or a connection at any point.
type frameServer struct {
	webhookCounter
	// begin is called with the header block of a request. It returns false if the
	// request must not be performed.
	begin func(*frameConn, *frameRequest) bool
	// end is called with a request that was performed, to write the response.
	end func(*frameConn, *frameRequest, *httptest.ResponseRecorder)
	// maxStreams is the limit of concurrent streams on a connection. Zero means none.
	maxStreams uint32
	// http1 is the number of first connections with HTTP/1.1, for a single request.
	http1 int64

	conns atomic.Int64
}

// A frameRequest is a request on one stream.
type frameRequest struct {
	stream uint32
	nth    int // on the connection, from 1
	http   *http.Request
	faulty bool // for begin and end
}

// A frameConn is a connection that a frameServer accepted. The reader never writes
// and the writer never reads, because both sides may write at the same time.
type frameConn struct {
	framer *http2.Framer
	raw    net.Conn
	cut    func(length int) int // of the bytes of a frame that are written; nil: all
	tls    *tls.Conn
	queue  chan func()
	block  bytes.Buffer // for encoder
	coder  *hpack.Encoder

	// These belong to the reader.
	requests int    // header blocks so far
	served   int    // requests that were performed
	last     uint32 // the highest stream that is not discarded
	ended    bool   // set by a test that discards all later requests
}

// newFrameTransport returns a transport for s. It needs a synctest bubble.
func newFrameTransport(t *testing.T, s *frameServer) *http.Transport {
	t.Helper()
	var mu sync.Mutex
	var conns []net.Conn
	transport := &http.Transport{
		TLSClientConfig: clientTLS(), ForceAttemptHTTP2: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			mu.Lock()
			conns = append(conns, server)
			mu.Unlock()
			go s.serve(server)
			return client, nil
		},
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	return transport
}

// newFrameClient returns a client of testHost that sends through rt.
func newFrameClient(t *testing.T, rt http.RoundTripper, opts ...facade.Option) *facade.Client {
	t.Helper()
	opts = append([]facade.Option{facade.WithBaseURL("https://" + testHost), facade.WithHTTPClient(&http.Client{Transport: rt})}, opts...)
	client, err := facade.NewClient(testKey, opts...)
	require.NoError(t, err)
	return client
}

// serve serves a connection until one side closes it.
func (s *frameServer) serve(raw net.Conn) {
	defer raw.Close()
	certificate, _ := testCertificate()
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"},
		SessionTicketsDisabled: true,                      // the client does not read tickets before a write
		CurvePreferences:       []tls.CurveID{tls.X25519}, // the fastest
	}
	if s.conns.Add(1) <= s.http1 {
		config.NextProtos = []string{"http/1.1"}
	}
	conn := tls.Server(raw, config)
	if conn.HandshakeContext(context.Background()) != nil {
		return
	}
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		s.serveHTTP1(conn)
		return
	}
	c := &frameConn{raw: raw, tls: conn, queue: make(chan func(), 4096)}
	c.framer = http2.NewFramer(c, conn)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.coder = hpack.NewEncoder(&c.block)
	var writer sync.WaitGroup
	writer.Go(func() {
		for write := range c.queue {
			write()
		}
	})
	defer writer.Wait()
	defer close(c.queue)
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	var settings []http2.Setting
	if s.maxStreams > 0 {
		settings = append(settings, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: s.maxStreams})
	}
	c.write(func() error { return c.framer.WriteSettings(settings...) })
	s.read(c)
}

func (s *frameServer) serveHTTP1(conn net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	s.requests.Add(1)
	response := s.perform(r).Result()
	response.Close = true
	_ = response.Write(conn)
	_ = conn.Close()
}

// read reads frames until the connection is closed.
func (s *frameServer) read(c *frameConn) {
	requests := make(map[uint32]*frameRequest)
	bodies := make(map[uint32]*bytes.Buffer)
	complete := func(stream uint32) {
		r := requests[stream]
		if r == nil {
			return // discarded
		}
		r.http.Body = io.NopCloser(bodies[stream])
		response := s.perform(r.http)
		if s.end != nil {
			s.end(c, r, response)
		} else {
			c.respond(r, response)
		}
		delete(requests, stream)
	}
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			s.requests.Add(1)
			c.requests++
			r := &frameRequest{stream: f.StreamID, nth: c.requests, http: httptest.NewRequestWithContext(context.Background(), f.PseudoValue("method"), f.PseudoValue("path"), nil)}
			if s.begin != nil && !s.begin(c, r) {
				continue
			}
			c.last = f.StreamID
			requests[f.StreamID], bodies[f.StreamID] = r, new(bytes.Buffer)
			if f.StreamEnded() {
				complete(f.StreamID)
			}
		case *http2.DataFrame:
			if body := bodies[f.StreamID]; body != nil {
				body.Write(f.Data())
			}
			if f.StreamEnded() {
				complete(f.StreamID)
			}
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.write(c.framer.WriteSettingsAck)
			}
		case *http2.PingFrame:
			if data := f.Data; !f.IsAck() {
				c.write(func() error { return c.framer.WritePing(true, data) })
			}
		}
	}
}

// write lets the writer call f. Errors mean that the client is gone.
func (c *frameConn) write(f func() error) { c.queue <- func() { _ = f() } }

// Write implements io.Writer for the framer, with one frame at a time.
func (c *frameConn) Write(frame []byte) (int, error) {
	if c.cut != nil {
		frame = frame[:c.cut(len(frame))]
	}
	return c.tls.Write(frame)
}

// respond writes a complete response.
func (c *frameConn) respond(r *frameRequest, response *httptest.ResponseRecorder) {
	body := response.Body.Bytes()
	c.headers(r, response, len(body) == 0)
	if len(body) > 0 {
		c.data(r, body)
	}
}

func (c *frameConn) headers(r *frameRequest, response *httptest.ResponseRecorder, end bool) {
	c.write(func() error {
		c.block.Reset()
		fields := []hpack.HeaderField{{Name: ":status", Value: strconv.Itoa(response.Code)}, {Name: "content-type", Value: "application/json"}}
		if response.Code != http.StatusNoContent {
			fields = append(fields, hpack.HeaderField{Name: "content-length", Value: strconv.Itoa(response.Body.Len())})
		}
		for _, f := range fields {
			_ = c.coder.WriteField(f)
		}
		return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: r.stream, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: end})
	})
}

func (c *frameConn) data(r *frameRequest, body []byte) {
	c.write(func() error { return c.framer.WriteData(r.stream, true, body) })
}

func (c *frameConn) reset(r *frameRequest, code http2.ErrCode) {
	c.write(func() error { return c.framer.WriteRSTStream(r.stream, code) })
}

func (c *frameConn) goAway(last uint32, code http2.ErrCode) {
	c.write(func() error { return c.framer.WriteGoAway(last, code, nil) })
}

// pause waits until all clients wait for the server.
func (c *frameConn) pause() {
	c.write(func() error { <-time.After(time.Millisecond); return nil })
}

// truncate limits all later frames to a part of their bytes.
func (c *frameConn) truncate(cut func(length int) int) {
	c.write(func() error { c.cut = cut; return nil })
}

// close closes the connection as a crash does, without a close_notify of TLS.
func (c *frameConn) close() { c.write(c.raw.Close) }

// errCodeName returns the name of code in RFC 9113.
func errCodeName(code http2.ErrCode) string {
	name, _, _ := strings.Cut(code.String(), " ")
	return name
}
