package facade

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
)

// Secret holds a confidential text, for example a signature secret. Every verb of
// package fmt, every handler of log/slog and every JSON encoder prints "[REDACTED]",
// or nothing for the zero Secret. The text is masked in memory. Printers that use
// reflection (testify, spew, cmp) therefore print noise. Reveal returns the text.
//
// Secrets are comparable. Use Equal to compare in constant time.
type Secret struct {
	masked string // hexadecimal digits of the text XOR pad
}

// pad masks all secrets of a process, so that equal secrets are equal in memory.
var pad = func() (pad [64]byte) {
	_, _ = rand.Read(pad[:]) // never fails
	return pad
}()

// NewSecret returns a Secret with the text s. NewSecret("") is the zero Secret.
func NewSecret(s string) Secret {
	var b strings.Builder
	b.Grow(2 * len(s))
	return maskTo(&b, s)
}

// maskTo appends the masked text to b and returns a Secret that refers to the text.
// Enough capacity of b saves allocations.
func maskTo(b *strings.Builder, s string) Secret {
	const digits = "0123456789abcdef"
	start := b.Len()
	for i := range len(s) {
		c := s[i] ^ pad[i%len(pad)]
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&0xf])
	}
	return Secret{b.String()[start:]}
}

// Reveal returns the text. The zero Secret returns "".
func (s Secret) Reveal() string {
	text := make([]byte, len(s.masked)/2)
	for i := range text {
		text[i] = (fromHex(s.masked[2*i])<<4 | fromHex(s.masked[2*i+1])) ^ pad[i%len(pad)]
	}
	return string(text)
}

// fromHex returns the value of a digit of maskTo.
func fromHex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// IsZero reports whether s holds no text.
func (s Secret) IsZero() bool { return s.masked == "" }

// Equal reports whether s and other hold the same text, in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.masked), []byte(other.masked)) == 1
}

// Format prints "[REDACTED]" for every verb, and nothing for the zero Secret.
func (s Secret) Format(f fmt.State, _ rune) {
	if !s.IsZero() {
		_, _ = io.WriteString(f, redact.Placeholder)
	}
}

// MarshalText returns "[REDACTED]", and nothing for the zero Secret. To store a
// secret, write the result of Reveal.
func (s Secret) MarshalText() ([]byte, error) {
	if s.IsZero() {
		return nil, nil
	}
	return []byte(redact.Placeholder), nil
}

// UnmarshalText sets s to a text, for example from a configuration file. The text
// "[REDACTED]", the output of MarshalText, is an error.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == redact.Placeholder {
		return errors.New("apivideo: " + redact.Placeholder + " is the placeholder of a secret; store the result of Secret.Reveal")
	}
	*s = NewSecret(string(text))
	return nil
}
