package webhooks_test

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
	suffix  = regexp.MustCompile(`_[a-z].*$`) // of the second example for the same name
)

// Each Go snippet of the README and of docs/ is part of an example or of a tested
// program. The indentation may differ.
func TestDocs_snippetsAreExamples(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, file := range []string{
		"facade/example_test.go",
		"facade/notification/example_test.go",
		"facade/facadetest/example_test.go",
		"examples/minimal/main.go",
		"examples/recipes/kafka.go",
		"examples/recipes/sqs.go",
	} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		b.WriteString(indent.ReplaceAllString(string(source), ""))
	}
	code := b.String()
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	pages = slices.DeleteFunc(pages, func(page string) bool {
		return filepath.Base(page) == "recipes.md" // tested in examples/recipes
	})
	snippets := 0
	for _, page := range append(pages, "README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		blocks := goBlock.FindAllStringSubmatch(string(text), -1)
		assert.Len(t, blocks, strings.Count(string(text), "```go"), page)
		for _, block := range blocks {
			if !strings.Contains(code, indent.ReplaceAllString(block[1], "")) {
				t.Errorf("%s: no example contains\n%s", page, block[1])
			}
		}
		snippets += len(blocks)
	}
	assert.GreaterOrEqual(t, snippets, 11)
}

// The first program is complete within the first 50 lines.
func TestReadme_beginsWithProgram(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	program := goBlock.FindIndex(text)
	require.NotNil(t, program)
	assert.Contains(t, string(text[program[0]:program[1]]), "func main() {")
	assert.LessOrEqual(t, strings.Count(string(text[:program[1]]), "\n")+1, 50)
}

// The README and CONTRIBUTING have at most 900 words outside of code.
func TestDocs_wordCounts(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"README.md", "CONTRIBUTING.md"} {
		assert.LessOrEqual(t, len(strings.Fields(readPage(t, page))), 900, page)
	}
}

// calledByPackages are the methods that packages of the standard library call. The
// examples of their types show their effect.
var calledByPackages = map[string]bool{
	"Error.Error": true, "Error.Is": true, "Error.Unwrap": true, // package errors
	"Secret.Format": true, "Secret.MarshalText": true, // packages fmt and encoding
}

// Each exported function has an example. The example of a type may call its methods.
func TestExamples_allFunctions(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"facade", "facade/notification", "facade/facadetest"} {
		examples, err := os.ReadFile(filepath.Join(dir, "example_test.go"))
		require.NoError(t, err)
		bodies := make(map[string]string) // by the name in the example's name
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
				case !f.Name.IsExported() || of != "" && !ast.IsExported(of) || calledByPackages[of+"."+name]:
				case of == "":
					assert.Contains(t, bodies, name, file)
				case bodies[of+"_"+name] == "":
					assert.Contains(t, bodies[of], "."+name+"(", "%s: Example%s_%s is missing, and Example%s has no call", file, of, name, of)
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

// typeOf returns the name of the type of a method, or "" for a function.
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
	dropped = regexp.MustCompile(`[^a-z0-9 _-]`) // from anchors
)

// Links between the pages of this repository lead to a file and to one of its headings.
func TestDocs_links(t *testing.T) {
	t.Parallel()
	files := filesOf(t, ".")
	links := 0
	for _, page := range files {
		if filepath.Ext(page) != ".md" {
			continue
		}
		text := readPage(t, page)
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			to := found[1]
			if strings.Contains(to, "://") {
				continue // tests use no network
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

// filesOf returns the files below dir, without those of git and of tools.
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

// readPage returns the text of a page without its code blocks.
func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	return fenced.ReplaceAllString(string(text), "")
}

// anchorsOf returns the anchors that GitHub gives to the headings of a page.
func anchorsOf(t *testing.T, page string) []string {
	t.Helper()
	var anchors []string
	for _, found := range heading.FindAllStringSubmatch(readPage(t, page), -1) {
		anchors = append(anchors, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-"))
	}
	return anchors
}
