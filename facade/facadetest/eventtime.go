package facadetest

import (
	"sync"
	"time"
)

// eventTime provides times for events with a zero EmittedAt. All of them are
// different, even if the clock stands still or moves back.
type eventTime struct {
	mu     sync.Mutex
	latest time.Time
	count  time.Duration // of times that are not later
}

// requestTime has the times of NewNotificationRequest.
var requestTime eventTime

// next returns now in milliseconds, as the service writes times. It adds a counter in
// nanoseconds if now is not later than each previous time.
func (t *eventTime) next(now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	now = now.UTC().Truncate(time.Millisecond)
	if now.After(t.latest) {
		t.latest = now
		return now
	}
	t.count++
	return now.Add(t.count)
}
