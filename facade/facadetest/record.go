package facadetest

import (
	"bytes"
	"net/http"
	"net/url"
	"sync"
)

// A Request is one request that a [Server] was sent.
type Request struct {
	// Method is the HTTP method.
	Method string

	// Path is the path as it was sent, with its escapes.
	Path string

	// Query holds the query parameters.
	Query url.Values

	// Header holds the headers, credentials included.
	Header http.Header

	// Body holds the body, but at most its first MiB. It is empty if the
	// connection was reset before the body was read.
	Body []byte

	// Status is the status of the answer. It is zero as long as there is none,
	// and for good if the connection was reset instead.
	Status int
}

// Requests returns copies of the requests the server was sent, in the order of
// their arrival, those included that met a fault.
func (s *Server) Requests() []Request {
	return s.requests.all()
}

type requestLog struct {
	mu      sync.Mutex
	entries []*requestEntry
}

// A requestEntry is filled in while its request is under way.
type requestEntry struct {
	log     *requestLog
	request Request
}

func (l *requestLog) add(r *http.Request) *requestEntry {
	e := &requestEntry{log: l, request: Request{
		Method: r.Method,
		Path:   r.URL.EscapedPath(),
		Query:  r.URL.Query(),
		Header: r.Header.Clone(),
	}}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	return e
}

func (e *requestEntry) setBody(body []byte) {
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	e.request.Body = body
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
