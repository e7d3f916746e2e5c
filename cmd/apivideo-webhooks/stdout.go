package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	outputTimeout = time.Second // limits the wait for the reader of stdout after a signal
	maxPending    = 1 << 20     // bytes that a stream keeps for the reader
)

var errStalled = errors.New("its reader has stalled")

// output is stdout. Writes do not wait for the reader, so that a stalled reader delays
// no delivery. output keeps the first error. Handlers of requests in flight may write
// after the end of a command.
type output struct {
	w io.Writer

	mu      sync.Mutex
	pending []byte
	idle    chan struct{} // closed after the last write, nil while nothing is pending
	first   error
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.first != nil {
		return 0, o.first
	}
	o.pending = append(o.pending, p...)
	if o.idle == nil {
		o.idle = make(chan struct{})
		go o.writePending()
	}
	return len(p), nil
}

// isStalled reports whether a stream has to end, because of an error or because the
// reader is far behind. Output of a limited size needs no check.
func (o *output) isStalled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) > maxPending {
		o.first = cmp.Or(o.first, errStalled)
	}
	return o.first != nil
}

// writePending writes until nothing is pending.
func (o *output) writePending() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.pending) > 0 && o.first == nil {
		p := o.pending
		o.pending = nil
		o.mu.Unlock()
		_, err := o.w.Write(p)
		o.mu.Lock()
		o.first = cmp.Or(o.first, err)
	}
	close(o.idle)
	o.idle = nil
}

// flush waits until nothing is pending and returns the first error.
func (o *output) flush(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if idle := o.idle; idle != nil && o.first == nil {
		o.mu.Unlock()
		ok := waitFor(ctx, idle)
		o.mu.Lock()
		if !ok {
			o.first = cmp.Or(o.first, errStalled)
		}
	}
	return o.first
}

// waitFor reports whether a channel is closed before a signal, or shortly after it.
func waitFor(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	case <-time.After(outputTimeout):
		return false
	}
}
