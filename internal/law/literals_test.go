package law

import (
	"go/ast"
	"testing"

	"github.com/stretchr/testify/require"
)

// packedLiterals returns the lines of composite literals that span several lines and have two fields on one line. A
// literal on one line, such as a row of a table, is none of them. Neither are maps and slices.
func packedLiterals(s *source) (lines []int) {
	var visit func(n ast.Node, written ast.Expr)
	visit = func(n ast.Node, written ast.Expr) {
		ast.Inspect(n, func(n ast.Node) bool {
			l, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			kind := l.Type
			if kind == nil { // an element of a literal whose type says it
				kind = written
			}
			if s.packed(l, kind) {
				lines = append(lines, s.line(l.Lbrace))
			}
			for _, e := range l.Elts {
				visit(e, elementType(kind))
			}
			return false
		})
	}
	visit(s.syntax, nil)
	return lines
}

// elementType returns the type of a literal's elements, or nil if the literal does not say it.
func elementType(literal ast.Expr) ast.Expr {
	switch t := literal.(type) {
	case *ast.ArrayType:
		return t.Elt
	case *ast.MapType:
		return t.Value
	}
	return nil
}

// packed reports whether a literal of a type spans several lines and has two fields on one line.
func (s *source) packed(l *ast.CompositeLit, kind ast.Expr) bool {
	if s.line(l.Lbrace) == s.line(l.Rbrace) {
		return false
	}
	switch kind.(type) {
	case *ast.ArrayType, *ast.MapType:
		return false
	}
	for i, e := range l.Elts {
		if i > 0 && isField(e) && isField(l.Elts[i-1]) && s.line(l.Elts[i-1].End()) == s.line(e.Pos()) {
			return true
		}
	}
	return false
}

// isField reports whether an element of a literal begins with the name of a field.
func isField(e ast.Expr) bool {
	kv, ok := e.(*ast.KeyValueExpr)
	if !ok {
		return false
	}
	_, name := kv.Key.(*ast.Ident)
	return name
}

func TestLiteralsAreNotPacked(t *testing.T) {
	for _, s := range tree(t) {
		for _, line := range packedLiterals(s) {
			t.Errorf("%s:%d: the literal has several fields on one line: write one field a line; %d lines are the limit of a file, "+
				"and it is not to be met by packing", s.path, line, maxFileLines)
		}
	}
}

func TestPackedLiteralsAreSeen(t *testing.T) {
	for _, c := range []struct {
		name, text string
		lines      []int
	}{
		{"one line", "var x = t{A: 1, B: 2}", nil},
		{"one field a line", "var x = t{\n\tA: 1,\n\tB: 2,\n}", nil},
		{"first line", "var x = t{A: 1, B: 2,\n\tC: 3}", []int{2}},
		{"inner line", "var x = t{\n\tA: 1, B: 2,\n}", []int{2}},
		{"behind a field of several lines", "var x = t{\n\tA: func() {\n\t}, B: 2,\n}", []int{2}},
		{"rows", "var x = []t{\n\t{A: 1, B: 2},\n\t{A: 3, B: 4}, {A: 5, B: 6},\n}", nil},
		{"a row of several lines", "var x = []t{\n\t{A: 1, B: 2,\n\t\tC: 3},\n}", []int{3}},
		{"values of a map", "var x = map[string]t{\n\t\"a\": {A: 1, B: 2}, \"b\": {A: 1, B: 2,\n\t\tC: 3},\n}", []int{3}},
		{"keys that are names", "const a, b = 1, 2\nvar x = map[int]int{\n\ta: 1, b: 2,\n}", nil},
		{"a map inside a struct", "var x = t{\n\tA: map[int]int{\n\t\t1: 2, 3: 4,\n\t},\n\tB: 2,\n}", nil},
		{"a literal in an argument", "var x = f(t{A: 1, B: func() {\n}})", []int{2}},
	} {
		s, err := parse("router/a.go", []byte("package p\n"+c.text))
		require.NoError(t, err, c.name)
		require.Equal(t, c.lines, packedLiterals(s), c.name)
	}
}
