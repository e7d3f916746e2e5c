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

// key is the shortest key that is replaced.
const key = "0123456789abcdef"

// spellings returns the forms in which a server may return a text.
func spellings(text string) []string {
	all := []string{
		text, url.QueryEscape(text), url.PathEscape(text), html.EscapeString(text), strings.Trim(strconv.Quote(text), `"`),
		strings.ReplaceAll(text, "/", `\/`),
	}
	for _, escape := range []string{ // of each byte, or of the padding of base64
		"%%%02x", "%%%02X", `\u%04x`, `\u%04X`, `\\u%04x`, `\\\\u%04x`, `\x%02x`, "&#%d;", "&#x%X;",
	} {
		var b strings.Builder
		for i := range len(text) {
			fmt.Fprintf(&b, escape, text[i])
		}
		all = append(all, b.String(), strings.ReplaceAll(text, "=", fmt.Sprintf(escape, '=')))
	}
	return append(all, strings.ReplaceAll(text, "=", "&equals;"))
}

func TestRedactor_String(t *testing.T) {
	t.Parallel()
	for _, key := range []string{ // the length modulo 3 decides about the padding of base64
		"Ab3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zAb3dE6gH9jK2",
		"key/with+signs=0123456789",
		"key&with'quotes\"0123456789\\",
		"percent%41percent%3D~~~???",
		strings.Repeat("k", 24),
	} {
		r := redact.New(key)
		token := "eyJ0eXAi." + key + strings.Repeat("0123456789", 100)
		r.AddTokens(token)
		withColon, alone := []byte(key+":"), []byte(key)
		for name, credential := range map[string]string{
			"key":                              key,
			"token":                            token,
			"Basic":                            base64.StdEncoding.EncodeToString(withColon),
			"Basic without padding":            base64.RawStdEncoding.EncodeToString(withColon),
			"Basic in the alphabet of URLs":    base64.URLEncoding.EncodeToString(withColon),
			"base64 of the key":                base64.StdEncoding.EncodeToString(alone),
			"base64 of the key, URLs unpadded": base64.RawURLEncoding.EncodeToString(alone),
		} {
			for _, text := range spellings(credential) {
				got := r.String("before " + text + " after " + text)
				assert.Equal(t, "before [REDACTED] after [REDACTED]", got, "%s: %s", name, text)
			}
		}
		for _, n := range []int{64, 100, len(token) - 1} { // a truncated token
			assert.Equal(t, "a [REDACTED]! b", r.String("a "+token[:n]+"! b"), n)
		}
		for _, text := range []string{
			"", key[1:], key[:len(key)-1] + ".", token[:9] + key[1:], "%", `\`, `\u`, `\x4`, "%4", "&", "&#", "&#x3D",
		} {
			assert.Equal(t, text, r.String(text))
		}
	}
	assert.Equal(t, "a key", redact.New("key").String("a key"), "too short")
}

func TestRedactor_AddTokens(t *testing.T) {
	t.Parallel()
	r := redact.New(key)
	token := func(n int) string { return fmt.Sprint("access-token-0123456789-", n) }
	assert.Equal(t, token(1), r.String(token(1)))
	for n := range 4 {
		r.AddTokens(token(n), "refresh-"+token(n))
	}
	assert.Equal(t, token(1), r.String(token(1)), "forgotten")
	assert.Equal(t, "[REDACTED]", r.String(token(2)), "the previous one")
	assert.Equal(t, "[REDACTED]", r.String("refresh-"+token(3)), "the longest match")
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			r.AddTokens(token(n))
			assert.Equal(t, "[REDACTED]", r.String(key))
		})
	}
	group.Wait()
}

func TestRedactor_Header(t *testing.T) {
	t.Parallel()
	const maxValue, maxTotal = 4 << 10, 64 << 10
	r := redact.New(key)
	h := http.Header{"A": {key, "b"}}
	assert.Equal(t, http.Header{"A": {"[REDACTED]", "b"}}, r.Header(h))
	assert.Equal(t, key, h.Get("A"), "the header of the caller")
	for n := range len(key) + 1 { // bytes of the key before the limit
		padding := strings.Repeat("x", maxValue-n)
		got := r.Header(http.Header{"A": {padding + key + strings.Repeat("y", 1<<20)}}).Get("A")
		assert.Equal(t, padding+"[REDACTED]"[:min(n, 10)], got, n)
	}
	h = make(http.Header)
	for n := range 2 * maxTotal {
		h.Add(fmt.Sprint("Name-", n%100), "value")
	}
	size := 0
	for name, values := range r.Header(h) {
		assert.Equal(t, h[name][:len(values)], values)
		size += len(values) * len(name+"value")
	}
	assert.InDelta(t, maxTotal, size, 20)
}

func TestRedactor_Prefix(t *testing.T) {
	t.Parallel()
	r := redact.New(key)
	for _, credential := range spellings(key) {
		for n := range 10 { // bytes of the credential before the limit
			assert.Equal(t, "x"+"[REDACTED]"[:n], r.Prefix("x"+credential+"y", 1+n))
		}
		// The replacement of credentials makes a text shorter.
		many := r.Prefix(strings.Repeat(credential, 100), 50*len(credential)+1)
		assert.Equal(t, strings.Repeat("[REDACTED]", 51), many)
	}
	for limit := range 5 {
		assert.Equal(t, "abc"[:min(limit, 3)], r.Prefix("abc", limit))
	}
}

func TestSignatureSecrets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{`{"signatureSecret":"sig_sec_1","url":"u"}`, `{"signatureSecret":"[REDACTED]","url":"u"}`},
		{`{"a":{"signaturesecret" : "sig_sec_1"}}`, `{"a":{"signaturesecret" : "[REDACTED]"}}`},
		{`["signatureSecret":"s\"_1","signatureSecret":"2"]`, `["signatureSecret":"[REDACTED]","signatureSecret":"[REDACTED]"]`},
		{`{"signatureSecret":"sig_se`, `{"signatureSecret":"[REDACTED]`},
		{`{"a":"{\"signatureSecret\":\"sig_sec_1\",\"b\":1}"}`, `{"a":"{\"signatureSecret\":\"[REDACTED]\",\"b\":1}"}`},
		{`{"signatureSecret":null,"title":"signatureSecret"}`, `{"signatureSecret":null,"title":"signatureSecret"}`},
		{"", ""},
	} {
		assert.Equal(t, test.want, redact.SignatureSecrets(test.text))
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "äöü", redact.Clip("äöü", 3))
	assert.Equal(t, "äö…", redact.Clip("äöü", 2))
	assert.Equal(t, "äöüä", redact.ClipMiddle("äöüä", 4))
	assert.Equal(t, "äö…ü", redact.ClipMiddle("äöüäöü", 4))
	assert.Equal(t, "ä…ü", redact.ClipMiddle("äöüäöü", 3))
	assert.Equal(t, "a b c ü", redact.OneLine("a\nb\x1bc ü"))
}

// The credentials of TestRedactor_costOfLargeTexts.
const costKey = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"

var costToken = strings.Repeat("a", 100<<10) + "b"

// The texts take minutes if the work for one byte depends on the length of a text.
func TestRedactor_costOfLargeTexts(t *testing.T) {
	t.Parallel()
	encoded := base64.StdEncoding.EncodeToString([]byte(costKey))
	r := redact.New(costKey)
	r.AddTokens(costToken, strings.Repeat("%25", 100<<10)+"b", strings.Repeat(`\`, 1000)+"b", strings.Repeat("&", 1000)+"b")
	for _, part := range []string{ // of a text that is expensive to compare with credentials
		`\`,
		strings.Repeat(`\`, 100) + "u0061",
		"%",
		"&",
		"&#x0061;",
		"&#x000061",
		`%zz\uzzzz\xzz&zz;`,
		costKey[:len(costKey)-1] + "!",
		"a",
		costToken[:63] + "!",
		"%25",
		strings.Repeat(`\u0061`, 39) + "!",
		strings.Repeat(`\\\\\\\u0061`, 39) + "!",
		strings.Repeat("&#x0061;", 39) + "!",
		encoded[:len(encoded)-4] + "!",
		encoded,
		`a%61\u0061\x61&#97;&#x61;` + `\\\%&` + "!",
		"aaaaaaaaaaaaaaa" + `\\\\\\\\` + "%%%%&&&&",
		costKey + " ",
		"The requested resource was not found. ",
		`"signatureSecret":"`,
		`"signatureSecret\\\\\\\\\\\\\\\\`,
		`"signatureSecret"    `,
	} {
		text := strings.Repeat(part, 64<<10/len(part))
		got := redact.SignatureSecrets(r.String(text))
		assert.NotContains(t, got, costKey, part)
		assert.NotContains(t, r.Header(http.Header{"A": {text}}).Get("A"), costKey, part)
		if part == "%" || strings.HasPrefix(part, "The ") {
			assert.Equal(t, text, got)
		}
	}
}

// The result never contains the plain key.
func FuzzRedactor(f *testing.F) {
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
