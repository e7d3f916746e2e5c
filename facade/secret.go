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
	hash := maphash.String(hashSeed, s)
	masked := make([]byte, 0, 256) // on the stack
	masked = append(binary.BigEndian.AppendUint64(masked, hash), s...)
	applyKeystream(masked[hashLen:], hash)
	start := b.Len()
	b.Write(hex.AppendEncode(masked, masked)[len(masked):])
	return Secret{b.String()[start:]}
}

// applyKeystream masks text, or unmasks it. The hash of the text selects the keystream.
func applyKeystream(text []byte, hash uint64) {
	var input [16]byte // the hash and the offset
	binary.BigEndian.PutUint64(input[:8], hash)
	for i := 0; i < len(text); i += 8 {
		binary.BigEndian.PutUint64(input[8:], uint64(i))
		var block [8]byte
		binary.BigEndian.PutUint64(block[:], maphash.Bytes(streamSeed, input[:]))
		subtle.XORBytes(text[i:], text[i:], block[:])
	}
}

// Reveal returns the text. The zero Secret returns "".
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	masked, _ := hex.DecodeString(s.masked) // written by maskTo
	applyKeystream(masked[hashLen:], binary.BigEndian.Uint64(masked))
	return string(masked[hashLen:])
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
