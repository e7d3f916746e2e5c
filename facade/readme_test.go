package facade_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	indent  = regexp.MustCompile(`(?m)^\t+`)
	suffix  = regexp.MustCompile(`_[a-z].*$`) // tells examples of the same thing apart
)

// Each Go snippet of the README and of docs/ stands in an example, which is
// compiled, run and held against its output.
func TestReadmeSnippetsAreExamples(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, file := range []string{"example_test.go", "notification/example_test.go", "facadetest/example_test.go"} {
		examples, err := os.ReadFile(file)
		require.NoError(t, err)
		b.WriteString(indent.ReplaceAllString(string(examples), ""))
	}
	code := b.String()
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	pages = slices.DeleteFunc(pages, func(page string) bool {
		return filepath.Base(page) == "recipes.md" // a test in examples/recipes has its snippets
	})
	found := 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		blocks := goBlock.FindAllStringSubmatch(string(text), -1)
		assert.Len(t, blocks, strings.Count(string(text), "```go"), page)
		for _, block := range blocks {
			assert.Contains(t, code, indent.ReplaceAllString(block[1], ""), page)
		}
		found += len(blocks)
	}
	assert.GreaterOrEqual(t, found, 11)
}

// ofTheStandardLibrary are methods that nobody calls by name. The examples of
// their types show what they are for.
var ofTheStandardLibrary = map[string]bool{
	"Error.Error": true, "Error.Is": true, "Error.Unwrap": true, // package errors
	"Secret.Format": true, "Secret.MarshalText": true, // packages fmt and encoding
}

// What is exported and can be called has an example of its name; a method may
// have it in that of its type.
func TestWhatIsExportedHasAnExample(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{".", "notification", "facadetest"} {
		examples, err := os.ReadFile(filepath.Join(dir, "example_test.go"))
		require.NoError(t, err)
		bodies := make(map[string]string) // by what the example is of
		for _, f := range functionsOf(t, filepath.Join(dir, "example_test.go")) {
			if of, ok := strings.CutPrefix(f.Name.Name, "Example"); ok {
				of = suffix.ReplaceAllString(of, "")
				bodies[of] += string(examples[f.Body.Pos()-1 : f.Body.End()-1])
			}
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, f := range functionsOf(t, file) {
				of, name := typeOf(f), f.Name.Name
				switch {
				case !f.Name.IsExported() || of != "" && !ast.IsExported(of) || ofTheStandardLibrary[of+"."+name]:
				case of == "":
					assert.Contains(t, bodies, name, file)
				case bodies[of+"_"+name] == "":
					assert.Contains(t, bodies[of], "."+name+"(", "%s: there is neither an Example%s_%s nor a call of it in Example%s", file, of, name, of)
				}
			}
		}
	}
}

// functionsOf returns the functions and methods of a file.
func functionsOf(t *testing.T, file string) []*ast.FuncDecl {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var functions []*ast.FuncDecl
	for _, decl := range source.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			functions = append(functions, f)
		}
	}
	return functions
}

// typeOf returns the name of the type that f is a method of, if it is one.
func typeOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	name, _ := of.(*ast.Ident)
	return name.Name
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	unsaid  = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// Links between the pages of this repository lead to a file, and to a heading
// of it. Tests that a page names exist.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	files := filesOf(t, "..")
	links := 0
	for _, page := range files {
		if filepath.Ext(page) != ".md" {
			continue
		}
		text := readPage(t, page)
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			to := found[1]
			if strings.Contains(to, "://") {
				continue // leads outside, where a test must not go
			}
			links++
			path, anchor, _ := strings.Cut(to, "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), filepath.FromSlash(path))
			}
			if _, err := os.Stat(target); assert.NoError(t, err, "%s links to %s", page, to) && anchor != "" {
				assert.Contains(t, anchorsOf(t, target), anchor, "%s links to %s", page, to)
			}
		}
	}
	assert.GreaterOrEqual(t, links, 20)
}

// filesOf returns the files below dir, without what git ignores or keeps for itself.
func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			files = append(files, path)
		case name == "node_modules" || name == ".git" || name == ".bin" || name == ".out":
			return filepath.SkipDir
		}
		return nil
	}))
	return files
}

// readPage returns the text of a page without its blocks of code.
func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	return fenced.ReplaceAllString(string(text), "")
}

// anchorsOf returns what GitHub calls the headings of a page.
func anchorsOf(t *testing.T, page string) []string {
	t.Helper()
	var anchors []string
	for _, found := range heading.FindAllStringSubmatch(readPage(t, page), -1) {
		anchors = append(anchors, strings.ReplaceAll(unsaid.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-"))
	}
	return anchors
}
