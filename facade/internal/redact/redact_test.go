package redact_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
)

// keys differ in length modulo 3, which decides about the padding of base64.
var keys = []string{
	"Ab3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zAb3dE6gH9jK2",
	"key/with+signs=0123456789",
	"key&with'quotes\"0123456789\\",
	"percent%41percent%3D~~~???",
	strings.Repeat("k", 24),
}

// spellings returns the forms in which a server may return a text.
func spellings(text string) map[string]string {
	escape := func(format string) string {
		var b strings.Builder
		for i := range len(text) {
			fmt.Fprintf(&b, format, text[i])
		}
		return b.String()
	}
	equals := func(escaped string) string { return strings.ReplaceAll(text, "=", escaped) }
	return map[string]string{
		"plain":                       text,
		"query":                       url.QueryEscape(text),
		"query in lower case":         equals("%3d"),
		"path":                        url.PathEscape(text),
		"escaped slashes":             strings.ReplaceAll(text, "/", `\/`),
		"JSON escape":                 equals(`\u003d`),
		"JSON escape in upper case":   equals(`\u003D`),
		"quoted JSON escape":          equals(`\\u003d`),
		"HTML entity, hexadecimal":    equals("&#x3D;"),
		"HTML entity, decimal":        equals("&#61;"),
		"HTML entity, named":          equals("&equals;"),
		"HTML":                        html.EscapeString(text),
		"quoted by Go":                strings.Trim(strconv.Quote(text), `"`),
		"every byte escaped in a URL": escape("%%%02x"),
		"every byte escaped in JSON":  escape(`\u%04x`),
		"every byte escaped in Go":    escape(`\x%02x`),
		"every byte escaped in HTML":  escape("&#%d;"),
	}
}

func TestRedactor_String(t *testing.T) {
	t.Parallel()
	for _, key := range keys {
		r := redact.New(key)
		withColon, alone := []byte(key+":"), []byte(key)
		credentials := map[string]string{
			"key":                              key,
			"Basic":                            base64.StdEncoding.EncodeToString(withColon),
			"Basic without padding":            base64.RawStdEncoding.EncodeToString(withColon),
			"Basic in the alphabet of URLs":    base64.URLEncoding.EncodeToString(withColon),
			"base64 of the key":                base64.StdEncoding.EncodeToString(alone),
			"base64 of the key, unpadded":      base64.RawStdEncoding.EncodeToString(alone),
			"base64 of the key, URLs unpadded": base64.RawURLEncoding.EncodeToString(alone),
		}
		for name, credential := range credentials {
			for form, text := range spellings(credential) {
				got := r.String("before " + text + " after " + text)
				assert.Equal(t, "before [REDACTED] after [REDACTED]", got, "%s, %s: %s", name, form, text)
			}
		}
		for _, text := range []string{"", key[1:], key[:len(key)-1] + ".", "%", `\`, `\u`, `\x4`, "%4", "&", "&#", "&#x3D"} {
			assert.Equal(t, text, r.String(text))
		}
	}
}

func TestRedactor_shortKey(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "a key", redact.New("key").String("a key"))
}

func TestRedactor_AddTokens(t *testing.T) {
	t.Parallel()
	r := redact.New("0123456789abcdef")
	token := func(n string) string { return "access-token-" + n + "-0123456789" }
	assert.Equal(t, token("1"), r.String(token("1")))
	for _, n := range []string{"1", "2", "3"} {
		r.AddTokens(token(n), "refresh-"+token(n))
	}
	assert.Equal(t, token("1"), r.String(token("1")), "forgotten")
	assert.Equal(t, "[REDACTED]", r.String(token("2")), "the previous one")
	assert.Equal(t, "[REDACTED]", r.String("refresh-"+token("3")), "the longest match")
}

func TestRedactor_Error(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	r := redact.New(key)
	clean, secret := errors.New("lost"), errors.New("lost "+key)
	assert.Equal(t, clean, r.Error(clean))
	require.EqualError(t, r.Error(secret), "lost [REDACTED]")
	require.ErrorIs(t, r.Error(secret), secret)
}

func TestRedactor_Header(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	h := http.Header{"A": {key, "b"}}
	assert.Equal(t, http.Header{"A": {"[REDACTED]", "b"}}, redact.New(key).Header(h))
	assert.Equal(t, key, h.Get("A"))
}

func TestClip(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "äöü", redact.Clip("äöü", 3))
	assert.Equal(t, "äö…", redact.Clip("äöü", 2))
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "a b c ü", redact.OneLine("a\nb\x1bc ü"))
}

// The result never contains the plain key.
func FuzzRedactor(f *testing.F) {
	const key = "0123456789abcdef"
	r := redact.New(key)
	for _, text := range spellings(key) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		assert.NotContains(t, r.String(text), key)
		assert.NotContains(t, r.String("a"+key+text), key)
	})
}

func TestRedactor_concurrent(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	r := redact.New(key)
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			for range 100 {
				r.AddTokens(fmt.Sprint("access-token-0123456789-", n), fmt.Sprint("refresh-token-0123456789-", n))
			}
		})
		group.Go(func() {
			for range 100 {
				assert.Equal(t, "[REDACTED]", r.String(key))
			}
		})
	}
	group.Wait()
}
