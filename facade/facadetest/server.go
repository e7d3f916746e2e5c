package facadetest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
)

// maxBody is how many bytes of a request are read and recorded.
const maxBody = 1 << 20

// A Server is an api.video server in memory that holds one account. It is
// safe for concurrent use. Only [NewServer] makes one.
type Server struct {
	// URL is where the server listens, http://127.0.0.1 and a port, without a
	// slash at the end.
	URL string

	// APIKey is the one API key the server accepts, 43 random letters and
	// digits. Changing it here changes nothing in the server.
	APIKey string

	service  *service
	faults   faults
	requests requestLog
	listener *httptest.Server
	sender   *http.Client
	closing  closing
}

// An Option changes how a [Server] behaves.
type Option func(*config)

type config struct {
	webhookLimit  int
	reads, writes int
	now           func() time.Time
	newestFirst   bool
	pageBeyondEnd int

	deliveryRetries                   int
	deliveryInterval, deliveryTimeout time.Duration
}

// WithWebhookLimit sets how many webhooks the account may hold, 10 by default.
// One more is refused with 400. Zero means no limit. NewServer panics if it is
// negative.
func WithWebhookLimit(n int) Option {
	return func(c *config) { c.webhookLimit = n }
}

// WithRateLimit sets how many reads and how many writes a minute are answered,
// by default the 100 and 40 of the sandbox. One more is refused with 429. Zero
// means no limit, and no X-RateLimit headers on the answers. NewServer panics if
// one is negative.
func WithRateLimit(reads, writes int) Option {
	return func(c *config) { c.reads, c.writes = reads, writes }
}

// WithClock sets the clock by which webhooks and events are dated, the windows of
// the rate limit begin and end, and tokens expire. The default is [time.Now]. The
// function must be safe for concurrent use. NewServer panics if it is nil.
func WithClock(now func() time.Time) Option {
	return func(c *config) { c.now = now }
}

// WithNewestFirst makes lists begin with the newest webhook. By default they
// begin with the oldest. The order of the service isn't known.
func WithNewestFirst() Option {
	return func(c *config) { c.newestFirst = true }
}

// WithPageBeyondEnd sets the answer for a page beyond the last one: 200, the
// default, is a page without webhooks, 400 and 404 are errors. The answer of the
// service isn't known. NewServer panics on any other status.
func WithPageBeyondEnd(status int) Option {
	return func(c *config) { c.pageBeyondEnd = status }
}

// NewServer starts a server on a port of the loopback interface and returns it.
// The caller should call Close when finished. NewServer panics when it can't
// listen.
func NewServer(opts ...Option) *Server {
	c := config{
		webhookLimit: 10, reads: 100, writes: 40, now: time.Now, pageBeyondEnd: http.StatusOK,
		deliveryRetries: 3, deliveryInterval: 3 * time.Second, deliveryTimeout: 10 * time.Second,
	}
	for _, opt := range opts {
		opt(&c)
	}
	c.check()
	key := randomText(43)
	s := &Server{
		APIKey:  key,
		service: newService(c, key),
		sender:  newSender(c.deliveryTimeout),
	}
	s.listener = httptest.NewServer(s)
	s.URL = s.listener.URL
	return s
}

// check panics on a value that no server can work with.
func (c config) check() {
	if c.webhookLimit < 0 || c.reads < 0 || c.writes < 0 {
		panic("facadetest: a limit is zero or more")
	}
	if c.now == nil {
		panic("facadetest: WithClock needs a clock")
	}
	if c.deliveryRetries < 0 || c.deliveryInterval < 0 {
		panic("facadetest: the retries of a delivery and the time between them are zero or more")
	}
	if c.deliveryTimeout <= 0 {
		panic("facadetest: an attempt to deliver takes more than no time")
	}
	switch c.pageBeyondEnd {
	case http.StatusOK, http.StatusBadRequest, http.StatusNotFound:
	default:
		panic("facadetest: a page beyond the end is answered with 200, 400 or 404, not with " + strconv.Itoa(c.pageBeyondEnd))
	}
}

// Close shuts the server down. It breaks off the requests and answers that are
// still under way, also those of other listeners, and waits until they have
// ended. It breaks off deliveries, too. Calling it again does nothing.
func (s *Server) Close() {
	s.closing.begin()
	s.listener.Close()
}

// quickRetry lets no test wait.
var quickRetry = facade.WithRetry(facade.RetryPolicy{MinDelay: time.Millisecond, MaxDelay: time.Second})

// Client returns a client of this server, with its URL, its API key and its own
// connection pool. The options are applied after these. Client panics when one
// of them is faulty.
func (s *Server) Client(opts ...facade.Option) *facade.Client {
	opts = append([]facade.Option{facade.WithBaseURL(s.URL), facade.WithHTTPClient(s.listener.Client()), quickRetry}, opts...)
	client, err := facade.NewClient(s.APIKey, opts...)
	if err != nil {
		panic("facadetest: " + err.Error())
	}
	return client
}

// Webhooks returns copies of the webhooks the server holds, oldest first.
func (s *Server) Webhooks() []facade.Webhook {
	return s.service.webhooks()
}

// ServeHTTP answers one request. The server does so by itself on its URL; a
// test may also serve it over a listener of its own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer s.closing.call(func() {
		breakOff(w)
		cancel()
	})()

	entry := s.requests.add(r)
	fault := s.faults.take(r)
	if fault.Reset == ResetBeforeRead {
		wait(ctx, fault.Delay)
		resetConnection(w)
		return
	}

	// One byte more than allowed tells a body that is too long from one that
	// just fits.
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	entry.setBody(body[:min(len(body), maxBody)])
	if err != nil {
		panic(http.ErrAbortHandler)
	}

	a := answer{header: http.Header{}}
	if fault.carriedOut() {
		a = s.carryOut(r, body)
	} else if isLimited(r) {
		s.service.limit.peek(r.Method, a.header)
	}
	a = fault.change(a)
	wait(ctx, fault.Delay)
	if fault.Reset == ResetAfterRead {
		resetConnection(w)
		return
	}
	// A client that has read the answer finds it recorded.
	entry.setStatus(a.status)
	send(ctx, w, a, fault)
}

// breakOff ends reading and writing, so that a client that does neither can't
// keep the server from closing.
func breakOff(w http.ResponseWriter) {
	now, control := time.Now(), http.NewResponseController(w)
	// Writing first: once reading fails, net/http ends the context of the request,
	// and the answer would be sent after all.
	_ = control.SetWriteDeadline(now)
	_ = control.SetReadDeadline(now)
}

// An answer is held back until every fault has been applied to it.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// carryOut does what the request asks for and returns the answer to it.
func (s *Server) carryOut(r *http.Request, body []byte) answer {
	clone := *r
	clone.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	s.service.ServeHTTP(rec, &clone)
	return answer{status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
}

// wait returns after d, or as soon as the context ends.
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

// send writes the answer the way the fault wants it written.
func send(ctx context.Context, w http.ResponseWriter, a answer, f Fault) {
	maps.Copy(w.Header(), a.header)
	if bodyAllowed(a.status) {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	f.changeHeader(w.Header())
	if f.Infinite {
		w.Header().Del("Content-Length")
	}

	control := http.NewResponseController(w)
	w.WriteHeader(a.status)
	if w.Header().Get("Content-Length") == "" {
		// Once the headers are out, net/http can't add a length of its own.
		_ = control.Flush()
	}
	switch {
	case f.Infinite:
		sendEndless(ctx, w, a.body)
	case f.Truncate:
		sendHalf(w, a.body)
	default:
		_, _ = w.Write(a.body)
		// What net/http would send later, Close couldn't break off.
		_ = control.Flush()
	}
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}
