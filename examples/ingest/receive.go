package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

const (
	// NATS carries 1 MiB, headers included, unless it is told otherwise. What the
	// service sends has a few hundred bytes.
	maxBody = 256 << 10

	// Storing takes milliseconds, and seconds while the cluster elects a leader. The
	// sum of both is how long the service may have to wait for its answer. It tries
	// four times, three seconds apart, so an election has half a minute, while one
	// that were answered 503 at once would have nine seconds.
	storePatience = 5 * time.Second
	storeAttempt  = 2 * time.Second
	storePause    = 10 * time.Millisecond // after the first attempt, then twice as long each time
	storeMaxPause = 500 * time.Millisecond

	// A sender that isn't the service may be slow on purpose. These are for a whole
	// request however slowly it trickles in, for its header, for the answer as well,
	// and for a connection that is kept.
	readTimeout       = 10 * time.Second
	readHeaderTimeout = 5 * time.Second
	writeTimeout      = readTimeout + 2*storePatience
	idleTimeout       = 90 * time.Second
	maxHeaderBytes    = 16 << 10

	// The time between a failed listing of the webhooks and the next one.
	secretsPause = 5 * time.Second

	// What is under way at the end gets the time that it may take anyway.
	shutdownTimeout = writeTimeout
)

// A secretSource is a *notification.CachedSecrets.
type secretSource interface {
	notification.SecretSource
	Refresh(ctx context.Context) error
}

// A receiver verifies and stores, and does nothing else.
type receiver struct {
	streams   *streams
	secrets   secretSource
	path      string        // of the webhook's url
	maxAge    time.Duration // of what is taken, 0: any
	drain     time.Duration // how long it still takes requests once it isn't ready any more
	telemetry *telemetry
	logger    *slog.Logger

	knows    atomic.Bool // the secrets
	stopping atomic.Bool
}

// serve receives until the context ends, and then finishes what it has accepted.
func (r *receiver) serve(ctx context.Context, listener net.Listener) error {
	handler, err := r.handler(r.store)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	// With a key that is refused nothing could ever be verified. Any other failure
	// may pass, and until then the receiver isn't ready.
	err = r.learn(ctx)
	if errors.Is(err, facade.ErrUnauthorized) || errors.Is(err, facade.ErrForbidden) {
		return errors.Join(fmt.Errorf("the webhooks can't be listed with this APIVIDEO_API_KEY: %w", err), listener.Close())
	}
	if err != nil {
		go func() {
			for wait(ctx, secretsPause) && r.learn(ctx) != nil {
			}
		}()
	}
	server := &http.Server{
		Handler:           handler,
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(r.logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	r.logger.Info("receiving", slog.String("address", listener.Addr().String()), slog.String("path", r.path))
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}

	// First the load balancer gets to know, then nothing new is taken, then what is
	// under way ends.
	r.stopping.Store(true)
	server.SetKeepAlivesEnabled(false)
	ctx = context.WithoutCancel(ctx)
	wait(ctx, r.drain)
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were broken off: %w", err), server.Close())
	}
	r.logger.Info("the receiver has stopped")
	return nil
}

// learn lists the secrets. Until then the response to an authentic notification
// may be 503.
func (r *receiver) learn(ctx context.Context) error {
	if err := r.secrets.Refresh(ctx); err != nil {
		r.logger.Error("the webhooks can't be listed: nothing can be verified", slog.Any("error", err))
		return err
	}
	r.knows.Store(true)
	return nil
}

// handler returns what is served: the webhook's url, health and readiness.
func (r *receiver) handler(store func(context.Context, *notification.Notification) error) (http.Handler, error) {
	opts := []notification.Option{notification.WithMaxBody(maxBody)}
	if r.maxAge > 0 {
		opts = append(opts, notification.WithMaxAge(r.maxAge))
	}
	verifier, err := notification.NewVerifier(r.secrets, opts...)
	if err != nil {
		return nil, err
	}
	receive := notification.NewHandler(verifier, store, notification.WithHandlerLogger(r.logger))

	mux := http.NewServeMux()
	mux.Handle(r.path, otelhttp.NewHandler(r.count(receive), "receive",
		otelhttp.WithTracerProvider(r.telemetry.tracers),
		otelhttp.WithMeterProvider(r.telemetry.meters),
		otelhttp.WithPropagators(propagator),
		// The sender isn't one of ours: its trace, if it has one, is linked, not joined.
		otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }),
	))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
	})
	mux.HandleFunc("GET /readyz", r.ready)
	return mux, nil
}

// store is the function of notification.NewHandler. It returns nil, which the
// service is told with 202, once the stream has acknowledged the notification.
func (r *receiver) store(ctx context.Context, n *notification.Notification) (err error) {
	// The sender may leave, and this may have been its last try: it is stored all
	// the same. Should the service repeat it, the stream knows its id.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
	defer cancel()
	m := newMessage(r.streams.name, n)
	ctx, span := r.telemetry.tracer.Start(ctx, "store "+m.Subject, trace.WithSpanKind(trace.SpanKindProducer))
	defer func() { end(span, err) }()
	propagator.Inject(ctx, propagation.HeaderCarrier(m.Header))

	for pause := storePause; ; pause = min(2*pause, storeMaxPause) {
		ack, err := r.streams.publish(ctx, m, r.streams.events())
		if err == nil {
			r.telemetry.stored.Add(ctx, 1, metric.WithAttributes(attribute.Bool("duplicate", ack.Duplicate)))
			return nil
		}
		// Whatever the reason, it may pass: a leader is elected, a worker makes room,
		// the first of two that came at once is stored.
		if !wait(ctx, pause) {
			return fmt.Errorf("%w: %w", notification.ErrUnavailable, err)
		}
	}
}

// ready answers 503 while nothing can be verified or stored, and once the receiver
// stops.
func (r *receiver) ready(w http.ResponseWriter, req *http.Request) {
	var err error
	switch {
	case r.stopping.Load():
		err = errors.New("the receiver is stopping")
	case !r.knows.Load():
		err = errors.New("the webhooks couldn't be listed yet")
	default:
		err = r.streams.ready(req.Context())
	}
	if err != nil {
		r.logger.Warn("not ready", slog.Any("error", err))
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// count counts what was accepted and what was refused.
func (r *receiver) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(s, req)
		if s.status == http.StatusAccepted {
			r.telemetry.accepted.Add(req.Context(), 1)
		} else {
			r.telemetry.refused.Add(req.Context(), 1, metric.WithAttributes(attribute.Int("status", s.status)))
		}
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
