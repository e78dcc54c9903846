package law

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root       = "../.." // root directory of the repository, relative to this package
	modulePath = "github.com/vespo-dev/vespo"
)

// source is one Go file. Files are parsed regardless of build constraints, because the
// rules apply on every system.
type source struct {
	path   string // from the root, with slashes
	syntax *ast.File
	set    *token.FileSet
	lines  int
}

func (s *source) dir() string { return path.Dir(s.path) }

// test reports whether the file is a test file.
func (s *source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// imports returns the imported paths; those of this repository are relative to its root,
// such as "./internal/problem".
func (s *source) imports() []string {
	var paths []string
	for _, spec := range s.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			if own, ok := strings.CutPrefix(p, modulePath+"/"); ok {
				p = "./" + own
			}
			paths = append(paths, p)
		}
	}
	return paths
}

// packageNames maps the names that the file uses for packages to their paths.
func (s *source) packageNames() map[string]string {
	names := make(map[string]string)
	for i, imported := range s.imports() {
		name := path.Base(imported)
		if spec := s.syntax.Imports[i]; spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = imported
	}
	return names
}

// uses calls found with each package member used in the file, such as "os.Getenv".
func (s *source) uses(found func(member string)) {
	names := s.packageNames()
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if name, ok := selector.X.(*ast.Ident); ok && names[name.Name] != "" {
			found(names[name.Name] + "." + selector.Sel.Name)
		}
		return true
	})
}

// functions returns the functions and methods declared in the file.
func (s *source) functions() []*ast.FuncDecl {
	var all []*ast.FuncDecl
	for _, d := range s.syntax.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			all = append(all, f)
		}
	}
	return all
}

// line returns the line of a position.
func (s *source) line(p token.Pos) int { return s.set.Position(p).Line }

// linesOf returns the number of lines of a node.
func (s *source) linesOf(n ast.Node) int { return s.line(n.End()) - s.line(n.Pos()) + 1 }

// parse parses a text.
func parse(path string, text []byte) (*source, error) {
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &source{path: path, syntax: syntax, set: set, lines: strings.Count(string(text), "\n")}, nil
}

// tree parses all Go files of the repository, including nested modules.
func tree(t *testing.T) []*source {
	t.Helper()
	var all []*source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(file) != ".go":
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(relative), text)
		all = append(all, s)
		return err
	})
	require.NoError(t, err)
	require.Greater(t, len(all), 100, "this is not the tree that the rules are for")
	return all
}

// within reports whether a slash-separated path is one of the roots or below one.
func within(p string, roots ...string) bool {
	for _, r := range roots {
		if p == r || strings.HasPrefix(p, r+"/") {
			return true
		}
	}
	return false
}
