// Command surface prints what packages export, one line for each function, type,
// field, method, constant and variable, so that a change of it shows as a
// change of a file:
//
//	surface ./facade
//
// With -unused it prints the lines that the program in a folder makes no use of,
// and fails if there are any. Then the packages are import paths, as the program
// writes them:
//
//	surface -unused internal/consumer example.com/module/facade
package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "surface:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("surface", flag.ContinueOnError)
	program := flags.String("unused", "", "print what the program in this `folder` makes no use of")
	if err := flags.Parse(args); err != nil {
		return err
	}
	patterns := flags.Args()
	if *program != "" {
		patterns = append(patterns, ".") // for what else it imports
	}
	packages, err := load(ctx, *program, patterns)
	if err != nil {
		return err
	}
	var used map[types.Object]bool
	if *program != "" {
		if used, err = packages.usedBy(*program); err != nil {
			return err
		}
	}
	unused := 0
	for _, path := range packages.named {
		pkg, err := packages.Import(path)
		if err != nil {
			return err
		}
		for _, n := range exported(pkg) {
			switch {
			case *program == "":
				fmt.Fprintln(out, n.line)
			case !used[n.object]:
				unused++
				fmt.Fprintf(out, "%s: %s\n", pkg.Name(), n.line)
			}
		}
	}
	if unused > 0 {
		return fmt.Errorf("%s makes no use of these %d names", *program, unused)
	}
	return nil
}

// packages imports from what the compiler has written about packages.
type packages struct {
	types.Importer
	fset  *token.FileSet
	named []string // the import paths of those that were asked for, programs left out
}

// load has go list compile the packages, as the module in dir sees them.
func load(ctx context.Context, dir string, patterns []string) (*packages, error) {
	args := append([]string{"list", "-export", "-deps", "-f", "{{or .DepOnly (eq .Name \"main\")}} {{.ImportPath}} {{.Export}}"}, patterns...)
	list := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the patterns are the caller's own
	list.Dir, list.Stderr = dir, os.Stderr
	listing, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	p := &packages{fset: token.NewFileSet()}
	files := make(map[string]string)
	for line := range strings.Lines(string(listing)) {
		other, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		path, file, _ := strings.Cut(rest, " ")
		files[path] = file
		if other == "false" {
			p.named = append(p.named, path)
		}
	}
	p.Importer = importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(files[path])
	})
	return p, nil
}

// usedBy returns whatever the files in dir name.
func (p *packages) usedBy(dir string) (map[types.Object]bool, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(p.fset, path, nil, 0)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	info := types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{Importer: p}
	if _, err := config.Check("main", p.fset, files, &info); err != nil {
		return nil, err
	}
	used := make(map[types.Object]bool)
	for _, object := range info.Uses {
		switch o := object.(type) { // of a generic type, rather than of an instance
		case *types.Var:
			object = o.Origin()
		case *types.Func:
			object = o.Origin()
		}
		used[object] = true
	}
	return used, nil
}

// name is something that a package exports. Its key sorts members behind their
// type.
type name struct {
	key, line string
	object    types.Object
}

// exported returns what a package exports, sorted. Of a type that is another
// package's by another name that includes its members, since its users have
// them here.
func exported(pkg *types.Package) []name {
	var names []name
	add := func(key string, object types.Object, format string, args ...any) {
		if object.Exported() {
			names = append(names, name{key, fmt.Sprintf(format, args...), object})
		}
	}
	local := func(other *types.Package) string {
		if other == pkg {
			return ""
		}
		return other.Name()
	}
	text := func(t types.Type) string { return types.TypeString(t, local) }
	signature := func(f *types.Func) string {
		var buf bytes.Buffer
		types.WriteSignature(&buf, f.Signature(), local)
		return unnamed.ReplaceAllString(buf.String(), "")
	}

	for _, key := range pkg.Scope().Names() {
		object := pkg.Scope().Lookup(key)
		if !object.Exported() {
			continue
		}
		switch o := object.(type) {
		case *types.Const:
			add(key, o, "const %s %s = %s", key, text(o.Type()), o.Val().ExactString())
		case *types.Var:
			add(key, o, "var %s %s", key, text(o.Type()))
		case *types.Func:
			add(key, o, "func %s%s", key, signature(o))
		case *types.TypeName:
			t := types.Unalias(o.Type())
			key := key + parameters(t, text)
			switch u := t.Underlying().(type) {
			case *types.Struct:
				add(key, o, "type %s%s struct%s", key, alias(o, text(t)), comparability(t))
				for field := range u.Fields() {
					kind := "field"
					if field.Embedded() {
						kind = "embedded"
					}
					add(key+"."+field.Name(), field, "%s %s.%s %s", kind, key, field.Name(), text(field.Type()))
				}
			case *types.Interface:
				add(key, o, "type %s%s interface%s", key, alias(o, text(t)), sealed(u))
			default:
				add(key, o, "type %s%s %s", key, alias(o, text(t)), text(u))
			}
			if !types.IsInterface(t) {
				t = types.NewPointer(t)
			}
			for method := range types.NewMethodSet(t).Methods() {
				f := method.Obj().(*types.Func)
				add(key+"."+f.Name(), f, "method (%s) %s%s", text(f.Signature().Recv().Type()), f.Name(), signature(f))
			}
		}
	}
	slices.SortFunc(names, func(a, b name) int { return cmp.Compare(a.key, b.key) })
	return names
}

// unnamed is what the compiler calls results that have no name.
var unnamed = regexp.MustCompile(`#rv[0-9]+ `)

// alias says of which type a name is another one.
func alias(o *types.TypeName, of string) string {
	if o.IsAlias() {
		return " = " + of + ","
	}
	return ""
}

// parameters are those of a generic type, with their constraints.
func parameters(t types.Type, text func(types.Type) string) string {
	named, ok := t.(*types.Named)
	if !ok || named.TypeParams().Len() == 0 {
		return ""
	}
	var all []string
	for p := range named.TypeParams().TypeParams() {
		all = append(all, p.Obj().Name()+" "+text(p.Constraint()))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// sealed says that nobody else can implement an interface.
func sealed(i *types.Interface) string {
	for method := range i.Methods() {
		if !method.Exported() {
			return ", sealed"
		}
	}
	return ""
}

// comparability says what fields that aren't exported decide as well, and what
// makes a program with a == stop to compile.
func comparability(t types.Type) string {
	if types.Comparable(t) {
		return ""
	}
	return ", not comparable"
}
