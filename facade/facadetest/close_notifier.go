package facadetest

import "sync"

// closeNotifier calls functions when the server closes, for requests and
// deliveries in flight. A channel or a context cannot notify another
// testing/synctest bubble.
type closeNotifier struct {
	mu     sync.Mutex
	closed bool
	funcs  map[*func()]bool
}

// register calls f when the server closes, or at once if the server is closed. The
// returned function waits for a running f and prevents later calls.
func (c *closeNotifier) register(f func()) (unregister func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		f()
	}
	if c.funcs == nil {
		c.funcs = map[*func()]bool{}
	}
	c.funcs[&f] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.funcs, &f)
	}
}

// close calls all registered functions.
func (c *closeNotifier) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for f := range c.funcs {
		(*f)()
	}
}
