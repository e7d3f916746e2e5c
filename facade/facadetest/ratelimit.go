package facadetest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A rateLimit counts reads and writes separately, in windows of one minute. A
// window begins with the first request after the previous window.
type rateLimit struct {
	now func() time.Time

	mu            sync.Mutex
	reads, writes window
}

type window struct {
	limit int
	used  int
	begin time.Time
}

// admit counts a request and reports whether it is within the limit. It also
// sets the headers that every response has if there is a limit.
func (l *rateLimit) admit(method string, h http.Header) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, remaining := l.currentWindow(method)
	admitted := w.limit == 0 || w.used < w.limit
	if admitted {
		w.used++
	}
	w.setHeader(remaining, h)
	return admitted
}

// report sets the headers of admit without counting a request.
func (l *rateLimit) report(method string, h http.Header) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, remaining := l.currentWindow(method)
	w.setHeader(remaining, h)
}

// reset ends the current windows.
func (l *rateLimit) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads, l.writes = window{limit: l.reads.limit}, window{limit: l.writes.limit}
}

// currentWindow returns the window of a request and its remaining time, which is always
// positive. The caller holds the lock.
func (l *rateLimit) currentWindow(method string) (*window, time.Duration) {
	w := &l.writes
	if method == http.MethodGet || method == http.MethodHead {
		w = &l.reads
	}
	now := l.now()
	// A clock that moves back begins a new window too.
	if age := now.Sub(w.begin); age >= time.Minute || age < 0 {
		w.begin, w.used = now, 0
	}
	return w, w.begin.Add(time.Minute).Sub(now)
}

// setHeader sets the headers of a response.
func (w *window) setHeader(remaining time.Duration, h http.Header) {
	if w.limit == 0 {
		return
	}
	h.Set("X-RateLimit-Limit", strconv.Itoa(w.limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(w.limit-w.used))
	h.Set("X-RateLimit-Retry-After", strconv.Itoa(int((remaining+time.Second-1)/time.Second)))
}
