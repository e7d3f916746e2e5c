package facade

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The service's headers, X-RateLimit-Limit and so on, spelled as http.Header
// keeps them.
const (
	headerLimit      = "X-Ratelimit-Limit"
	headerRemaining  = "X-Ratelimit-Remaining"
	headerRetryAfter = "X-Ratelimit-Retry-After"
)

// RateLimit is what the service last said about requests per minute. It counts
// reads and writes apart, and these figures are those of whichever kind the
// request was.
type RateLimit struct {
	// Limit is how many requests a minute may hold.
	Limit int
	// Remaining is how many are left in the current one.
	Remaining int
	// Reset is when the next one starts, by this machine's clock; zero if the
	// service didn't say.
	Reset time.Time
}

// latestRateLimit keeps the figures of the answer that came last.
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

func (l *latestRateLimit) store(v RateLimit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.value, l.known = v, true
}

// parseRateLimit reads the three X-RateLimit headers. Proxies drop and garble
// them, so whatever isn't a plain number counts as absent, and without limit
// and remainder there is nothing to tell.
func parseRateLimit(h http.Header, now time.Time) (RateLimit, bool) {
	limit, ok1 := parseNumber(h.Get(headerLimit))
	remaining, ok2 := parseNumber(h.Get(headerRemaining))
	if !ok1 || !ok2 {
		return RateLimit{}, false
	}
	rl := RateLimit{Limit: limit, Remaining: remaining}
	if s, ok := parseNumber(h.Get(headerRetryAfter)); ok {
		rl.Reset = now.Add(time.Duration(s) * time.Second)
	}
	return rl, true
}

// parseRetryAfter reads how long a 429 asks to wait: from the service's own
// header, else from the standard one, which a proxy in front of it may add.
func parseRetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	for _, name := range []string{headerRetryAfter, "Retry-After"} {
		if s, ok := parseNumber(h.Get(name)); ok {
			return time.Duration(s) * time.Second, true
		}
	}
	if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		return min(max(0, at.Sub(now)), math.MaxInt32*time.Second), true
	}
	return 0, false
}

// parseNumber takes digits only, and 31 bits of them: as seconds that is 68
// years, which time.Duration still holds.
func parseNumber(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}
