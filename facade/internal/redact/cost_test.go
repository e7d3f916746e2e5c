package redact_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
)

// The credentials of newCostRedactor. The token begins like many texts of costTexts.
const costKey = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"

var costToken = strings.Repeat("a", 100<<10) + "b"

func newCostRedactor() *redact.Redactor {
	r := redact.New(costKey)
	r.AddTokens(costToken, strings.Repeat("%25", 100<<10)+"b", strings.Repeat(`\`, 1000)+"b", strings.Repeat("&", 1000)+"b")
	return r
}

// costTexts returns texts of n bytes that are expensive to compare with credentials.
func costTexts(n int) map[string]string {
	fill := func(text string) string { return strings.Repeat(text, n/len(text)+1)[:n] }
	encoded := base64.StdEncoding.EncodeToString([]byte(costKey))
	return map[string]string{
		"backslashes":               fill(`\`),
		"backslashes and digits":    fill(strings.Repeat(`\`, 100) + "u0061"),
		"percent signs":             fill("%"),
		"ampersands":                fill("&"),
		"numeric entities":          fill("&#x0061;"),
		"incomplete entities":       fill("&#x000061"),
		"invalid escapes":           fill(`%zz\uzzzz\xzz&zz;`),
		"prefix of the key":         fill(costKey[:len(costKey)-1] + "!"),
		"prefix of the token":       fill("a"),
		"63 bytes of the token":     fill(costToken[:63] + "!"),
		"percent signs of a token":  fill("%25"),
		"escaped prefix":            fill(strings.Repeat(`\u0061`, 39) + "!"),
		"quoted prefix":             fill(strings.Repeat(`\\\\\\\u0061`, 39) + "!"),
		"escaped prefix as entity":  fill(strings.Repeat("&#x0061;", 39) + "!"),
		"prefix of base64":          fill(encoded[:len(encoded)-4] + "!"),
		"base64":                    fill(encoded),
		"escapes of several kinds":  fill(`a%61\u0061\x61&#97;&#x61;` + `\\\%&` + "!"),
		"prefix and escapes":        fill("aaaaaaaaaaaaaaa" + `\\\\\\\\` + "%%%%&&&&"),
		"credentials":               fill(costKey + " "),
		"text":                      fill("The requested resource was not found. "),
		"signature secrets":         fill(`"signatureSecret":"`),
		"quotes and backslashes":    fill(`"signatureSecret\\\\\\\\\\\\\\\\`),
		"names without a separator": fill(`"signatureSecret"    `),
	}
}

// The texts take minutes if the work for one byte depends on the length of a text.
func TestRedactor_costOfLargeTexts(t *testing.T) {
	t.Parallel()
	r := newCostRedactor()
	for name, text := range costTexts(64 << 10) {
		got := redact.SignatureSecrets(r.String(text))
		assert.NotContains(t, got, costKey, name)
		assert.NotContains(t, r.Header(http.Header{"A": {text}}).Get("A"), costKey, name)
		if name == "text" || name == "percent signs" {
			assert.Equal(t, text, got)
		}
	}
}

// BenchmarkRedactor compares texts of 64 KiB and 128 KiB. The work is linear if the MB/s
// are equal.
func BenchmarkRedactor(b *testing.B) {
	r := newCostRedactor()
	for _, n := range []int{64 << 10, 128 << 10} {
		for name, text := range costTexts(n) {
			b.Run(fmt.Sprintf("%s/bytes=%d", strings.ReplaceAll(name, " ", "-"), n), func(b *testing.B) {
				b.SetBytes(int64(n))
				for b.Loop() {
					redact.SignatureSecrets(r.String(text))
				}
			})
		}
	}
}
