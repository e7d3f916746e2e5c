package facade

import (
	"net/http"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/facade/internal/transport"
)

// RateLimit is the state of the rate limit in a response. The service counts reads
// and writes separately, per minute. The figures are those of the kind of the
// request.
type RateLimit struct {
	// Limit is the maximum number of requests in a minute.
	Limit int
	// Remaining is the number of further requests in the current minute.
	Remaining int
	// Reset is the start of the next minute by the local clock. Zero means unknown.
	Reset time.Time
}

// latestRateLimit keeps the figures of the latest response.
type latestRateLimit struct {
	mu    sync.Mutex
	value RateLimit
	known bool
}

func (l *latestRateLimit) load() (RateLimit, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.value, l.known
}

// observe keeps the figures of a response, if there are any.
func (l *latestRateLimit) observe(h http.Header) {
	rl, ok := parseRateLimit(h, time.Now())
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.value, l.known = rl, true
}

// parseRateLimit reads the three X-RateLimit headers. A proxy may drop or change
// headers, so anything but a plain number counts as absent. The result is false
// without a limit or a remaining number.
func parseRateLimit(h http.Header, now time.Time) (RateLimit, bool) {
	limit, ok1 := transport.Number(h, transport.HeaderLimit)
	remaining, ok2 := transport.Number(h, transport.HeaderRemaining)
	if !ok1 || !ok2 {
		return RateLimit{}, false
	}
	rl := RateLimit{Limit: limit, Remaining: remaining}
	if s, ok := transport.Number(h, transport.HeaderRetryAfter); ok {
		rl.Reset = now.Add(time.Duration(s) * time.Second)
	}
	return rl, true
}
