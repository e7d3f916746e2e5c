package facade_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

// testCertificate returns a certificate for servers whose clients use uncheckedTLS.
var testCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func uncheckedTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// A webhookCounter is the service without its checks. It counts the requests and the
// created webhooks. Any ID belongs to one webhook, which can be deleted once.
type webhookCounter struct {
	requests atomic.Int64

	mu      sync.Mutex
	created map[string]int // by URL
	deleted bool
}

// perform does the work of a request and returns the response.
func (s *webhookCounter) perform(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method {
	case http.MethodPost:
		var model gen.WebhookCreation
		if err := json.NewDecoder(r.Body).Decode(&model); err != nil {
			panic(err)
		}
		if s.created == nil {
			s.created = make(map[string]int)
		}
		s.created[model.URL]++
	case http.MethodDelete:
		if s.deleted {
			w.WriteHeader(http.StatusNotFound)
			return w
		}
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

// losingCreates is a handler that closes the connection after the work of a create.
func (s *webhookCounter) losingCreates(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		s.ServeHTTP(w, r)
		return
	}
	s.ServeHTTP(httptest.NewRecorder(), r)
	raw("")(w, r)
}

// webhooks returns the number of webhooks that were created for url.
func (s *webhookCounter) webhooks(url string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.created[url]
}

// A frameServer is an HTTP/2 server that writes single frames. A test can end a stream or
// a connection at any point.
type frameServer struct {
	webhookCounter
	fault      func(*frameRequest) *frameFault // returns nil if the request has no fault
	maxStreams uint32                          // on a connection; zero means no limit
	http1      int64                           // number of first connections with HTTP/1.1, for one request
	conns      atomic.Int64
}

// A frameRequest is a request on one stream.
type frameRequest struct {
	stream       uint32
	nth          int // on the connection, from 1
	method, path string
	body         bytes.Buffer
	fault        *frameFault
}

// A frameConn is a connection that a frameServer accepted. One goroutine reads frames
// from the connection. Another writes frames to out and then to the connection, because
// a net.Pipe blocks if both sides write.
type frameConn struct {
	*http2.Framer
	out  bytes.Buffer
	raw  net.Conn
	conn *tls.Conn
}

// newFrameTransport returns a transport for s. It needs a synctest bubble.
func newFrameTransport(t *testing.T, s *frameServer) *http.Transport {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: uncheckedTLS(), ForceAttemptHTTP2: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			t.Cleanup(func() { _ = server.Close() })
			go s.serve(server)
			return client, nil
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// newDirectClient returns a client with retries. It sends with rt itself, without a wrapper.
func newDirectClient(t *testing.T, rt http.RoundTripper, opts ...facade.Option) *facade.Client {
	t.Helper()
	opts = append([]facade.Option{facade.WithHTTPClient(&http.Client{Transport: rt})}, opts...)
	client, err := facade.NewClient(testKey, opts...)
	require.NoError(t, err)
	return client
}

// serve serves a connection until one side closes it.
func (s *frameServer) serve(raw net.Conn) {
	defer raw.Close()
	protocol := "h2"
	if s.conns.Add(1) <= s.http1 {
		protocol = "http/1.1"
	}
	conn := tls.Server(raw, &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{testCertificate()}, NextProtos: []string{protocol},
		SessionTicketsDisabled: true,                      // the client does not read tickets before a write
		CurvePreferences:       []tls.CurveID{tls.X25519}, // the fastest
	})
	if conn.HandshakeContext(context.Background()) != nil {
		return
	}
	in := bufio.NewReader(conn)
	if protocol == "http/1.1" {
		if r, err := http.ReadRequest(in); err == nil {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			response := w.Result()
			response.Close = true
			_ = response.Write(conn)
		}
		return
	}
	if _, err := in.Discard(len(http2.ClientPreface)); err != nil {
		return
	}
	c := &frameConn{raw: raw, conn: conn}
	c.Framer = http2.NewFramer(&c.out, in)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	writes := make(chan func(), 4096)
	var writer sync.WaitGroup
	writer.Go(func() {
		for write := range writes {
			write()
			c.flush()
		}
	})
	s.read(c, writes)
	close(writes)
	writer.Wait()
}

// read reads frames until the connection is closed.
func (s *frameServer) read(c *frameConn, writes chan<- func()) {
	settings := []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: cmp.Or(s.maxStreams, 1000)}}
	writes <- func() { _ = c.WriteSettings(settings...) }
	requests := make(map[uint32]*frameRequest) // without those that are not performed
	for nth := 1; ; {
		frame, err := c.ReadFrame()
		if err != nil {
			return
		}
		stream := frame.Header().StreamID
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			s.requests.Add(1)
			r := &frameRequest{stream: stream, nth: nth, method: f.PseudoValue("method"), path: f.PseudoValue("path")}
			nth++
			r.fault = s.fault(r)
			if r.fault == nil || r.fault.processed {
				requests[stream] = r
			} else {
				writes <- func() { r.fault.frames(c, stream, nil) }
			}
		case *http2.DataFrame:
			if r := requests[stream]; r != nil {
				r.body.Write(f.Data())
			}
		case *http2.SettingsFrame:
			if !f.IsAck() {
				writes <- func() { _ = c.WriteSettingsAck() }
			}
		}
		r := requests[stream]
		if r == nil || !frame.Header().Flags.Has(http2.FlagDataEndStream) {
			continue
		}
		request := httptest.NewRequestWithContext(context.Background(), r.method, r.path, &r.body)
		response := s.perform(request)
		frames := (*frameConn).respond
		if r.fault != nil {
			frames = r.fault.frames
		}
		writes <- func() { frames(c, stream, response) }
	}
}

// respond writes a complete response.
func (c *frameConn) respond(stream uint32, response *httptest.ResponseRecorder) {
	c.headers(stream, response)
	_ = c.WriteData(stream, true, response.Body.Bytes())
}

func (c *frameConn) headers(stream uint32, response *httptest.ResponseRecorder) {
	var block bytes.Buffer
	status := hpack.HeaderField{Name: ":status", Value: strconv.Itoa(response.Code), Sensitive: true}
	_ = hpack.NewEncoder(&block).WriteField(status)
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
}

func (c *frameConn) flush() {
	_, _ = c.conn.Write(c.out.Bytes()) // an error means that the client is gone
	c.out.Reset()
}

// close closes the connection as a crash does, without a close_notify of TLS.
func (c *frameConn) close() {
	c.flush()
	_ = c.raw.Close()
}

// newServer starts a server of an HTTP version and returns the URL and a transport.
func newServer(t *testing.T, major int, handler http.Handler) (string, *http.Transport) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = discardLog
	server.EnableHTTP2 = major == 2
	if major == 2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	transport := server.Client().Transport.(*http.Transport)
	transport.MaxResponseHeaderBytes = 256 << 10
	return server.URL, transport
}
