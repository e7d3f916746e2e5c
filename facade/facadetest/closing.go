package facadetest

import "sync"

// closing informs requests and deliveries in flight that the server closes. It
// does so with calls instead of a channel or a context, because neither can be
// waited for from another testing/synctest bubble.
type closing struct {
	mu    sync.Mutex
	begun bool
	funcs map[*func()]bool
}

// call calls f when the server closes, or at once if the server is closing. After
// stop has returned, f is not running and is never called again.
func (c *closing) call(f func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun {
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

// begin calls all registered functions.
func (c *closing) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
	for f := range c.funcs {
		(*f)()
	}
}
