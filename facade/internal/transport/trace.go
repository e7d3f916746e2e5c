package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// maxNewConns is the number of new connections that net/http may open for an attempt.
// Over HTTP/2 net/http resends a request after each reset with PROTOCOL_ERROR, on a new
// connection and without a limit. Over HTTP/1 one new connection suffices.
const maxNewConns = 10

var (
	errResent       = errors.New("the request may have been processed and is not sent again")
	errTooManyConns = fmt.Errorf("the attempt was ended after %d new connections, because the server ends connections or resets streams", maxNewConns)
)

// A trace observes one attempt: the events of net/http, and for any other
// transport the reads of the request body.
type trace struct {
	hooks    httptrace.ClientTrace
	cancel   context.CancelFunc
	standard bool         // the transport is an *http.Transport
	method   string       // of the request
	hasBody  bool         // the request has a body
	wantConn atomic.Bool  // the transport has asked for a connection
	hasConn  atomic.Bool  // the transport has got a connection
	newConns atomic.Int32 // connections that were not reused
	// unsafe counts the headers after which net/http may resend a processed
	// request: one per request over HTTP/2, and each idempotency key over HTTP/1.
	unsafe     atomic.Int32
	sameMethod atomic.Bool // over HTTP/2, the current header block has the method of the request

	mu       sync.Mutex
	headers  []string // that a request has once
	repeated bool     // one of them was written twice

	// For a transport that is not standard:
	bodyRead     atomic.Bool
	unsafeAtRead atomic.Int32 // unsafe at the first read of the body
}

func newTrace(cancel context.CancelFunc) *trace { return &trace{cancel: cancel} }

// watch returns req with ctx and the hooks of t. net/http needs GetBody to resend a
// body. Over HTTP/2 a POST has no GetBody. The error of net/http then contains the
// reason why the server did not process the request. Over HTTP/1 GetBody serves dead
// pooled connections, and fails if the server may have processed the request. A
// transport other than an *http.Transport gets no GetBody and a tracked body.
func (t *trace) watch(ctx context.Context, req *http.Request, rt http.RoundTripper, http1 bool) *http.Request {
	_, t.standard = rt.(*http.Transport)
	t.method = req.Method
	t.hasBody = req.Body != nil && req.Body != http.NoBody
	t.hooks.GotConn = t.gotConn
	if req.Method != http.MethodGet { // the other hooks would only cost time
		t.hooks.GetConn = t.getConn
		t.hooks.WroteHeaderField = t.wroteHeaderField
	}
	req = req.WithContext(httptrace.WithClientTrace(ctx, &t.hooks))
	if !t.hasBody {
		return req
	}
	getBody := req.GetBody
	req.GetBody = nil
	if !t.standard {
		req.Body = &trackedBody{req.Body, t}
	} else if getBody != nil && (http1 || req.URL.Scheme == "http") {
		req.GetBody = func() (io.ReadCloser, error) {
			if t.unsafe.Load() > 0 {
				return nil, errResent
			}
			return getBody()
		}
	}
	return req
}

// A trackedBody records the first read. An *http.Transport needs no tracking: the
// events are reliable, and for a body of unknown type the headers would be flushed
// separately.
type trackedBody struct {
	io.ReadCloser

	trace *trace
}

func (b *trackedBody) Read(p []byte) (int, error) {
	if !b.trace.bodyRead.Load() { // the reads of a body are not concurrent
		b.trace.unsafeAtRead.Store(b.trace.unsafe.Load())
		b.trace.bodyRead.Store(true)
	}
	return b.ReadCloser.Read(p)
}

func (t *trace) getConn(string) { t.wantConn.Store(true) }

func (t *trace) gotConn(info httptrace.GotConnInfo) {
	t.hasConn.Store(true)
	if !info.Reused && t.newConns.Add(1) == maxNewConns {
		t.cancel()
	}
}

func (t *trace) wroteHeaderField(name string, values []string) {
	t.hasConn.Store(true) // http.Request.Write has no other event
	switch name {         // in lower case over HTTP/2
	case ":method": // before ":path"
		t.sameMethod.Store(slices.Equal(values, []string{t.method}))
		t.unsafe.Add(1)
	case ":path":
		if t.sameMethod.Load() {
			t.record(name + " " + strings.Join(values, " "))
		}
	case "Idempotency-Key", "X-Idempotency-Key":
		t.record(name)
		t.unsafe.Add(1)
	}
}

func (t *trace) record(header string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.repeated = t.repeated || slices.Contains(t.headers, header)
	t.headers = append(t.headers, header)
}

// notSent reports whether a request that failed with err was certainly not processed.
// An *http.Transport reports each connection. Any other transport may have several
// ways to send a request. Then an unread body is proof, and so is an error of HTTP/2
// if the body was read once, after a single header block.
func (t *trace) notSent(err error) bool {
	unsafe := t.unsafe.Load()
	if t.standard {
		return t.wantConn.Load() && !t.hasConn.Load() || notProcessed(err, unsafe > 0)
	}
	sentOnce := t.unsafeAtRead.Load() == 1 && unsafe == 1
	return t.hasBody && (!t.bodyRead.Load() || sentOnce && notProcessed(err, true))
}

// canceled reports whether the attempt was canceled because of too many connections.
func (t *trace) canceled() bool { return t.newConns.Load() >= maxNewConns }

// resent reports whether net/http may have sent the request twice. A transport may
// change the URL, and may send requests of its own with another method or path.
func (t *trace) resent() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.repeated
}

// notProcessed reports whether err is an error of net/http for a request over HTTP/2
// that the server did not process. net/http exports no errors for these cases, only
// texts. With any other text the request is ambiguous.
func notProcessed(err error, wroteHeader bool) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		text := err.Error()
		switch {
		case text == "net/http: cannot rewind body after connection loss":
			return !wroteHeader // no stream was free on the connection
		case strings.HasPrefix(text, "http2: Transport: cannot retry err ["):
			return strings.Contains(text, "; REFUSED_STREAM; ") || strings.Contains(text, "graceful shutdown GOAWAY]")
		}
	}
	return false
}
