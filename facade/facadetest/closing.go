package facadetest

import "sync"

// closing tells what is under way that the server closes. It does so with calls,
// not with a channel or a context, since none may be waited for across the border
// of a testing/synctest bubble.
type closing struct {
	mu    sync.Mutex
	begun bool
	funcs map[*func()]bool
}

// call has f called when the server closes, or at once if it has begun to. After
// the function that it returns, f isn't called any more and isn't running.
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

// begin calls all that are to be called.
func (c *closing) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
	for f := range c.funcs {
		(*f)()
	}
}
