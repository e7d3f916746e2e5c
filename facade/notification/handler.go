package notification

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// HandlerOption configures a handler. Later options override earlier ones.
type HandlerOption func(*handler)

// WithDeduplicator calls the function once for each notification that d remembers.
// A redelivery of a handled notification gets 202 without another call. A
// redelivery during the call gets 503, because the call may still fail. An error
// of d before the call is 503 too. WithDeduplicator panics if d is nil.
//
// The function should return within five seconds. Its claim expires then, and a
// later redelivery may call the function again at the same time.
func WithDeduplicator(d Deduplicator) HandlerOption {
	if d == nil {
		panic("apivideo: WithDeduplicator: the deduplicator is nil")
	}
	return func(h *handler) { h.dedup = d }
}

// WithHandlerLogger logs each notification that was not handled, with its status,
// its webhook ID and the reason. By default nothing is logged. It logs no body,
// secret or signature, and at most 1,000 characters of a reason. The levels are:
//
//   - error for a failure of the function, a SecretSource or a Deduplicator
//   - warn for a signed body that is malformed
//   - info for a rejection or a duplicate
//
// WithHandlerLogger panics if l is nil.
func WithHandlerLogger(l *slog.Logger) HandlerOption {
	if l == nil {
		panic("apivideo: WithHandlerLogger: the logger is nil")
	}
	return func(h *handler) { h.logger = l }
}

// NewHandler returns a handler that verifies notifications and calls handle. It
// responds with 202 after handle has returned nil, and never before. [StatusCode]
// lists the other statuses. A panic is 500, and another method than POST is 405.
// The section "Handling" of the package comment has more.
//
// The function is called concurrently. Its context is the context of the request.
// The http.Server needs a ReadTimeout, because the handler sets no deadlines.
// NewHandler panics if v, handle or an option is nil.
func NewHandler(v *Verifier, handle func(context.Context, *Notification) error, opts ...HandlerOption) http.Handler {
	if v == nil || handle == nil {
		panic("apivideo: NewHandler: the verifier or the function is nil")
	}
	h := &handler{verifier: v, handle: handle, logger: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		if opt == nil {
			panic("apivideo: NewHandler: an option is nil")
		}
		opt(h)
	}
	return h
}

type handler struct {
	verifier *Verifier
	handle   func(context.Context, *Notification) error
	dedup    Deduplicator // or nil
	logger   *slog.Logger
}

// outcome is the status of the response and the content of the log line.
type outcome struct {
	status int
	level  slog.Level
	err    error // nil: no log line
	stack  []byte
}

// ServeHTTP responds to a notification.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
	}
	o := h.serve(w, r)
	if o.err != nil && h.logger.Enabled(r.Context(), o.level) {
		ids, _ := deliveryHeaders(r.Header)
		attrs := []slog.Attr{
			slog.Int("status", o.status),
			slog.String("webhook_id", clip(strings.Join(ids, ", "), 100)),
			slog.String("reason", clip(fmt.Sprint(o.err), 1000)), // err.Error may panic for a nil pointer
		}
		if o.stack != nil {
			attrs = append(attrs, slog.String("stack", string(o.stack)))
		}
		h.logger.LogAttrs(r.Context(), o.level, "apivideo: notification response", attrs...)
	}
	http.Error(w, http.StatusText(o.status), o.status)
}

// serve handles a request. A panic of the function, a SecretSource or a
// Deduplicator is a failure.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) (o outcome) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			o = outcome{status: http.StatusInternalServerError, level: slog.LevelError, err: fmt.Errorf("panic: %v", p), stack: debug.Stack()}
		}
	}()
	n, err := h.verify(w, r)
	if err == nil {
		return h.callOnce(r.Context(), n)
	}
	o = outcome{status: StatusCode(err), err: err}
	switch {
	case errors.Is(err, ErrMalformed):
		o.level = slog.LevelWarn
	case o.status >= 500 && r.Context().Err() == nil: // the client is still connected
		o.level = slog.LevelError
	}
	return o
}

func (h *handler) verify(w http.ResponseWriter, r *http.Request) (*Notification, error) {
	if r.Method != http.MethodPost {
		return nil, errMethod
	}
	return h.verifier.verifyRequest(w, r)
}

const (
	// claimTTL is the lifetime of a claim. It is shorter than the time to the last
	// retry of the service, which is six to nine seconds after a crash.
	claimTTL = 5 * time.Second
	// dedupTimeout limits each call of the deduplicator.
	dedupTimeout = 5 * time.Second
)

// dedupContext returns a context that is independent of the request. A canceled
// call of the deduplicator could leave a claim.
func dedupContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), dedupTimeout)
}

// callOnce calls the function unless the deduplicator knows the notification.
func (h *handler) callOnce(ctx context.Context, n *Notification) (o outcome) {
	if h.dedup == nil {
		return h.call(ctx, n)
	}
	key, owner := n.ID(), rand.Text()
	switch state, err := h.begin(ctx, key, owner); {
	case err != nil:
		return outcome{status: http.StatusServiceUnavailable, level: slog.LevelError, err: fmt.Errorf("the deduplicator failed: %w", err)}
	case state == StateHandled:
		return outcome{status: http.StatusAccepted, err: errors.New("a duplicate of a handled notification")}
	case state == StateInProgress:
		return outcome{status: http.StatusServiceUnavailable, err: errors.New("a duplicate of a notification in progress")}
	case state != StateNew:
		return outcome{status: http.StatusServiceUnavailable, level: slog.LevelError, err: fmt.Errorf("the deduplicator returned the invalid state %d", state)}
	}
	record := h.dedup.Forget
	defer func() { // also after runtime.Goexit
		ctx, cancel := dedupContext(ctx)
		defer cancel()
		if err := record(ctx, key, owner); err != nil {
			o.level, o.err = slog.LevelError, errors.Join(o.err, fmt.Errorf("the deduplicator did not record the outcome: %w", err))
		}
	}()
	o = h.call(ctx, n)
	if o.status == http.StatusAccepted {
		record = h.dedup.Done
	}
	return o
}

// begin claims a notification.
func (h *handler) begin(ctx context.Context, key, owner string) (State, error) {
	ctx, cancel := dedupContext(ctx)
	defer cancel()
	return h.dedup.Begin(ctx, key, owner, claimTTL)
}

// call calls the function. Its errors are failures even if they wrap an error of
// this package.
func (h *handler) call(ctx context.Context, n *Notification) outcome {
	err := h.handle(ctx, n)
	switch {
	case err == nil:
		return outcome{status: http.StatusAccepted}
	case errors.Is(err, ErrUnavailable):
		return outcome{status: http.StatusServiceUnavailable, level: slog.LevelError, err: err}
	default:
		return outcome{status: http.StatusInternalServerError, level: slog.LevelError, err: err}
	}
}
