package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const library = `package library

import "net/http"

type Shape struct {
	Sides int
	names []string
}

func (s *Shape) Area(scale float64) float64 { return scale }
func (s Shape) hidden()                     {}

type Point struct{ X int }

type Same = http.Cookie

type Source interface{ Next() (string, error) }

type Sum interface {
	Source
	sealed()
}

type Tree[T comparable] struct {
	Point
	Leaf T
}

type Option func(*Shape)

const Max = 3

var ErrX error

func Map[T any](in []T) ([]T, error) { return in, nil }

func internal() {}
`

const surface = `var ErrX error
func Map[T any](in []T) ([]T, error)
const Max untyped int = 3
type Option func(*Shape)
type Point struct
field Point.X int
`

const program = `package main

import "example.com/program/library"

func main() {
	var source library.Source
	_, _ = source.Next()
	shape := library.Shape{Sides: library.Max}
	var _ library.Option = func(s *library.Shape) { s.Area(2) }
	_, _ = library.Map([]int{shape.Sides})
	_ = library.Point{1}
	tree := library.Tree[int]{Leaf: 1}
	_, _ = tree.Leaf, tree.Point
	var sum library.Sum
	_, _ = sum.Next()
}
`

func TestSurface(t *testing.T) {
	t.Parallel()
	dir := newModule(t, library, program)

	p, err := load(t.Context(), dir, []string{"./library"})
	require.NoError(t, err)
	require.Equal(t, []string{"example.com/program/library"}, p.named)
	pkg, err := p.Import(p.named[0])
	require.NoError(t, err)
	var lines strings.Builder
	for _, n := range exported(pkg) {
		lines.WriteString(n.line + "\n")
	}
	got, rest, _ := strings.Cut(lines.String(), "type Same")
	assert.Equal(t, surface, got)
	assert.Contains(t, rest, " = http.Cookie, struct, not comparable\n")
	assert.Contains(t, rest, "field Same.Name string\n", "another package's members are members here")
	assert.Contains(t, rest, "method (*http.Cookie) String() string\n")
	assert.Contains(t, rest, "type Shape struct, not comparable\nmethod (*Shape) Area(scale float64) float64\nfield Shape.Sides int\n")
	assert.Contains(t, rest, "type Source interface\nmethod (Source) Next() (string, error)\n")
	assert.Contains(t, rest, "type Sum interface, sealed\n")
	assert.Contains(t, rest, "type Tree[T comparable] struct")
	assert.Contains(t, rest, "embedded Tree[T comparable].Point Point\n")
	assert.NotContains(t, rest, "hidden")
	assert.NotContains(t, rest, "names")
}

func TestUnused(t *testing.T) {
	t.Parallel()
	dir := newModule(t, strings.Replace(library, "type Same = http.Cookie", "var _ http.Handler", 1), program)
	var out strings.Builder
	err := run(t.Context(), &out, []string{"-unused", dir, "example.com/program/library"})
	require.ErrorContains(t, err, "no use of these 2 names")
	assert.Equal(t, "library: var ErrX error\nlibrary: field Point.X int\n", out.String())
}

func newModule(t *testing.T, library, program string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":             "module example.com/program\n\ngo 1.25.0\n",
		"library/library.go": library,
		"main.go":            program,
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}
