package redact_test

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

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
		"JSON escape quoted twice":    equals(`\\\\u003d`),
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

func TestRedactor_Header(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	h := http.Header{"A": {key, "b"}}
	assert.Equal(t, http.Header{"A": {"[REDACTED]", "b"}}, redact.New(key).Header(h))
	assert.Equal(t, key, h.Get("A"))
}

func TestRedactor_Header_large(t *testing.T) {
	t.Parallel()
	const key, maxValue, maxTotal = "0123456789abcdef", 4 << 10, 64 << 10
	r := redact.New(key)
	for n := range len(key) + 1 { // bytes of the key before the limit
		padding := strings.Repeat("x", maxValue-n)
		got := r.Header(http.Header{"A": {padding + key + strings.Repeat("y", 1<<20)}}).Get("A")
		assert.Equal(t, padding+"[REDACTED]"[:min(n, 10)], got, n)
	}
	h := make(http.Header)
	for n := range 2 * maxTotal {
		h.Add(fmt.Sprint("Name-", n%100), "value")
	}
	size := 0
	for name, values := range r.Header(h) {
		assert.Equal(t, h[name][:len(values)], values)
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	assert.InDelta(t, maxTotal, size, 20)
}

func TestRedactor_Prefix(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	r := redact.New(key)
	for form, credential := range spellings(key) {
		for n := range 10 { // bytes of the credential before the limit
			assert.Equal(t, "x"+"[REDACTED]"[:n], r.Prefix("x"+credential+"y", 1+n), form)
		}
		// The replacement of credentials makes a text shorter.
		many := r.Prefix(strings.Repeat(credential, 100), 50*len(credential)+1)
		assert.Equal(t, strings.Repeat("[REDACTED]", 51), many, form)
	}
	assert.Equal(t, "abc", r.Prefix("abc", 3))
	assert.Equal(t, "abc", r.Prefix("abc", 4))
	assert.Equal(t, "ab", r.Prefix("abc", 2))
	assert.Empty(t, r.Prefix("abc", 0))
}

// A long token may be truncated or changed at its end.
func TestRedactor_longToken(t *testing.T) {
	t.Parallel()
	token := "eyJ0eXAiOiJKV1Qi." + strings.Repeat("0123456789", 100) + ".c2lnbmF0dXJl"
	r := redact.New("0123456789abcdef")
	r.AddTokens(token)
	for form, text := range spellings(token) {
		assert.Equal(t, "a [REDACTED] b", r.String("a "+text+" b"), form)
	}
	for _, n := range []int{64, 100, len(token) - 1} {
		assert.Equal(t, "a [REDACTED]! b", r.String("a "+token[:n]+"! b"), n)
	}
	assert.Equal(t, token[:63], r.String(token[:63]))
}

func TestSignatureSecrets(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{`{"signatureSecret":"sig_sec_1","url":"u"}`, `{"signatureSecret":"[REDACTED]","url":"u"}`},
		{`{"a":{"signaturesecret" : "sig_sec_1"}}`, `{"a":{"signaturesecret" : "[REDACTED]"}}`},
		{`["signatureSecret":"sig_sec\"_1","signatureSecret":"2"]`, `["signatureSecret":"[REDACTED]","signatureSecret":"[REDACTED]"]`},
		{`{"signatureSecret":"sig_se`, `{"signatureSecret":"[REDACTED]`},
		{`{"text":"{\"signatureSecret\":\"sig_sec_1\",\"b\":1}"}`, `{"text":"{\"signatureSecret\":\"[REDACTED]\",\"b\":1}"}`},
		{`{"signatureSecret":null,"title":"signatureSecret"}`, `{"signatureSecret":null,"title":"signatureSecret"}`},
		{"", ""},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, redact.SignatureSecrets(test.text))
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "äöü", redact.Clip("äöü", 3))
	assert.Equal(t, "äö…", redact.Clip("äöü", 2))
}

func TestClipMiddle(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "äöüä", redact.ClipMiddle("äöüä", 4))
	assert.Equal(t, "äö…ü", redact.ClipMiddle("äöüäöü", 4))
	assert.Equal(t, "ä…ü", redact.ClipMiddle("äöüäöü", 3))
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
		for limit := range 20 {
			assert.Equal(t, "a[REDACTED]"[:min(limit, 11)], r.Prefix("a"+key+text, limit)[:min(limit, 11)])
		}
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
