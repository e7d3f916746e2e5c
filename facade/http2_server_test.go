package facade_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
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
	public, private, _ := ed25519.GenerateKey(nil)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
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

func (s *webhookCounter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodDelete && s.deleted {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	s.deleted = s.deleted || r.Method == http.MethodDelete
	var model gen.WebhookCreation
	if r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&model) == nil {
		if s.created == nil {
			s.created = make(map[string]int)
		}
		s.created[model.URL]++
	}
	succeed(w, r)
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
	fault      func(nth int) *frameFault // of the nth request on a connection, from 1; nil means none
	maxStreams uint32                    // on a connection; zero means no limit
	http1      int64                     // number of first connections with HTTP/1.1, for one request
	streams    atomic.Int64              // requests over HTTP/2
	conns      atomic.Int64
}

// A frameRequest is a request on one stream.
type frameRequest struct {
	*http.Request
	body  bytes.Buffer
	fault *frameFault
}

// A frameConn is a connection that a frameServer accepted. One goroutine reads frames
// from the connection. Another writes frames to out and then to the connection, because
// a net.Pipe blocks if both sides write.
type frameConn struct {
	*http2.Framer
	out  bytes.Buffer
	raw  net.Conn
	conn *tls.Conn

	// Of the request that the writer serves:
	stream   uint32
	response *httptest.ResponseRecorder
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
	_, _ = in.Discard(len(http2.ClientPreface))
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
	limit := http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: cmp.Or(s.maxStreams, 1000)}
	writes <- func() { _, _ = c.WriteSettings(limit), c.WriteSettingsAck() }
	requests := make(map[uint32]*frameRequest) // without those that are not performed
	for nth := 1; ; {
		frame, err := c.ReadFrame()
		if err != nil {
			return
		}
		stream := frame.Header().StreamID
		r := requests[stream]
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			s.streams.Add(1)
			r = &frameRequest{fault: s.fault(nth)}
			r.Request = httptest.NewRequestWithContext(context.Background(), f.PseudoValue("method"), f.PseudoValue("path"), &r.body)
			nth++
			if r.fault != nil && !r.fault.processed {
				writes <- func() {
					c.stream = stream
					r.fault.frames(c)
				}
				continue
			}
			requests[stream] = r
		case *http2.DataFrame:
			if r != nil {
				r.body.Write(f.Data())
			}
		}
		if r != nil && frame.Header().Flags.Has(http2.FlagDataEndStream) {
			response, frames := httptest.NewRecorder(), (*frameConn).respond
			s.ServeHTTP(response, r.Request)
			if r.fault != nil {
				frames = r.fault.frames
			}
			writes <- func() {
				c.stream, c.response = stream, response
				frames(c)
			}
		}
	}
}

// respond writes a complete response.
func (c *frameConn) respond() {
	c.headers()
	_ = c.WriteData(c.stream, true, c.response.Body.Bytes())
}

func (c *frameConn) headers() {
	var block bytes.Buffer
	status := hpack.HeaderField{Name: ":status", Value: strconv.Itoa(c.response.Code), Sensitive: true}
	_ = hpack.NewEncoder(&block).WriteField(status)
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: block.Bytes(), EndHeaders: true})
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
