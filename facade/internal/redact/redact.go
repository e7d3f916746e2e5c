// Package redact prepares text for errors and logs: without credentials, on one
// line and of limited length.
package redact

import (
	"encoding/base64"
	"html"
	"maps"
	"net/http"
	"regexp"
	"slices"
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
	// maxPrefix is the number of bytes that identify a longer credential. It limits
	// the work for each byte of a text.
	maxPrefix = 64
	// maxTokens is the number of remembered tokens, an access and a refresh token
	// of the current and of the previous pair.
	maxTokens = 4
	// maxHeaderValue and maxHeader limit one value and all values of a header.
	maxHeaderValue, maxHeader = 4 << 10, 64 << 10
)

// A Redactor replaces the credentials of one client in text. Credentials are the API
// key, the key in base64 as for Basic authentication, and the current and previous
// tokens. Each character may be escaped as in URLs, JSON and HTML. Credentials under 16
// bytes are not replaced. The time is linear in the length of the text. A Redactor is
// safe for concurrent use.
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
	r.tokens = append(r.tokens, tokens...)
	r.tokens = r.tokens[max(0, len(r.tokens)-maxTokens):]
}

// String returns s without credentials.
func (r *Redactor) String(s string) string { return r.Prefix(s, len(s)) }

// Prefix returns the first limit bytes of s without credentials. A credential that
// begins before the limit is replaced as a whole.
func (r *Redactor) Prefix(s string, limit int) string {
	r.mu.Lock()
	secrets := append([]string{r.key}, r.tokens...)
	r.mu.Unlock()

	limit = min(limit, len(s))
	canBegin := r.firstBytes(secrets)
	var b strings.Builder
	start := 0 // of the text that is not yet in b
	for i := 0; i < limit; {
		n := 0
		if canBegin[s[i]] {
			n = r.match(s[i:], secrets)
		}
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
		return s[:limit]
	}
	b.WriteString(s[start:max(start, limit)])
	return b.String()[:min(limit, b.Len())]
}

// firstBytes returns the bytes with which a credential or an escape begins. The first
// base64 digit of an ASCII text is the same in both alphabets.
func (r *Redactor) firstBytes(secrets []string) *[256]bool {
	first := [256]bool{'%': true, '\\': true, '&': true}
	for _, secret := range append(secrets, r.base64) {
		if secret != "" {
			first[secret[0]] = true
		}
	}
	return &first
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

// prefixLen returns the length of text, possibly escaped, at the start of s, or 0. Of a
// long text the first maxPrefix bytes are sufficient.
func prefixLen(s, text string, same func(a, b byte) bool) int {
	// Escaped text may look like the characters of the credential itself.
	return max(commonLen(s, text, same, false), commonLen(s, text, same, true))
}

// commonLen returns the length in s of the beginning that s and text have in common, or
// 0 if the beginning is shorter than text and maxPrefix.
func commonLen(s, text string, same func(a, b byte) bool, escaped bool) int {
	n := 0
	for i := range len(text) {
		size := 0
		if n < len(s) && same(s[n], text[i]) {
			size = 1
		}
		if escaped && n < len(s) && isEscape(s[n]) {
			if c, length := unescape(s[n:]); same(c, text[i]) {
				size = length
			}
		}
		if size == 0 && i < maxPrefix {
			return 0
		}
		if size == 0 {
			break
		}
		n += size
	}
	return n
}

func isEscape(c byte) bool { return c == '%' || c == '\\' || c == '&' }

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

// Limits of the escapes that are decoded.
const (
	maxEntity    = 12 // length of an HTML entity
	maxBackslash = 8  // number of backslashes, which doubles with each quoting
)

// unescape returns the first character of s and the length of its text. It decodes
// the escapes of URLs (%3D), JSON and Go (\u003d, \x3d, \/), and HTML (&#61;). It reads
// a limited number of bytes.
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

// unescapeBackslash decodes an escape that may be quoted several times.
func unescapeBackslash(s string) (c byte, size int) {
	n := 1 // number of backslashes
	for n < min(len(s), maxBackslash) && s[n] == '\\' {
		n++
	}
	digits := 0
	if n < len(s) && s[n] == 'u' {
		digits = 4
	} else if n < len(s) && s[n] == 'x' {
		digits = 2
	}
	if c, ok := hexByte(s, n+1, digits); ok {
		return c, n + 1 + digits
	}
	if len(s) == 1 {
		return s[0], 1
	}
	return s[1], 2
}

// hexByte returns the ASCII character that digits hexadecimal digits at s[start:] stand
// for.
func hexByte(s string, start, digits int) (byte, bool) {
	if digits == 0 || len(s) < start+digits {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s[start : start+digits]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		n = n<<4 | int(c)
	}
	return byte(n), n <= unicode.MaxASCII
}

// Header returns a copy of h without credentials in its values. Long values are
// truncated. In an oversized header the values of the last names are omitted.
func (r *Redactor) Header(h http.Header) http.Header {
	redacted := make(http.Header, len(h))
	size := 0
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			if size += len(name) + min(len(v), maxHeaderValue); size > maxHeader {
				return redacted
			}
			redacted[name] = append(redacted[name], r.Prefix(v, maxHeaderValue))
		}
	}
	return redacted
}

// signatureSecret matches the name and the text of a secret in JSON. The JSON may be
// truncated, or quoted as text in JSON.
var signatureSecret = regexp.MustCompile(`(?is)("signatureSecret\\*"\s*:\s*)(?:(")(?:[^"\\]|\\.)*|(\\+")[^"\\]*)`)

// SignatureSecrets returns s without the values of JSON fields signatureSecret.
func SignatureSecrets(s string) string {
	return signatureSecret.ReplaceAllString(s, "${1}${2}${3}"+Placeholder)
}

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

// ClipMiddle returns s, or the first and the last characters of s, limit in total.
func ClipMiddle(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	head := limit / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(limit-head-1):])
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
