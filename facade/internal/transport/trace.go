package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
)

// maxNewConns is the number of new connections that net/http may open for an attempt.
// Over HTTP/2 net/http resends a request after each reset with PROTOCOL_ERROR, on a new
// connection and without a limit. Over HTTP/1 one new connection suffices.
const maxNewConns = 10

var (
	errResent       = errors.New("the request may have been processed and is not sent again")
	errTooManyConns = fmt.Errorf("the attempt was ended after %d new connections", maxNewConns)
)

// A trace observes one attempt: the events of net/http, and for any other
// transport the reads of the request body.
type trace struct {
	hooks    httptrace.ClientTrace
	cancel   context.CancelFunc
	standard bool         // the transport is an *http.Transport
	method   string       // of the request
	hasBody  bool         // the request has a body
	bodyRead atomic.Int32 // by a transport that is not standard: 1 + unsafe at the first read
	asked    atomic.Bool  // for a connection
	got      atomic.Bool  // a connection
	newConns atomic.Int32 // connections that were not reused
	// unsafe counts the header blocks after which net/http may resend a processed
	// request: all over HTTP/2, and over HTTP/1 the ones with an idempotency key.
	unsafe atomic.Int32
	sent   atomic.Int32 // header blocks over HTTP/2 with the method of the request
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
	} else if getBody != nil && (http1 || req.URL.Scheme == "http" || req.Method != http.MethodPost) {
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
	b.trace.bodyRead.CompareAndSwap(0, 1+b.trace.unsafe.Load())
	return b.ReadCloser.Read(p)
}

func (t *trace) getConn(string) { t.asked.Store(true) }

func (t *trace) gotConn(info httptrace.GotConnInfo) {
	t.got.Store(true)
	if !info.Reused && t.newConns.Add(1) == maxNewConns {
		t.cancel()
	}
}

func (t *trace) wroteHeaderField(name string, values []string) {
	t.got.Store(true) // http.Request.Write has no other event
	switch name {
	case ":method":
		if len(values) == 1 && values[0] == t.method { // otherwise a request of the transport
			t.sent.Add(1)
		}
		t.unsafe.Add(1)
	case "Idempotency-Key", "X-Idempotency-Key": // in lower case over HTTP/2
		t.unsafe.Add(1)
	}
}

// notSent reports whether a request that failed with err was certainly not processed.
// An *http.Transport reports each connection. Any other transport may have several
// ways to send a request. Then an unread body is proof, and so is an error of HTTP/2
// if the body was read once, after a single header block.
func (t *trace) notSent(err error) bool {
	unsafe := t.unsafe.Load()
	if t.standard {
		return t.asked.Load() && !t.got.Load() || notProcessed(err, unsafe > 0)
	}
	const readAfterOneHeader = 2
	read := t.bodyRead.Load()
	return t.hasBody && (read == 0 || read == readAfterOneHeader && unsafe == 1 && notProcessed(err, true))
}

// canceled reports whether the attempt was canceled because of too many connections.
func (t *trace) canceled() bool { return t.newConns.Load() >= maxNewConns }

// resent reports whether net/http may have sent the request twice.
func (t *trace) resent() bool { return t.sent.Load() > 1 }

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
