package facadetest

import (
	"bytes"
	"net/http"
	"net/url"
	"sync"
)

const (
	// maxBody is the maximum number of bytes of a request body that are read and
	// recorded.
	maxBody = 1 << 20

	// maxRequests is the maximum number of recorded requests.
	maxRequests = 10_000

	// maxBodies is the maximum number of bytes of all recorded bodies.
	maxBodies = 64 << 20
)

// A Request is one request that a [Server] received.
type Request struct {
	// Method is the HTTP method.
	Method string

	// Path is the path with its escapes.
	Path string

	// Query contains the query parameters.
	Query url.Values

	// Header contains the headers, including credentials.
	Header http.Header

	// Body contains at most the first MiB of the body. It is empty if the
	// connection was reset before the body was read.
	Body []byte

	// Status is the status of the response. It is zero before the response, and
	// stays zero if the connection was reset instead.
	Status int
}

type requestLog struct {
	mu      sync.Mutex
	entries []*requestEntry // oldest first
	bodies  int             // bytes of all bodies

	maxRequests, maxBodies int
}

// A requestEntry is completed while its request is in flight.
type requestEntry struct {
	log     *requestLog
	removed bool
	request Request
}

// add records a request. It removes the oldest entry if the log is full.
func (l *requestLog) add(r *http.Request) *requestEntry {
	e := &requestEntry{log: l, request: Request{
		Method: r.Method,
		Path:   r.URL.EscapedPath(),
		Query:  r.URL.Query(),
		Header: r.Header.Clone(),
	}}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == l.maxRequests {
		l.removeOldest()
	}
	l.entries = append(l.entries, e)
	return e
}

func (l *requestLog) removeOldest() {
	oldest := l.entries[0]
	oldest.removed = true
	l.bodies -= len(oldest.request.Body)
	l.entries[0] = nil // the array behind the slice lives on
	l.entries = l.entries[1:]
}

// reset removes all entries.
func (l *requestLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.entries) > 0 {
		l.removeOldest()
	}
	l.entries = nil
}

// setBody records a body. It removes the oldest entries if the bodies are too large.
func (e *requestEntry) setBody(body []byte) {
	l := e.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.removed {
		return
	}
	e.request.Body = body
	l.bodies += len(body)
	for l.bodies > l.maxBodies {
		l.removeOldest()
	}
}

func (e *requestEntry) setStatus(status int) {
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	e.request.Status = status
}

func (l *requestLog) all() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Request, len(l.entries))
	for i, e := range l.entries {
		r := e.request
		r.Query = url.Values(http.Header(r.Query).Clone())
		r.Header = r.Header.Clone()
		r.Body = bytes.Clone(r.Body)
		all[i] = r
	}
	return all
}
