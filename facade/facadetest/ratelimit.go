package facadetest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A rateLimit counts reads and writes apart, each in windows of a minute that
// begin with the first request after the window before.
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

// admit counts a request and tells whether it is within the limit. Where there
// is one, it also sets the headers that come with every answer.
func (l *rateLimit) admit(method string, h http.Header) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, left := l.current(method)
	admitted := w.limit == 0 || w.used < w.limit
	if admitted {
		w.used++
	}
	w.tell(left, h)
	return admitted
}

// peek sets the headers that admit sets, but counts nothing.
func (l *rateLimit) peek(method string, h http.Header) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, left := l.current(method)
	w.tell(left, h)
}

// current returns the window of a request and how much of it is left, which is
// never nothing. The caller holds the lock.
func (l *rateLimit) current(method string) (*window, time.Duration) {
	w := &l.writes
	if method == http.MethodGet || method == http.MethodHead {
		w = &l.reads
	}
	now := l.now()
	// A clock that was set back begins a new window too.
	if age := now.Sub(w.begin); age >= time.Minute || age < 0 {
		w.begin, w.used = now, 0
	}
	return w, w.begin.Add(time.Minute).Sub(now)
}

// tell sets the headers of an answer.
func (w *window) tell(left time.Duration, h http.Header) {
	if w.limit == 0 {
		return
	}
	h.Set("X-RateLimit-Limit", strconv.Itoa(w.limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(w.limit-w.used))
	h.Set("X-RateLimit-Retry-After", strconv.Itoa(int((left+time.Second-1)/time.Second)))
}
