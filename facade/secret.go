package facade

import (
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
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
	masked string // hexadecimal digits of a hash of the text and of the text XOR a keystream
}

// The seeds of a process for the hash of a secret, which selects the keystream, and for
// the keystream. Equal secrets are therefore equal in memory, and the keystreams of
// different secrets differ.
var hashSeed, streamSeed = maphash.MakeSeed(), maphash.MakeSeed()

const hashLen = 8

// NewSecret returns a Secret with the text s. NewSecret("") is the zero Secret.
func NewSecret(s string) Secret {
	var b strings.Builder
	b.Grow(maskedLen(s))
	return maskTo(&b, s)
}

// maskedLen returns the number of bytes that maskTo appends.
func maskedLen(s string) int {
	if s == "" {
		return 0
	}
	return 2 * (hashLen + len(s))
}

// maskTo appends the masked text to b and returns a Secret that refers to the text.
// Enough capacity of b saves allocations.
func maskTo(b *strings.Builder, s string) Secret {
	if s == "" {
		return Secret{}
	}
	start := b.Len()
	hash := maphash.String(hashSeed, s)
	appendHex(b, hash, hashLen)
	for i := 0; i < len(s); i += 8 {
		var block [8]byte
		n := copy(block[:], s[i:])
		appendHex(b, binary.BigEndian.Uint64(block[:])^keystream(hash, i), n)
	}
	return Secret{b.String()[start:]}
}

// appendHex appends the first n of the eight bytes of v.
func appendHex(b *strings.Builder, v uint64, n int) {
	var bytes [8]byte
	var digits [16]byte
	binary.BigEndian.PutUint64(bytes[:], v)
	hex.Encode(digits[:], bytes[:])
	b.Write(digits[:2*n])
}

// keystream returns the eight bytes for the text at offset i.
func keystream(hash uint64, i int) uint64 {
	var input [16]byte
	binary.BigEndian.PutUint64(input[:8], hash)
	binary.BigEndian.PutUint64(input[8:], uint64(i)) //nolint:gosec // not negative
	return maphash.Bytes(streamSeed, input[:])
}

// Reveal returns the text. The zero Secret returns "".
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	masked, _ := hex.DecodeString(s.masked) // written by maskTo
	hash, text := binary.BigEndian.Uint64(masked), masked[hashLen:]
	for i := range text {
		text[i] ^= byte(keystream(hash, i&^7) >> (56 - 8*(i%8))) //nolint:gosec // one byte
	}
	return string(text)
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
