package facadetest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
)

// A Server is a fake api.video server with one account. It is safe for concurrent
// use. Use [NewServer] to create a Server.
type Server struct {
	// URL is the URL of the server, http://127.0.0.1 with a port and without a
	// slash at the end.
	URL string

	// APIKey is the API key that the server accepts. Changing the field has no
	// effect on the server. See WithAPIKey.
	APIKey string

	config    config
	service   *service
	faults    faults
	requests  requestLog
	eventTime eventTime
	onClose   closeNotifier
	listener  *httptest.Server
}

// NewServer starts and returns a new server on a port of the loopback interface.
// The caller should call Close when finished. NewServer panics if it cannot listen
// or an option is invalid.
func NewServer(opts ...Option) *Server {
	c := newConfig(opts)
	s := &Server{APIKey: c.apiKey, config: c, service: newService(c)}
	s.requests.maxRequests, s.requests.maxBodies = maxRequests, maxBodies
	s.listener = httptest.NewServer(s)
	s.URL = s.listener.URL
	return s
}

// Close shuts the server down. It aborts requests and deliveries in flight,
// including those of other listeners, and waits for requests to end. Another call
// has no effect.
func (s *Server) Close() {
	s.onClose.close()
	s.listener.Close()
}

// Reset removes all webhooks, recorded requests and faults, and starts new
// rate limit windows. Credentials stay valid. Subtests can share one server this
// way. Reset does not wait for requests in flight, which may still create a webhook
// or take a fault afterwards.
func (s *Server) Reset() {
	s.faults.reset()
	s.service.webhooks.reset()
	s.service.limit.reset()
	s.requests.reset()
}

// Client returns a new client with the URL and the API key of the server and its
// own connection pool. The options are applied last. Client panics if an option is
// invalid.
//
// The retry policy suits tests: up to 4 attempts with delays of milliseconds, and
// no delay of more than a second. A 429 for the rest of a minute is therefore
// returned at once, as an error with RetryAfter. [facade.WithRetry] overrides the
// policy.
func (s *Server) Client(opts ...facade.Option) *facade.Client {
	all := []facade.Option{
		facade.WithBaseURL(s.URL),
		facade.WithHTTPClient(s.listener.Client()),
		facade.WithRetry(facade.RetryPolicy{MaxAttempts: 4, MinDelay: time.Millisecond, MaxDelay: time.Second}),
	}
	if s.config.unknownEvents {
		all = append(all, facade.WithUnknownEvents())
	}
	client, err := facade.NewClient(s.APIKey, append(all, opts...)...)
	if err != nil {
		panic("facadetest: " + err.Error())
	}
	return client
}

// Webhooks returns copies of all webhooks, oldest first.
func (s *Server) Webhooks() []facade.Webhook {
	return s.service.webhooks.all()
}

// Requests returns copies of the latest 10,000 requests in the order of their
// arrival, including requests with a fault. Older requests are not kept. The bodies
// have 64 MiB in total, and fewer requests are kept for larger ones.
func (s *Server) Requests() []Request {
	return s.requests.all()
}

// Inject adds faults. A request gets the first fault that matches, in the order
// in which they were added. Inject is safe to call while requests are in flight.
func (s *Server) Inject(faults ...Fault) {
	s.faults.add(faults)
}

// ServeHTTP responds to one request. The server calls it for requests to its URL.
// A test can serve it on another listener too.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer s.onClose.register(func() {
		abort(w)
		cancel()
	})()

	entry := s.requests.add(r)
	fault := s.faults.take(r)
	if fault.Reset == ResetBeforeRead {
		wait(ctx, fault.Delay)
		resetConnection(w)
		return
	}

	// Another byte reveals a body over the limit.
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	entry.setBody(body[:min(len(body), maxBody)])
	if err != nil {
		panic(http.ErrAbortHandler)
	}

	resp := response{header: http.Header{}}
	if fault.processes() {
		resp = serve(s.service, r, body)
	} else if isLimited(r) {
		s.service.limit.report(r.Method, resp.header)
	}
	resp = fault.replace(resp)
	wait(ctx, fault.Delay)
	if fault.Reset == ResetAfterRead {
		resetConnection(w)
		return
	}
	// A client that has the response expects the status in Requests.
	entry.setStatus(resp.status)
	fault.send(ctx, w, resp)
}

// abort stops reading and writing, because an idle client could block Close.
func abort(w http.ResponseWriter) {
	now, control := time.Now(), http.NewResponseController(w)
	// Writing stops first. A failed read cancels the context of the request, and the
	// response would be sent.
	_ = control.SetWriteDeadline(now)
	_ = control.SetReadDeadline(now)
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
