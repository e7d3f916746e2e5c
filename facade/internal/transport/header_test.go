package transport //nolint:testpackage // the parser is not exported

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	tests := []struct {
		name   string
		status int
		header []string
		want   time.Duration
		ok     bool
	}{
		{"429 with the header of the service", 429, []string{HeaderRetryAfter, "7", "Retry-After", "9"}, 7 * time.Second, true},
		{"429 with the standard header", 429, []string{"Retry-After", "9"}, 9 * time.Second, true},
		{"429 with an invalid header of the service", 429, []string{HeaderRetryAfter, "soon", "Retry-After", "9"}, 9 * time.Second, true},
		{"503 with the header of the service only", 503, []string{HeaderRetryAfter, "7"}, 0, false},
		{"503 with both headers", 503, []string{HeaderRetryAfter, "7", "Retry-After", "9"}, 9 * time.Second, true},
		{"a date without Date", 503, []string{"Retry-After", at(time.Minute)}, time.Minute, true},
		{"a date and a Date five minutes ahead", 429, []string{"Retry-After", at(6 * time.Minute), "Date", at(5 * time.Minute)}, time.Minute, true},
		{"a date and a Date five minutes behind", 429, []string{"Retry-After", at(-4 * time.Minute), "Date", at(-5 * time.Minute)}, time.Minute, true},
		{"a date and an invalid Date", 429, []string{"Retry-After", at(time.Minute), "Date", "today"}, time.Minute, true},
		{"a date before Date", 429, []string{"Retry-After", at(0), "Date", at(time.Minute)}, 0, true},
		{"a date in 200 years", 429, []string{"Retry-After", "Sun, 01 Jan 2226 00:00:00 GMT"}, math.MaxInt32 * time.Second, true},
		{"no header", 429, nil, 0, false},
		{"a negative number", 429, []string{"Retry-After", "-1"}, 0, false},
		{"a fraction", 429, []string{"Retry-After", "1.5"}, 0, false},
		{"32 bits", 429, []string{"Retry-After", "2147483648"}, 0, false},
		{"31 bits", 429, []string{HeaderRetryAfter, "2147483647"}, math.MaxInt32 * time.Second, true},
		{"leading zeros", 429, []string{HeaderRetryAfter, "007"}, 7 * time.Second, true},
		{"zero", 429, []string{HeaderRetryAfter, "0", "Retry-After", "9"}, 0, true},
		{"a sign", 429, []string{"Retry-After", "+1"}, 0, false},
		{"a unit", 429, []string{"Retry-After", "1s"}, 0, false},
		{"two numbers", 429, []string{"Retry-After", "1, 2"}, 0, false},
		{"an empty header", 429, []string{"Retry-After", ""}, 0, false},
		{"a date in the header of the service", 429, []string{HeaderRetryAfter, at(time.Minute)}, 0, false},
		{"a date in the form of RFC 850", 429, []string{"Retry-After", now.Add(time.Minute).Format("Monday, 02-Jan-06 15:04:05 GMT")}, time.Minute, true},
		{"a date in the form of RFC 3339", 429, []string{"Retry-After", now.Format(time.RFC3339)}, 0, false},
	}
	for _, test := range tests {
		h := make(http.Header)
		for i := 0; i < len(test.header); i += 2 {
			h.Set(test.header[i], test.header[i+1])
		}
		got, ok := parseRetryAfter(h, test.status, now)
		assert.Equal(t, test.want, got, test.name)
		assert.Equal(t, test.ok, ok, test.name)
	}
}
