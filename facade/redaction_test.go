package facade_test

import (
	"encoding/hex"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// A credential at the place where a text is truncated is redacted as a whole.
func TestError_credentialAtTruncation(t *testing.T) {
	t.Parallel()
	const maxErrorBody = 64 << 10
	for n := range len(testKey) + 1 { // bytes of the key before the limit
		location := "https://h/" + strings.Repeat("x", 200-len("https://h/")-n) + testKey
		body := strings.Repeat("x", maxErrorBody-n) + testKey + "x"
		for name, handler := range map[string]http.HandlerFunc{
			"Location": respondWith(http.StatusFound, "", "Location", location),
			"body":     respond(http.StatusNotFound, body),
			"type":     respondWith(http.StatusOK, "<html>", "Content-Type", strings.Repeat("x", 200-n)+testKey),
		} {
			e := getError(t, handler)
			for _, text := range []string{e.Error(), string(e.Body)} {
				assert.NotContains(t, text, testKey[:8], "%s, %d", name, n)
			}
			assert.LessOrEqual(t, len(e.Body), maxErrorBody)
		}
	}
}

// Two masked secrets and one of the texts do not reveal the other text.
func TestSecret_maskOfEachText(t *testing.T) {
	t.Parallel()
	masked := func(text string) string {
		return reflect.ValueOf(facade.NewSecret(text)).Field(0).String()
	}
	xor := func(a, b string) string {
		c := make([]byte, len(a))
		for i := range c {
			c[i] = a[i] ^ b[i]
		}
		return string(c)
	}
	unhex := func(s string) string {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return string(b)
	}
	const a, b = "sig_sec_0000000000000000000000", "sig_sec_abcdefghijklmnopqrstuv"
	assert.Equal(t, masked(a), masked(string([]byte(a))))
	x, y := unhex(masked(a)), unhex(masked(b))
	require.Len(t, y, len(x))
	texts := xor(a, b)
	masks := xor(x[len(x)-len(a):], y[len(y)-len(b):])
	for i := range texts[:len(texts)-4] {
		assert.NotEqual(t, texts[i:i+4], masks[i:i+4])
	}
}
