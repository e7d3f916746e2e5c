package main

import (
	"io"
	"sync"
)

// output is stdout. It keeps the first error, so that a command fails if its output
// is lost. Handlers of requests in flight may write after the end of a command.
type output struct {
	w io.Writer

	mu    sync.Mutex
	first error
}

// err returns the first error.
func (o *output) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.first
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.first != nil {
		return 0, o.first
	}
	n, err := o.w.Write(p)
	o.first = err
	return n, err
}
