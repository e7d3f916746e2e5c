package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

const (
	storeLimit   = 5 * time.Second // an election has half a minute, with the retries of the service
	readTimeout  = 10 * time.Second
	writeTimeout = readTimeout + 2*storeLimit // the request, a listing and the storing
)

type receiver struct {
	*core

	secrets notification.SecretSource
	refresh func(context.Context) error // of the secrets
	path    string                      // of the URL of the webhook
	drain   time.Duration               // between the end of readiness and the stop

	listed, stopping atomic.Bool
}

// run receives until ctx is done, and then finishes the requests in flight.
func (r *receiver) run(ctx context.Context, listener net.Listener) error {
	defer func() { _ = listener.Close() }()
	handler, err := r.handler()
	if err != nil {
		return err
	}
	err = r.refresh(ctx)
	if errors.Is(err, facade.ErrUnauthorized) || errors.Is(err, facade.ErrForbidden) {
		return fmt.Errorf("APIVIDEO_API_KEY is invalid: %w", err)
	}
	r.listed.Store(err == nil)
	go func() {
		for ; err != nil && ctx.Err() == nil; err = r.refresh(ctx) {
			r.logger.Error("webhooks not listed: no notification can be verified", slog.Any("error", err))
			wait(ctx, 5*time.Second)
		}
		r.listed.Store(err == nil)
	}()
	r.logger.Info("receiving", slog.String("address", listener.Addr().String()), slog.String("path", r.path))
	defer r.logger.Info("the receiver stopped")
	return serveHTTP(ctx, listener, handler, func(server *http.Server) {
		r.stopping.Store(true) // the load balancer notices first
		server.SetKeepAlivesEnabled(false)
		wait(context.WithoutCancel(ctx), r.drain)
	})
}

// handler returns the paths of a receiver: the webhook, health and readiness.
func (r *receiver) handler() (http.Handler, error) {
	opts := []notification.Option{notification.WithMaxBody(maxBody), notification.WithMaxAge(r.maxAge)}
	if r.maxAge == 0 {
		opts = opts[:1]
	}
	verifier, err := notification.NewVerifier(r.secrets, opts...)
	if err != nil {
		return nil, err
	}
	receive := func(w http.ResponseWriter, req *http.Request) { r.receive(w, req, verifier) }
	mux := http.NewServeMux()
	mux.Handle("POST "+r.path, otelhttp.NewHandler(http.HandlerFunc(receive), "receive",
		otelhttp.WithTracerProvider(r.telemetry.tracers), otelhttp.WithMeterProvider(r.telemetry.meters), otelhttp.WithPropagators(propagator),
		otelhttp.WithServerName("ingest:80"), // a Host header of the sender would be a time series
		otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }),
	))
	r.handleHealth(mux, r.isReady)
	return mux, nil
}

// receive responds with 202 after the notification is stored. An authentic body
// without a type is stored as a dead letter, because the service retries in vain.
func (r *receiver) receive(w http.ResponseWriter, req *http.Request, verifier *notification.Verifier) {
	var body bytes.Buffer
	req.Body = io.NopCloser(io.TeeReader(req.Body, &body))
	n, err := verifier.VerifyRequest(req)
	switch {
	case err == nil:
		err = r.storeMessage(req.Context(), newMessage(eventSubject(r.name, n.Type), n.WebhookID, n.ID(), n.Raw), r.events())
	case errors.Is(err, notification.ErrMalformed):
		id := req.Header.Get(notification.HeaderWebhookID)
		m := newMessage(eventSubject(r.name+"-dead", ""), id, notificationID(id, body.Bytes()), body.Bytes())
		m.Header.Set(headerDeadReason, deadReason(deadMalformed, err))
		err = r.storeMessage(req.Context(), m, r.dead())
	}
	status := notification.StatusCode(err)
	if err != nil {
		r.logger.Warn("not stored", slog.Int("status", status), slog.Any("error", err))
	}
	w.WriteHeader(status)
}

// storeMessage returns nil after the stream has acknowledged the message. The
// message is also stored for a disconnected sender, after maybe the last attempt.
func (r *receiver) storeMessage(ctx context.Context, m *nats.Msg, stream string) error {
	propagator.Inject(ctx, propagation.HeaderCarrier(m.Header))
	duplicate, err := r.store(ctx, m, stream, storeLimit)
	if err != nil {
		return fmt.Errorf("%w: %w", notification.ErrUnavailable, err)
	}
	r.telemetry.stored.Add(ctx, 1, metric.WithAttributes(attribute.Bool("duplicate", duplicate)))
	return nil
}

func (r *receiver) isReady(ctx context.Context) error {
	if r.stopping.Load() || !r.listed.Load() {
		return errors.New("the receiver is stopping, or the webhooks are not listed yet")
	}
	return r.checkLeader(ctx)
}

// handleHealth adds /healthz, which fails if a restart helps, and /readyz.
func (c *core) handleHealth(mux *http.ServeMux, isReady func(context.Context) error) {
	for path, check := range map[string]func(context.Context) error{"GET /healthz": c.isAlive, "GET /readyz": isReady} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
			defer cancel()
			if err := check(ctx); err != nil {
				c.logger.WarnContext(ctx, "a health check failed", slog.String("path", r.URL.Path), slog.Any("error", err))
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
	}
}

// isAlive fails if as many functions hang as the worker calls at once.
func (c *core) isAlive(context.Context) error {
	if n := c.hangs.Load(); n > 0 && n >= int64(c.concurrency) {
		return fmt.Errorf("%w: %d", errHangs, n)
	}
	return nil
}

// serveHTTP serves until ctx is done and drain has returned, and then finishes the
// requests in flight. The limits are for attackers that send slowly.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, drain func(*http.Server)) error {
	server := &http.Server{Handler: handler, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, MaxHeaderBytes: 16 << 10}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		drain(server)
		return server.Shutdown(context.WithoutCancel(ctx)) // writeTimeout is its limit
	}
}
