package transport

import (
	"context"
	"errors"
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
	errTooManyConns = errors.New("the server reset the request on too many connections")
)

// A trace observes one attempt: the events of net/http, and for any other
// transport the reads of the request body.
type trace struct {
	hooks    httptrace.ClientTrace
	cancel   context.CancelFunc
	standard bool         // the transport is an *http.Transport
	hasBody  bool         // the request has a body
	bodyRead atomic.Bool  // by a transport that is not standard
	asked    atomic.Bool  // for a connection
	got      atomic.Bool  // a connection
	newConns atomic.Int32 // connections that were not reused
	// unsafe counts the header blocks after which net/http may resend a processed
	// request: all over HTTP/2, and over HTTP/1 the ones with an idempotency key.
	unsafe atomic.Int32
}

func newTrace(cancel context.CancelFunc) *trace { return &trace{cancel: cancel} }

// watch returns req with ctx and the hooks of t. net/http needs GetBody to resend a
// body. Over HTTP/2 a POST has no GetBody. The error of net/http then contains the
// reason why the server did not process the request. Over HTTP/1 GetBody serves dead
// pooled connections, and fails if the server may have processed the request.
func (t *trace) watch(ctx context.Context, req *http.Request, rt http.RoundTripper, http1 bool) *http.Request {
	_, t.standard = rt.(*http.Transport)
	t.hooks.GotConn = t.gotConn
	if req.Method != http.MethodGet { // the other hooks would only cost time
		t.hooks.GetConn = t.getConn
		t.hooks.WroteHeaderField = t.wroteHeaderField
	}
	req = req.WithContext(httptrace.WithClientTrace(ctx, &t.hooks))
	t.hasBody = req.Body != nil && req.Body != http.NoBody
	if !t.hasBody {
		return req
	}
	req.Body = t.track(req.Body)
	if getBody := req.GetBody; req.Method == http.MethodPost && !http1 {
		req.GetBody = nil
	} else if getBody != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			if t.unsafe.Load() > 0 {
				return nil, errResent
			}
			body, err := getBody()
			return t.track(body), err
		}
	}
	return req
}

// track returns body, or for a transport other than an *http.Transport a reader that
// records reads. An *http.Transport would flush the headers separately for an unknown
// reader, and reports reliable events.
func (t *trace) track(body io.ReadCloser) io.ReadCloser {
	if t.standard || body == nil {
		return body
	}
	return &trackedBody{body, &t.bodyRead}
}

type trackedBody struct {
	io.ReadCloser

	read *atomic.Bool
}

func (b *trackedBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.ReadCloser.Read(p)
}

func (t *trace) getConn(string) { t.asked.Store(true) }

func (t *trace) gotConn(info httptrace.GotConnInfo) {
	t.got.Store(true)
	if !info.Reused && t.newConns.Add(1) == maxNewConns {
		t.cancel()
	}
}

func (t *trace) wroteHeaderField(name string, _ []string) {
	t.got.Store(true) // http.Request.Write has no other event
	switch name {
	case ":method", "Idempotency-Key", "X-Idempotency-Key": // HTTP/2 has the latter in lower case
		t.unsafe.Add(1)
	}
}

// notSent reports whether a request that failed with err never reached the server. An
// *http.Transport reports each connection. Any other transport may have several ways
// to send a request, so only an unread body is proof.
func (t *trace) notSent(err error) bool {
	if t.standard {
		return t.asked.Load() && !t.got.Load() || notProcessed(err, t.unsafe.Load() > 0)
	}
	return t.hasBody && !t.bodyRead.Load() || notProcessed(err, t.unsafe.Load() > 0)
}

// canceled reports whether the attempt was canceled because of too many connections.
func (t *trace) canceled() bool { return t.newConns.Load() >= maxNewConns }

// resent reports whether net/http may have sent the request twice.
func (t *trace) resent() bool { return t.unsafe.Load() > 1 }

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
