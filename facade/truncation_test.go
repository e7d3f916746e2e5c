package facade_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A credential at the place where a text is truncated is redacted as a whole.
func TestError_credentialAtTruncation(t *testing.T) {
	t.Parallel()
	const maxErrorBody = 64 << 10
	for n := range len(testKey) + 1 { // bytes of the key before the limit
		location := "https://h/" + strings.Repeat("x", 200-len("https://h/")-n) + testKey
		body := strings.Repeat("x", maxErrorBody-n) + testKey + "x"
		for name, handler := range map[string]http.HandlerFunc{
			"Location": answerWith(http.StatusFound, "", "Location", location),
			"body":     answer(http.StatusNotFound, body),
			"type":     answerWith(http.StatusOK, "<html>", "Content-Type", strings.Repeat("x", 200-n)+testKey),
		} {
			e := getError(t, handler)
			for _, text := range []string{e.Error(), string(e.Body)} {
				assert.NotContains(t, text, testKey[:8], "%s, %d", name, n)
			}
			assert.LessOrEqual(t, len(e.Body), maxErrorBody)
		}
	}
}
