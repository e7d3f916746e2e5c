package main

import (
	"net/url"
	"strings"
	"time"
	"unicode"
)

// redactURL removes the password of a URL, which may be malformed.
func redactURL(raw string) string {
	u, err := url.Parse(raw)
	if err == nil && u.User != nil {
		return u.Redacted()
	}
	if i := strings.LastIndexByte(raw, '@'); i >= 0 && (err != nil || u.Opaque != "" || u.Host == "") {
		return "…" + raw[i:]
	}
	return raw
}

// clean replaces control characters, which could change the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// oneLine replaces line breaks and control characters.
func oneLine(s string) string {
	return clean(strings.Join(strings.Fields(s), " "))
}

// milliseconds rounds a duration to microseconds.
func milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}
