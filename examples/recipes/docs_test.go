package recipes_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each code block of the page has the content of a file after its package clause.
func TestDocs_snippetsAreFiles(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/recipes.md")
	require.NoError(t, err)
	var snippets []string
	for _, block := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		snippets = append(snippets, block[1])
	}

	var files []string
	for _, name := range []string{"receiver.go", "chi.go", "gin.go", "echo.go", "lambda.go", "cloudfunction.go"} {
		code, err := os.ReadFile(name)
		require.NoError(t, err)
		body, ok := strings.CutPrefix(string(code), "package recipes\n\n")
		require.True(t, ok, name)
		files = append(files, body)
	}
	assert.Equal(t, files, snippets)
}
