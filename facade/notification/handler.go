package notification

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// HandlerOption changes how NewHandler sets a handler up. Of two that say the
// same thing the later one holds.
type HandlerOption func(*handler)

// WithDeduplicator calls the function once for a notification that comes several
// times, as long as d remembers it. A repetition of one that was handled is
// answered 202 at once, one of a notification that is being handled 503, because
// that may still fail. If d can't tell, the answer is 503 as well. It panics if d
// is nil.
func WithDeduplicator(d Deduplicator) HandlerOption {
	if d == nil {
		panic("apivideo: WithDeduplicator: the deduplicator is nil")
	}
	return func(h *handler) { h.dedup = d }
}

// WithHandlerLogger tells l why a notification wasn't handled, with its status and
// the webhook's id: at error level what failed on this side, at warn level what
// was signed and can't be read, and at info level what was refused and
// duplicates. By default nobody is told. It logs no body, secret or signature; of
// an error's text no more than 1,000 characters. It panics if l is nil.
func WithHandlerLogger(l *slog.Logger) HandlerOption {
	if l == nil {
		panic("apivideo: WithHandlerLogger: the logger is nil")
	}
	return func(h *handler) { h.logger = l }
}

// NewHandler returns a handler that verifies what it is sent and calls handle
// with it. It answers
//
//   - 202 once handle has returned nil, and not before
//   - 405 for any method but POST
//   - 413 for a body over the verifier's bound, of which no more is read
//   - 401 for what Verify refuses, in the same words whatever the reason
//   - 400 for signed bytes that are no notification, and a body that breaks off
//   - 500 if handle fails or anything panics; http.ErrAbortHandler is passed on
//   - 503 if the secret can't be had, or handle fails with [ErrUnavailable]
//
// The service is content with 202. What gets another answer it sends again, three
// times in about ten seconds, and then no more. The body of an answer is its status
// in words; the reason is for the logger, see [WithHandlerLogger].
//
// The function is called from many goroutines at once, and possibly several times
// for one notification, see [WithDeduplicator]. Its context is that of the request,
// which ends when the sender leaves. How long the service waits for an answer
// isn't known, so what takes more than a few seconds belongs into a queue.
//
// The handler sets no deadlines: the http.Server needs a ReadTimeout, or a sender
// can hold a connection open by sending slowly. NewHandler panics if v, handle or
// an option is nil.
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

// outcome is what the sender is told, its status, and what the logger is told.
type outcome struct {
	status int
	level  slog.Level
	err    error // nil: nothing to tell
	stack  []byte
}

// ServeHTTP answers a notification.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
	}
	o := h.serve(w, r)
	if o.err != nil && h.logger.Enabled(r.Context(), o.level) {
		attrs := []slog.Attr{
			slog.Int("status", o.status),
			slog.String("webhook_id", clip(r.Header.Get(HeaderWebhookID), 100)),
			slog.String("reason", clip(fmt.Sprint(o.err), 1000)), // Sprint, for an error may be a nil pointer
		}
		if o.stack != nil {
			attrs = append(attrs, slog.String("stack", string(o.stack)))
		}
		h.logger.LogAttrs(r.Context(), o.level, "apivideo: notification answered", attrs...)
	}
	http.Error(w, http.StatusText(o.status), o.status)
}

// serve handles a request. A panic of the function, or of a secret source or a
// deduplicator, is a failure like any other.
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
	if r.Method != http.MethodPost {
		return outcome{status: http.StatusMethodNotAllowed, err: errors.New("the method isn't POST")}
	}
	limit := int64(h.verifier.config.maxBody)
	if r.ContentLength > limit {
		return outcome{status: http.StatusRequestEntityTooLarge, err: ErrTooLarge}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return outcome{status: http.StatusRequestEntityTooLarge, err: ErrTooLarge}
		}
		return outcome{status: http.StatusBadRequest, err: fmt.Errorf("the body broke off: %w", err)}
	}
	n, err := h.verifier.Verify(r.Context(), r.Header, body)
	switch {
	case err == nil:
		return h.once(r.Context(), n)
	case errors.Is(err, ErrMalformed):
		return outcome{status: http.StatusBadRequest, level: slog.LevelWarn, err: err}
	case errors.Is(err, ErrNoSecret), errors.Is(err, ErrUnsigned), errors.Is(err, ErrBadSignature), errors.Is(err, ErrStale):
		return outcome{status: http.StatusUnauthorized, err: err}
	case r.Context().Err() != nil: // the sender left while the secret was looked for
		return outcome{status: http.StatusServiceUnavailable, err: err}
	default:
		return outcome{status: http.StatusServiceUnavailable, level: slog.LevelError, err: err}
	}
}

// settleTimeout bounds each call of the deduplicator. They outlive the request:
// broken off in the middle, one could leave a claim that nobody settles.
const settleTimeout = 5 * time.Second

func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
}

// once calls the function unless the deduplicator knows the notification.
func (h *handler) once(ctx context.Context, n *Notification) (o outcome) {
	if h.dedup == nil {
		return h.call(ctx, n)
	}
	key := keyOf(n)
	state, err := h.begin(ctx, key)
	switch {
	case err != nil:
		return outcome{status: http.StatusServiceUnavailable, level: slog.LevelError, err: fmt.Errorf("the deduplicator failed: %w", err)}
	case state == StateHandled:
		return outcome{status: http.StatusAccepted, err: errors.New("a duplicate of one that was handled")}
	case state == StateInProgress:
		return outcome{status: http.StatusServiceUnavailable, err: errors.New("a duplicate of one that is being handled")}
	case state != StateNew:
		return outcome{status: http.StatusServiceUnavailable, level: slog.LevelError, err: fmt.Errorf("the deduplicator answered with state %d", state)}
	}
	settle := h.dedup.Forget
	defer func() { // also if the function ends its goroutine
		ctx, cancel := settling(ctx)
		defer cancel()
		if err := settle(ctx, key); err != nil {
			o.level, o.err = slog.LevelError, errors.Join(o.err, fmt.Errorf("the deduplicator wasn't told how it ended: %w", err))
		}
	}()
	o = h.call(ctx, n)
	if o.status == http.StatusAccepted {
		settle = h.dedup.Done
	}
	return o
}

// begin claims a notification.
func (h *handler) begin(ctx context.Context, key string) (State, error) {
	ctx, cancel := settling(ctx)
	defer cancel()
	return h.dedup.Begin(ctx, key)
}

// keyOf tells notifications apart: the webhook and the bytes, in a key whose length
// a sender can't choose. No header holds the zero byte between them.
func keyOf(n *Notification) string {
	digest := sha256.New()
	_, _ = io.WriteString(digest, n.WebhookID+"\x00")
	digest.Write(n.Raw)
	return hex.EncodeToString(digest.Sum(nil))
}

// call calls the function.
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
