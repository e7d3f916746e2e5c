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
	"strings"
	"sync"
	"time"
)

// A Fault is something that goes wrong with a request. Its fields can be
// combined; one that only has the zero value changes nothing but is used up
// nevertheless.
//
// A request whose answer is replaced by Status or lost by Reset isn't carried
// out, so that it changes nothing, needs no credentials and doesn't count
// against the rate limit, unless Handled says otherwise. The answer has the
// X-RateLimit headers all the same where the service sends them, with what the
// current window has left, or nothing left if Status is 429.
type Fault struct {
	// Match tells whether the fault is for a request. Nil means any request. It
	// must not read the body of the request and must not call Inject.
	Match func(*http.Request) bool

	// Times is how many requests meet the fault. Zero means one, a negative
	// number all of them until the server closes.
	Times int

	// Delay is how long the answer or the reset is held back, in real time. A
	// request that is carried out is carried out before. The wait ends early
	// when the server closes or the client is gone. The latter goes unnoticed as
	// long as the request has a body that isn't read, as with ResetBeforeRead.
	Delay time.Duration

	// Handled carries a request out whose answer is replaced by Status or lost
	// by ResetAfterRead. It then counts against the rate limit. With
	// ResetBeforeRead it has no effect.
	Process bool

	// Status is answered in place of the server's own status, with the body the
	// service sends with it, or a generic one if there is none. If the request is
	// carried out and has the same status by itself, the answer keeps its own
	// body. Zero means the server's own answer. Inject panics if it is neither
	// zero nor between 200 and 999.
	Status int

	// Body is answered in place of the body that would be. If Status is zero,
	// the request is carried out and the answer keeps its status. Its
	// Content-Type is text/html if it begins with '<', else application/json.
	// The empty string means no other body; Header can take the body away.
	// Answers with 204 and 304 never have one.
	Body string

	// Header sets headers of the answer, also of one that is otherwise the
	// server's own. An empty value removes the header. "Content-Length": "0"
	// makes the body empty.
	Header map[string]string

	// Cut announces the whole body, sends only the first half of it, rounded
	// down, and closes the connection. An answer without a body stays whole.
	// Inject panics if Status is 204 or 304, which never have one.
	Truncate bool

	// Endless sends the body and then spaces until the client is gone or the
	// server closes. It announces no length, whatever Header says, and Cut has
	// no effect then. For answers without a body the same holds as for Cut.
	Infinite bool

	// Reset closes the connection without an answer. Status, Body, Header, Cut
	// and Endless have no effect then.
	Reset Reset
}

// Reset tells whether and when a [Fault] closes the connection without an
// answer. A TCP connection is closed with RST, so that the client reads an
// error. A connection of HTTP/2 stays open, only the stream is reset.
type Reset int

const (
	// NoReset leaves the connection as it is.
	NoReset Reset = iota

	// ResetBeforeRead closes the connection without reading the body of the request.
	ResetBeforeRead

	// ResetAfterRead closes the connection after the request was read.
	ResetAfterRead
)

// Inject adds faults. For each request the faults are tried in the order they
// were added, and it meets the first that matches it. Inject is safe to call
// while requests are under way.
func (s *Server) Inject(faults ...Fault) {
	for _, f := range faults {
		if f.Status != 0 && (f.Status < 200 || f.Status > 999) {
			panic(fmt.Sprintf("facadetest: no answer has the status %d", f.Status))
		}
		if (f.Truncate || f.Infinite) && !bodyAllowed(f.Status) {
			panic(fmt.Sprintf("facadetest: an answer with the status %d has no body to cut or to go on without end", f.Status))
		}
	}
	s.faults.add(faults)
}

// faults has a lock of its own, so that Match may call methods of the server.
type faults struct {
	mu      sync.Mutex
	pending []*Fault
}

func (fs *faults) add(faults []Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range faults {
		f.Times = cmp.Or(f.Times, 1)
		f.Header = maps.Clone(f.Header)
		fs.pending = append(fs.pending, &f)
	}
}

// take returns the fault that the request meets, the zero one if it meets none.
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

// carriedOut tells whether a request that meets the fault has its effect.
func (f Fault) carriedOut() bool {
	return f.Process || f.Status == 0 && f.Reset == NoReset
}

// change returns what is answered in place of a, whose status is zero if the
// request wasn't carried out.
func (f Fault) change(a answer) answer {
	if f.Status == http.StatusTooManyRequests && a.header.Get("X-RateLimit-Remaining") != "" {
		a.header.Set("X-RateLimit-Remaining", "0")
	}
	if f.Status != 0 && f.Status != a.status {
		a.status = f.Status
		a.body = errorOfStatus(f.Status)
		a.header.Del("Content-Type")
		if a.body != nil {
			a.header.Set("Content-Type", "application/json")
		}
	}
	if f.Body != "" {
		a.header.Set("Content-Type", "application/json")
		if strings.HasPrefix(f.Body, "<") {
			a.header.Set("Content-Type", "text/html")
		}
		a.body = []byte(f.Body)
	}
	return a
}

// changeHeader sets and removes the headers of an answer.
func (f Fault) changeHeader(h http.Header) {
	for name, value := range f.Header {
		if value == "" {
			// Only a nil value keeps net/http from adding its own.
			h[http.CanonicalHeaderKey(name)] = nil
			continue
		}
		h.Set(name, value)
	}
}

// sendHalf sends the first half of body and breaks off.
func sendHalf(w http.ResponseWriter, body []byte) {
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// sendEndless sends body and then spaces until it can't any more.
func sendEndless(ctx context.Context, w http.ResponseWriter, body []byte) {
	spaces := bytes.Repeat([]byte(" "), 4096)
	_, err := w.Write(body)
	for err == nil && ctx.Err() == nil {
		_, err = w.Write(spaces)
	}
	panic(http.ErrAbortHandler)
}

// resetConnection closes the connection without an answer.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// Without lingering, the kernel closes with RST in place of FIN.
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
