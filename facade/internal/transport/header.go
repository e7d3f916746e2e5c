package transport

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// The rate limit headers of the service, in the form of http.Header.
const (
	HeaderLimit      = "X-Ratelimit-Limit"
	HeaderRemaining  = "X-Ratelimit-Remaining"
	HeaderRetryAfter = "X-Ratelimit-Retry-After"
)

// parseRetryAfter returns the delay that a response asks for. A 429 may have the
// header of the service, which takes precedence over the standard header. A date
// is measured against the Date of the response, or against now if there is none,
// because the clocks may differ.
func parseRetryAfter(h http.Header, status int, now time.Time) (time.Duration, bool) {
	if s, ok := Number(h, HeaderRetryAfter); ok && status == http.StatusTooManyRequests {
		return time.Duration(s) * time.Second, true
	}
	if s, ok := Number(h, "Retry-After"); ok {
		return time.Duration(s) * time.Second, true
	}
	at, err := http.ParseTime(h.Get("Retry-After"))
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(0, at.Sub(now)), math.MaxInt32*time.Second), true
}

// Number returns the value of a header that has decimal digits, up to 31 bits. As
// seconds these are 68 years, which a time.Duration can hold. The name must be in
// the form of http.Header.
func Number(h http.Header, name string) (int, bool) {
	values := h[name]
	if len(values) == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(values[0], 10, 31)
	return int(n), err == nil
}
