package facade

import (
	"crypto/subtle"
	"encoding/binary"
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
	var stream keystream
	binary.BigEndian.PutUint64(stream.hash[:], maphash.String(hashSeed, s))
	for _, c := range stream.hash[:hashLen] {
		writeHex(b, c)
	}
	for i := range len(s) {
		writeHex(b, s[i]^stream.at(i))
	}
	return Secret{b.String()[start:]}
}

// Reveal returns the text. The zero Secret returns "".
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	var stream keystream
	for i := range hashLen {
		stream.hash[i] = s.byteAt(i)
	}
	text := make([]byte, len(s.masked)/2-hashLen)
	for i := range text {
		text[i] = s.byteAt(hashLen+i) ^ stream.at(i)
	}
	return string(text)
}

// A keystream is a sequence of bytes that a hash selects.
type keystream struct {
	hash  [hashLen + 8]byte // followed by the number of a block
	block [8]byte
}

// at returns byte i. It must be called for each i from 0.
func (k *keystream) at(i int) byte {
	if i%len(k.block) == 0 {
		binary.BigEndian.PutUint64(k.hash[hashLen:], uint64(i)) //nolint:gosec // not negative
		binary.BigEndian.PutUint64(k.block[:], maphash.Bytes(streamSeed, k.hash[:]))
	}
	return k.block[i%len(k.block)]
}

func writeHex(b *strings.Builder, c byte) {
	const digits = "0123456789abcdef"
	b.WriteByte(digits[c>>4])
	b.WriteByte(digits[c&0xf])
}

// byteAt returns byte i of the masked text.
func (s Secret) byteAt(i int) byte { return fromHex(s.masked[2*i])<<4 | fromHex(s.masked[2*i+1]) }

// fromHex returns the value of a digit of writeHex.
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
