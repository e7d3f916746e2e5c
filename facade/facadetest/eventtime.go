package facadetest

import (
	"sync"
	"time"
)

// maxEventLead is the maximum time that an event time can be ahead of the clock.
const maxEventLead = time.Minute

// eventTime provides different times for events with a zero EmittedAt.
type eventTime struct {
	mu   sync.Mutex
	last time.Time
}

// next returns now in milliseconds, as the service writes times, or the next
// millisecond after the previous time. A clock that has moved back by more than
// maxEventLead begins a new series.
func (t *eventTime) next(now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := now.UTC().Truncate(time.Millisecond)
	if lead := t.last.Sub(next); lead >= 0 && lead < maxEventLead {
		next = t.last.Add(time.Millisecond)
	}
	t.last = next
	return next
}
