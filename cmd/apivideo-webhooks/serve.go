package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// listenOn opens the address of a flag.
func listenOn(ctx context.Context, flag, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	var invalid *net.AddrError
	switch {
	case errors.As(err, &invalid):
		return nil, usagef("%s: %w", flag, err)
	case err != nil:
		return nil, fmt.Errorf("%w; choose another %s", err, flag)
	}
	return listener, nil
}

// serve serves HTTP until a signal, which is not an error. Requests in flight may take
// the time of grace.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, grace time.Duration) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if server.Shutdown(ctx) != nil { // requests are in flight
		return server.Close()
	}
	return nil
}
