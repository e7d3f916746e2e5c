// Package redact prepares text for errors and logs: without credentials, on one
// line and of limited length.
package redact

import (
	"encoding/base64"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// Placeholder replaces a credential.
const Placeholder = "[REDACTED]"

const (
	// minLen is the length of the shortest credential that is replaced. A shorter
	// one may occur in a text by chance.
	minLen = 16
	// maxTokens is the number of remembered tokens, an access and a refresh token
	// of the current and of the previous pair.
	maxTokens = 4
)

// A Redactor replaces the credentials of one client in text. Credentials are the API
// key, the key in base64 as for Basic authentication, and the current and previous
// tokens. Each character may be escaped as in URLs, JSON and HTML. A Redactor is safe
// for concurrent use.
type Redactor struct {
	key    string
	base64 string // the part that is common to the base64 forms of the key

	mu     sync.Mutex
	tokens []string
}

// New returns a Redactor for an API key.
func New(key string) *Redactor {
	// Encoders agree on the whole groups of three bytes. The rest depends on the
	// padding and on the colon after the key.
	return &Redactor{key: key, base64: base64.StdEncoding.EncodeToString([]byte(key[:len(key)/3*3]))}
}

// AddTokens makes r replace the tokens as well. Tokens before the previous ones
// are forgotten.
func (r *Redactor) AddTokens(tokens ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tokens = slices.Concat(r.tokens, tokens) // a copy, because String may be reading r.tokens
	r.tokens = tokens[max(0, len(tokens)-maxTokens):]
}

// String returns s without credentials.
func (r *Redactor) String(s string) string {
	r.mu.Lock()
	secrets := append([]string{r.key}, r.tokens...)
	r.mu.Unlock()

	var b strings.Builder
	start := 0 // of the text that is not yet in b
	for i := 0; i < len(s); {
		n := r.match(s[i:], secrets)
		if n == 0 {
			i++
			continue
		}
		b.WriteString(s[start:i])
		b.WriteString(Placeholder)
		i += n
		start = i
	}
	if start == 0 {
		return s
	}
	b.WriteString(s[start:])
	return b.String()
}

// match returns the length of the longest credential at the start of s, or 0.
func (r *Redactor) match(s string, secrets []string) int {
	longest := 0
	for _, secret := range secrets {
		if len(secret) >= minLen {
			longest = max(longest, prefixLen(s, secret, sameByte))
		}
	}
	if len(r.key) >= minLen {
		longest = max(longest, base64Len(s, prefixLen(s, r.base64, sameDigit)))
	}
	return longest
}

// prefixLen returns the length of text, possibly escaped, at the start of s, or 0.
func prefixLen(s, text string, same func(a, b byte) bool) int {
	if strings.HasPrefix(s, text) {
		return len(text)
	}
	n := 0
	for i := range len(text) {
		if n == len(s) {
			return 0
		}
		if c, size := unescape(s[n:]); same(c, text[i]) {
			n += size
		} else if s[n] == text[i] {
			n++
		} else {
			return 0
		}
	}
	return n
}

func sameByte(a, b byte) bool { return a == b }

// sameDigit compares digits of the two alphabets of base64.
func sameDigit(a, b byte) bool {
	return a == b || a == '-' && b == '+' || a == '_' && b == '/'
}

// base64Len returns the length of the base64 text at the start of s, whose first n
// bytes are known to be base64. It returns 0 if n is 0.
func base64Len(s string, n int) int {
	for n > 0 && n < len(s) {
		c, size := unescape(s[n:])
		isDigit := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("+/-_=", c) >= 0
		if !isDigit {
			break
		}
		n += size
	}
	return n
}

// unescape returns the first character of s and the length of its text. It decodes
// the escapes of URLs (%3D), JSON and Go (\u003d, \x3d, \/), and HTML (&#61;).
func unescape(s string) (c byte, size int) {
	switch s[0] {
	case '%':
		if c, ok := hexByte(s, 1, 2); ok {
			return c, 3
		}
	case '\\':
		return unescapeBackslash(s)
	case '&':
		if i := strings.IndexByte(s[:min(len(s), maxEntity)], ';'); i > 0 {
			if text := html.UnescapeString(s[:i+1]); len(text) == 1 {
				return text[0], i + 1
			}
		}
	}
	return s[0], 1
}

// maxEntity is the length of the longest HTML entity that is decoded.
const maxEntity = 12

func unescapeBackslash(s string) (c byte, size int) {
	if len(s) == 1 {
		return s[0], 1
	}
	switch s[1] {
	case 'u':
		if c, ok := hexByte(s, 2, 4); ok {
			return c, 6
		}
	case 'x':
		if c, ok := hexByte(s, 2, 2); ok {
			return c, 4
		}
	case '\\': // an escape that was quoted once more
		if c, size := unescapeBackslash(s[1:]); size > 2 {
			return c, size + 1
		}
	}
	return s[1], 2
}

// hexByte returns the byte that digits hexadecimal digits at s[start:] stand for.
func hexByte(s string, start, digits int) (byte, bool) {
	if len(s) < start+digits {
		return 0, false
	}
	n, err := strconv.ParseUint(s[start:start+digits], 16, 7)
	return byte(n), err == nil
}

// Header returns a copy of h without credentials in its values.
func (r *Redactor) Header(h http.Header) http.Header {
	redacted := make(http.Header, len(h))
	for name, values := range h {
		for _, v := range values {
			redacted[name] = append(redacted[name], r.String(v))
		}
	}
	return redacted
}

// Error returns an error that wraps err and whose text has no credentials.
func (r *Redactor) Error(err error) error {
	text := err.Error()
	if redacted := r.String(text); redacted != text {
		return &redactedError{err, redacted}
	}
	return err
}

type redactedError struct {
	err  error
	text string
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }

// Clip returns the first limit characters of s.
func Clip(s string, limit int) string {
	n := 0
	for i := range s {
		if n == limit {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// OneLine replaces each character that is not printable by a space.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}
