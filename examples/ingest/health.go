package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// check returns an error if a part of the program does not work.
type check func(context.Context) error

// handleHealth adds /healthz, which fails if a restart helps, and /readyz.
func (c *core) handleHealth(mux *http.ServeMux, ready ...check) {
	for path, checks := range map[string][]check{"GET /healthz": c.alive, "GET /readyz": append(ready, c.ready...)} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
			defer cancel()
			var errs []error
			for _, fails := range checks {
				errs = append(errs, fails(ctx))
			}
			if err := errors.Join(errs...); err != nil {
				c.logger.WarnContext(ctx, "a health check failed", slog.String("path", r.URL.Path), slog.Any("error", err))
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
	}
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
