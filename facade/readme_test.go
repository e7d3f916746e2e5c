package facade_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	indent  = regexp.MustCompile(`(?m)^\t+`)
)

// Each Go snippet of the README stands in an example, which is compiled, run
// and held against its output.
func TestReadmeSnippetsAreExamples(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	var b strings.Builder
	for _, file := range []string{"example_test.go", "notification/example_test.go", "facadetest/example_test.go"} {
		examples, err := os.ReadFile(file)
		require.NoError(t, err)
		b.WriteString(indent.ReplaceAllString(string(examples), ""))
	}
	code := b.String()
	blocks := goBlock.FindAllStringSubmatch(string(readme), -1)
	assert.Len(t, blocks, strings.Count(string(readme), "```go"))
	require.GreaterOrEqual(t, len(blocks), 11)
	for _, block := range blocks {
		assert.Contains(t, code, indent.ReplaceAllString(block[1], ""))
	}
}
