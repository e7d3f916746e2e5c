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
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

// A frameFault is the end of a stream or of a connection.
type frameFault struct {
	name   string
	frames func(*frameConn)

	processed   bool // the work is done before
	unprocessed bool // the client learns from the frames that no work was done
	unclear     bool // net/http hides whether no work was done
	later       bool // on a connection that has served a request before
	status      bool // the client receives the headers of the response
}

// frameFaults returns each fault, where possible once before the work and once after it.
func frameFaults() []frameFault {
	var all []frameFault
	before := func(f frameFault) {
		f.name += ", before the work"
		all = append(all, f)
	}
	after := func(f frameFault) {
		f.processed, f.name = true, f.name+", after the work"
		all = append(all, f)
	}
	for code := range http2.ErrCodeHTTP11Required + 1 {
		if raceEnabled && code%7 != 0 { // all but NO_ERROR and REFUSED_STREAM
			continue
		}
		reset := func(c *frameConn) { _ = c.WriteRSTStream(c.stream, code) }
		name, isRefused := fmt.Sprint("RST_STREAM ", code), code == http2.ErrCodeRefusedStream
		before(frameFault{name: name, unprocessed: isRefused, frames: reset})
		if !isRefused { // or the server breaks the protocol
			after(frameFault{name: name, frames: reset})
		}
		after(frameFault{name: "HEADERS and " + name, status: true, frames: func(c *frameConn) {
			c.headers()
			reset(c)
		}})
	}
	for _, code := range []http2.ErrCode{http2.ErrCodeNo, http2.ErrCodeProtocol, http2.ErrCodeEnhanceYourCalm} {
		name, below := fmt.Sprint("GOAWAY ", code), func(c *frameConn) { _ = c.WriteGoAway(c.stream-1, code, nil) }
		// net/http hides that the first stream of a connection was not processed.
		isHidden := code != http2.ErrCodeNo
		before(frameFault{name: name + ", first stream", unprocessed: !isHidden, unclear: isHidden, frames: below})
		before(frameFault{name: name + ", second stream", unprocessed: true, later: true, frames: below})
		for _, more := range []uint32{0, 2} {
			f := frameFault{name: fmt.Sprintf("%s, last stream + %d", name, more), frames: func(c *frameConn) {
				_ = c.WriteGoAway(c.stream+more, code, nil)
				c.close()
			}}
			before(f)
			after(f)
		}
	}
	for _, later := range []bool{false, true} {
		f := frameFault{name: fmt.Sprint("connection closed, later: ", later), later: later, frames: (*frameConn).close}
		before(f)
		after(f)
	}
	after(frameFault{name: "closed within a frame header", frames: func(c *frameConn) {
		c.out.WriteString("\x00\x00\x01\x01\x04") // of HEADERS
		c.close()
	}})
	after(frameFault{name: "closed within HEADERS", frames: func(c *frameConn) {
		c.headers()
		c.out.Truncate(c.out.Len() - 2)
		c.close()
	}})
	after(frameFault{name: "closed within DATA", status: true, frames: func(c *frameConn) {
		c.respond()
		c.out.Truncate(c.out.Len() - 5)
		c.close()
	}})
	return all
}

// A frameCall is a call to a server with a frameFault.
type frameCall struct {
	name   string
	op     operation
	always bool // the fault occurs always, and else for the first request
	http1  bool // the connection before had HTTP/1
	// indirect means that the client does not know the protocol or the transport. It may
	// then return ErrUnconfirmed for a request that was not processed.
	indirect bool
	wrap     func(http.RoundTripper) http.RoundTripper
}

func TestHTTP2Faults(t *testing.T) {
	t.Parallel()
	create, get, del := distinctOperations[0], distinctOperations[1], distinctOperations[2]
	withTrace := withHeader("Traceparent", "1")
	withKey := withHeader("Idempotency-Key", "1")
	for _, call := range []frameCall{
		{name: "create", op: create},
		{name: "create, always", op: create, always: true},
		{name: "create after HTTP 1", op: create, http1: true, indirect: true},
		{name: "create, wrapped transport", op: create, indirect: true, wrap: withTrace},
		{name: "create, Idempotency-Key", op: create, always: true, indirect: true, wrap: withKey},
		{name: "get", op: get},
		{name: "get, always", op: get, always: true},
		{name: "delete", op: del},
		{name: "delete, always", op: del, always: true},
		{name: "delete, transport that adds a query", op: del, wrap: withQuery},
	} {
		if raceEnabled && call.op.name != "create" {
			continue // too slow
		}
		for _, f := range frameFaults() {
			t.Run(call.name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { checkFrameFault(t, f, call) })
			})
		}
	}
}

// withHeader returns a wrapper that sets a header as a tracing library does.
func withHeader(name string, values ...string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header[name] = values
			return next.RoundTrip(r)
		})
	}
}

func withQuery(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.RawQuery = "tenant=1"
		return next.RoundTrip(r)
	})
}

// checkFrameFault makes a call and compares the result with the webhooks of the server.
func checkFrameFault(t *testing.T, f frameFault, call frameCall) {
	t.Helper()
	var isFaulty atomic.Bool
	server := &frameServer{fault: func(int) *frameFault {
		if call.always && isFaulty.Load() || isFaulty.CompareAndSwap(true, false) {
			return &f
		}
		return nil
	}}
	retry := defaultRetries
	if call.always {
		retry = withoutRetries
	}
	if call.http1 {
		server.http1 = 1
	}
	var rt http.RoundTripper = newFrameTransport(t, server)
	if call.wrap != nil {
		rt = call.wrap(rt)
	}
	client := newDirectClient(t, rt, retry)
	if f.later || call.http1 {
		require.NoError(t, getWebhook(t.Context(), client))
	}
	if f.later && call.http1 {
		require.NoError(t, getWebhook(t.Context(), client)) // over HTTP/2
	}
	isFaulty.Store(true)
	before := server.streams.Load()
	err := call.op.call(t.Context(), client)
	sent, made := server.streams.Load()-before, server.webhooks(validParams.URL)

	// net/http itself sends a request again, on up to 10 new connections.
	assert.LessOrEqual(t, sent, int64(11))
	if call.always && sent >= 9 {
		require.ErrorContains(t, err, "after 10 new connections")
		require.NotErrorIs(t, err, context.Canceled)
	}
	isUnconfirmed := errors.Is(err, facade.ErrUnconfirmed)
	switch {
	case call.op.name != "create":
		require.NotErrorIs(t, err, facade.ErrNotFound, "there was a webhook")
		if !call.always || call.op.name == "delete" && f.status {
			require.NoError(t, err)
		} else if !f.later {
			require.Error(t, err)
		}
	case f.unclear || f.unprocessed && call.indirect:
		assert.LessOrEqual(t, made, 1)
		assert.True(t, isUnconfirmed || (err == nil) == (made == 1), err)
	case f.unprocessed:
		assert.False(t, isUnconfirmed, err)
		if !call.always {
			require.NoError(t, err)
			assert.EqualValues(t, 2, sent)
			assert.Equal(t, 1, made)
		}
	default:
		require.ErrorIs(t, err, facade.ErrUnconfirmed)
		assert.EqualValues(t, 1, sent)
		assert.Equal(t, f.processed, made == 1)
	}
}

// createAll creates webhooks from concurrent callers and calls check for each. The ID is
// empty after an error.
func createAll(t *testing.T, client *facade.Client, creates int, check func(url, id string, err error)) {
	t.Helper()
	const workers = 16
	var mu sync.Mutex
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := next.Add(1); i <= int64(creates); i = next.Add(1) {
				p := validParams
				p.URL = fmt.Sprintf("https://hooks.example.com/%d", i)
				wh, err := client.CreateWebhook(t.Context(), p)
				if err != nil {
					wh = new(facade.Webhook)
				}
				mu.Lock()
				check(p.URL, wh.ID, err)
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

// A server or a load balancer ends each connection after a number of requests.
func TestCreateWebhook_connectionRotation(t *testing.T) {
	t.Parallel()
	creates := 1000
	if raceEnabled {
		creates = 120
	}
	for _, test := range []struct {
		name          string
		creates, each int    // requests, and requests on a connection
		announced     bool   // a first GOAWAY without a last stream, as in Go and Envoy
		maxStreams    uint32 // of a connection
		wrap          func(http.RoundTripper) http.RoundTripper
	}{
		{"50 requests a connection", creates, 50, false, 0, nil},
		{"50 requests a connection, two GOAWAYs", 120, 50, true, 0, nil},
		{"7 requests a connection, 4 streams", 120, 7, false, 4, nil},
		{"50 requests a connection, wrapped transport", 120, 50, false, 0, withHeader("Traceparent", "1")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var discarded, rotations atomic.Int64
				rotation := frameFault{processed: true}
				rotation.frames = func(c *frameConn) {
					if rotations.Add(1) == 1 {
						<-time.After(time.Millisecond) // all callers have sent a request
					}
					if test.announced {
						_ = c.WriteGoAway(1<<31-1, http2.ErrCodeNo, nil)
					}
					_ = c.WriteGoAway(c.stream, http2.ErrCodeNo, nil)
					c.respond()
				}
				discard := frameFault{frames: func(*frameConn) { discarded.Add(1) }}
				server := &frameServer{maxStreams: test.maxStreams, fault: func(nth int) *frameFault {
					switch {
					case nth == test.each:
						return &rotation
					case nth > test.each:
						return &discard
					}
					return nil
				}}
				var transport http.RoundTripper = newFrameTransport(t, server)
				if test.wrap != nil {
					transport = test.wrap(transport)
				}
				createAll(t, newDirectClient(t, transport), test.creates, func(url, _ string, err error) {
					assert.NoError(t, err)
					assert.Equal(t, 1, server.webhooks(url))
				})
				assert.GreaterOrEqual(t, server.conns.Load(), int64(test.creates/(test.each+16)))
				assert.Positive(t, discarded.Load(), "requests in flight during a GOAWAY")
			})
		})
	}
}

// testCertificate returns a certificate of an unknown authority. Clients use uncheckedTLS.
var testCertificate = sync.OnceValue(func() tls.Certificate {
	public, private, _ := ed25519.GenerateKey(nil)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"ws.api.video"}, NotAfter: time.Now().AddDate(100, 0, 0),
	}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
})

func uncheckedTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// A webhookCounter is a service that accepts all requests. It counts the requests and the
// created webhooks. All IDs name the same webhook, which can be deleted once.
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
	_, _ = c.conn.Write(c.out.Bytes()) // an error means that the client has closed it
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
