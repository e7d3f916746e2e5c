package facadetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Fault changes the response to a request, or prevents the response. Fields can
// be combined. The zero Fault has no effect except that a request uses it up.
//
// A request is not processed if Status replaces its response or Reset prevents the
// response. The server then ignores the credentials and the rate limit, and its
// state is unchanged. Process overrides this. The X-RateLimit headers of the
// response show the current window. A 429 has X-RateLimit-Remaining 0.
type Fault struct {
	// Match reports whether the fault applies to a request. Nil means every
	// request. Match must not read the body and must not call Inject or Reset.
	Match func(*http.Request) bool

	// Times is the number of requests that the fault applies to. Zero means one.
	// A negative number means no limit.
	Times int

	// Delay is the time before the response or the reset, in real time. Processing
	// precedes the delay. The delay ends early if the server closes or the client
	// disconnects. A disconnect is undetected while the request has an unread body,
	// as with ResetBeforeRead.
	Delay time.Duration

	// Process makes the server process the request although Status replaces the
	// response or ResetAfterRead prevents it. It has no effect with
	// ResetBeforeRead.
	Process bool

	// Status replaces the status of the response, together with the body that the
	// service sends with this status. The original body stays if the request is
	// processed and has the same status. Zero means the original response. Inject
	// panics if Status is other than zero and outside of 200 to 999.
	Status int

	// Body replaces the body of the response. If Status is zero, the request is
	// processed and keeps its status. The Content-Type is text/html if Body begins
	// with '<', and application/json otherwise. Empty means the original body.
	// Responses with 204 and 304 never have a body.
	Body string

	// Header sets headers of the response. An empty value removes the header.
	// "Content-Length": "0" makes the body empty.
	Header map[string]string

	// Truncate sends the first half of the body, rounded down, with the
	// Content-Length of the whole body, and closes the connection. A response
	// without a body stays complete. Inject panics if Status is 204 or 304.
	Truncate bool

	// Infinite sends the body and then spaces until the client disconnects or the
	// server closes. The response has no Content-Length. Infinite overrides
	// Truncate. Responses without a body are treated as by Truncate.
	Infinite bool

	// Reset closes the connection without a response. Status, Body, Header,
	// Truncate and Infinite have no effect then.
	Reset Reset
}

// Reset selects if and when a [Fault] closes the connection without a response.
// A TCP connection is closed with RST, so that the client reads an error. An
// HTTP/2 connection stays open and only the stream is reset.
type Reset int

const (
	// NoReset keeps the connection open.
	NoReset Reset = iota

	// ResetBeforeRead closes the connection before the request body is read.
	ResetBeforeRead

	// ResetAfterRead closes the connection after the request was read.
	ResetAfterRead
)

// faults are the pending faults. They have their own lock, so that Match can call
// methods of the server.
type faults struct {
	mu      sync.Mutex
	pending []*Fault
}

// add adds faults. It panics before adding any fault if one is invalid.
func (fs *faults) add(faults []Fault) {
	for _, f := range faults {
		if f.Status != 0 && (f.Status < 200 || f.Status > 999) {
			panic(fmt.Sprintf("facadetest: Fault.Status must be between 200 and 999, not %d", f.Status))
		}
		if (f.Truncate || f.Infinite) && !bodyAllowed(f.Status) {
			panic(fmt.Sprintf("facadetest: Fault.Truncate and Fault.Infinite need a body, and a response with status %d has none", f.Status))
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range faults {
		f.Times = cmp.Or(f.Times, 1)
		f.Header = maps.Clone(f.Header)
		fs.pending = append(fs.pending, &f)
	}
}

// reset removes all faults.
func (fs *faults) reset() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.pending = nil
}

// take returns the first fault that matches a request, or the zero Fault.
func (fs *faults) take(r *http.Request) Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, f := range fs.pending {
		if f.Match != nil && !f.Match(r) {
			continue
		}
		if f.Times--; f.Times == 0 {
			fs.pending = slices.Delete(fs.pending, i, i+1)
		}
		return *f
	}
	return Fault{}
}

// processes reports whether a request with this fault is processed.
func (f Fault) processes() bool {
	return f.Process || f.Status == 0 && f.Reset == NoReset
}

// replace returns the response that replaces resp. The status of resp is zero if
// the request was not processed.
func (f Fault) replace(resp response) response {
	if f.Status == http.StatusTooManyRequests && resp.header.Get("X-RateLimit-Remaining") != "" {
		resp.header.Set("X-RateLimit-Remaining", "0")
	}
	if f.Status != 0 && f.Status != resp.status {
		resp.status = f.Status
		resp.body = errorBody(f.Status)
		resp.header.Del("Content-Type")
		if resp.body != nil {
			resp.header.Set("Content-Type", "application/json")
		}
	}
	if f.Body != "" {
		resp.header.Set("Content-Type", "application/json")
		if strings.HasPrefix(f.Body, "<") {
			resp.header.Set("Content-Type", "text/html")
		}
		resp.body = []byte(f.Body)
	}
	return resp
}

// send writes a response with the changes of the fault.
func (f Fault) send(ctx context.Context, w http.ResponseWriter, resp response) {
	maps.Copy(w.Header(), resp.header)
	if bodyAllowed(resp.status) {
		w.Header().Set("Content-Length", strconv.Itoa(len(resp.body)))
	}
	f.changeHeader(w.Header())
	if f.Infinite {
		w.Header().Del("Content-Length")
	}

	control := http.NewResponseController(w)
	w.WriteHeader(resp.status)
	if w.Header().Get("Content-Length") == "" {
		// A flush prevents that net/http adds a length.
		_ = control.Flush()
	}
	switch {
	case f.Infinite:
		sendInfinite(ctx, w, resp.body)
	case f.Truncate:
		sendHalf(w, resp.body)
	default:
		_, _ = w.Write(resp.body)
		// Close can interrupt a write only before the handler returns.
		_ = control.Flush()
	}
}

// changeHeader sets and removes the headers of a response.
func (f Fault) changeHeader(h http.Header) {
	for name, value := range f.Header {
		if value == "" {
			// A nil value prevents the default of net/http.
			h[http.CanonicalHeaderKey(name)] = nil
			continue
		}
		h.Set(name, value)
	}
}

// sendHalf sends the first half of body and aborts the response.
func sendHalf(w http.ResponseWriter, body []byte) {
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// sendInfinite sends body and then spaces until a write fails or ctx ends.
func sendInfinite(ctx context.Context, w http.ResponseWriter, body []byte) {
	spaces := bytes.Repeat([]byte(" "), 4096)
	_, err := w.Write(body)
	for err == nil && ctx.Err() == nil {
		_, err = w.Write(spaces)
	}
	panic(http.ErrAbortHandler)
}

// resetConnection closes the connection without a response.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// The kernel closes with RST instead of FIN then.
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
