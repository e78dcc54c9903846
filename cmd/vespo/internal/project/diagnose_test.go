package project

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/live"
)

// numbered returns an excerpt of a file in which each line is its number.
func numbered(first, here, last int) (lines []live.Line) {
	for n := first; n <= last; n++ {
		lines = append(lines, live.Line{Number: n, Text: strconv.Itoa(n), Here: n == here})
	}
	return lines
}

// The outputs are those of the compilers: go 1.26, clang 14, rustc 1.63 and asc 0.28.
func TestDiagnose(t *testing.T) {
	dir := directory(t, map[string]string{"main.go": "1\n2\n3\n4\n5\n6\n7\n", "../outside.go": "secret\n"})
	p := &Project{dir: dir}
	for name, c := range map[string]struct {
		output string
		want   []live.Diagnostic
	}{
		"go": {
			output: "$ go build\n# example.com/hello\n./main.go:4:2: undefined: x\n./sub/a.go:12:3: cannot use y as int value in argument\n\thave (string)\n\twant (int)\n",
			want: []live.Diagnostic{
				{File: "main.go", Line: 4, Column: 2, Message: "undefined: x", Excerpt: numbered(2, 4, 6)},
				{File: "sub/a.go", Line: 12, Column: 3, Message: "cannot use y as int value in argument\nhave (string)\nwant (int)"},
			},
		},
		"go.mod": {
			output: "go: errors parsing go.mod:\ngo.mod:3: unknown directive: foo\n",
			want:   []live.Diagnostic{{File: "go.mod", Line: 3, Message: "unknown directive: foo"}},
		},
		"absolute": {
			output: dir + "/main.go:1:1: x\n/usr/lib/go/a.go:2:2: y\n../outside.go:1:1: z\n",
			want: []live.Diagnostic{
				{File: "main.go", Line: 1, Column: 1, Message: "x", Excerpt: numbered(1, 1, 3)},
				{File: "/usr/lib/go/a.go", Line: 2, Column: 2, Message: "y"},
				{File: "../outside.go", Line: 1, Column: 1, Message: "z"},
			},
		},
		"clang": {
			output: "main.c:3:5: warning: unused variable 'x' [-Wunused-variable]\n    int x;\n        ^\nmain.c:9:1: error: unknown type name 'foo'\nmain.c:1:1: note: declared here\nmain.c:10:10: fatal error: 'x.h' file not found\n2 errors generated.\n",
			want: []live.Diagnostic{
				{File: "main.c", Line: 3, Column: 5, Warning: true, Message: "unused variable 'x' [-Wunused-variable]"},
				{File: "main.c", Line: 9, Column: 1, Message: "unknown type name 'foo'"},
				{File: "main.c", Line: 10, Column: 10, Message: "'x.h' file not found"},
			},
		},
		"rust": {
			output: "   Compiling hello v0.1.0 (/src/hello)\nerror[E0425]: cannot find value `x` in this scope\n  --> src/main.rs:3:5\n   |\n3  |     x\n   |     ^ not found in this scope\n\nwarning: unused import\r\n --> src/lib.rs:1:5\r\nerror: could not compile `hello` due to previous error\n",
			want: []live.Diagnostic{
				{File: "src/main.rs", Line: 3, Column: 5, Message: "cannot find value `x` in this scope"},
				{File: "src/lib.rs", Line: 1, Column: 5, Warning: true, Message: "unused import"},
			},
		},
		"asc": {
			output: "ERROR TS2304: Cannot find name 'x'.\n    :\n 31 │ x();\n    │ ^\n    └─ in assembly/index.ts(31,3)\n\nFAILURE 1 compile error(s)\n",
			want:   []live.Diagnostic{{File: "assembly/index.ts", Line: 31, Column: 3, Message: "Cannot find name 'x'."}},
		},
		"nothing":     {output: "", want: nil},
		"other words": {output: "ld: undefined symbol: x\n12:30:11 hello: world\nhttp://a.b:80: x\n --> a.rs:1:1\n", want: nil},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, p.diagnose(c.output))
		})
	}
	require.Len(t, p.diagnose(strings.Repeat("./a.go:1:1: x\n", 1000)), maxDiagnostics)
}

func FuzzDiagnose(f *testing.F) {
	f.Add("./main.go:4:2: undefined: x\n\tmore\n")
	f.Add("error: x\n --> a.rs:99999999999999999999:5\n")
	f.Add("ERROR TS1: x\n └─ in ../../etc/passwd.x(1,1)\n")
	p := &Project{dir: f.TempDir()}
	f.Fuzz(func(t *testing.T, output string) {
		for _, d := range p.diagnose(output) {
			if d.Message == "" || d.Line < 0 || d.Column < 0 || d.Excerpt != nil {
				t.Errorf("%q: %+v", output, d)
			}
		}
	})
}
