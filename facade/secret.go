package facade

import (
	"fmt"
	"io"
)

const redacted = "[REDACTED]"

// Secret is a string that doesn't print: a webhook's signature secret, which
// whoever knows it can forge notifications with. No verb of package fmt, no
// handler of log/slog and no JSON encoder shows more than "[REDACTED]", or
// nothing at all for the zero Secret. Reveal is the only way to its text.
//
// Secrets don't compare with ==. Use reflect.DeepEqual in tests, and
// crypto/subtle on what Reveal returns elsewhere.
type Secret struct {
	_ [0]func() // refuses ==, which would compare the pointers
	// Behind a pointer, because fmt ignores methods on an unexported field of
	// somebody else's struct and would print the string itself.
	text *string
}

// NewSecret returns a Secret that holds s. NewSecret("") is the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{text: &s}
}

// Reveal returns the text. The zero Secret gives "".
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether s holds no text.
func (s Secret) IsZero() bool { return s.text == nil }

// Format prints "[REDACTED]" whatever the verb, and nothing for the zero Secret.
func (s Secret) Format(f fmt.State, _ rune) {
	if !s.IsZero() {
		_, _ = io.WriteString(f, redacted)
	}
}

// MarshalText returns "[REDACTED]", and nothing for the zero Secret, so that
// encoders of JSON, XML and YAML don't show more either.
func (s Secret) MarshalText() ([]byte, error) {
	if s.IsZero() {
		return nil, nil
	}
	return []byte(redacted), nil
}
