package recipes_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each code block of a page has the content of a file after its package clause.
func TestDocs_snippetsAreFiles(t *testing.T) {
	t.Parallel()
	for page, names := range map[string][]string{
		"recipes.md":   {"receiver.go", "chi.go", "gin.go", "echo.go", "lambda.go", "cloudfunction.go"},
		"operating.md": {"kafka.go", "sqs.go"},
	} {
		text, err := os.ReadFile("../../docs/" + page)
		require.NoError(t, err)
		var snippets, files []string
		for _, block := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
			snippets = append(snippets, block[1])
		}
		for _, name := range names {
			code, err := os.ReadFile(name)
			require.NoError(t, err)
			body, ok := strings.CutPrefix(string(code), "package recipes\n\n")
			require.True(t, ok, name)
			files = append(files, body)
		}
		assert.Equal(t, files, snippets, page)
	}
}
