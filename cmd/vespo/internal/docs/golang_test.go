package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// importable are the packages that a part of a Go file may use without an import, by their names.
var importable = map[string]string{
	"base64":    "encoding/base64",
	"cgi":       "net/http/cgi",
	"fmt":       "fmt",
	"guest":     "github.com/vespo-dev/vespo/guest-sdk",
	"guesttest": "github.com/vespo-dev/vespo/guest-sdk/guesttest",
	"http":      "net/http",
	"io":        "io",
	"json":      "encoding/json",
	"nethttp":   "github.com/vespo-dev/vespo/guest-sdk/nethttp",
	"os":        "os",
	"strings":   "strings",
	"testing":   "testing",
	"time":      "time",
	"vespo":     "github.com/vespo-dev/vespo/guest-sdk/vespo",
	"vespohttp": "github.com/vespo-dev/vespo/guest-sdk/vespo/vespohttp",
}

// compiles returns an error unless a text is a Go file, or a part of one, that compiles with the SDK.
func compiles(t *testing.T, text string) error {
	file, err := whole(text)
	if err != nil {
		return err
	}
	sdk, err := filepath.Abs(filepath.Join(root, "guest-sdk"))
	require.NoError(t, err)
	dir := t.TempDir()
	const module = "module block\ngo 1.24\nrequire github.com/vespo-dev/vespo/guest-sdk v0.0.0\nreplace github.com/vespo-dev/vespo/guest-sdk => "
	require.NoError(t, os.WriteFile(filepath.Join(dir, "block.go"), []byte(file), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module+sdk+"\n"), 0o600))
	cmd := exec.Command("go", "vet", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s\n%s", out, file)
	}
	return nil
}

// whole makes a file of a part of a file: a package clause, the imports of the packages that it uses, a function main.
func whole(text string) (string, error) {
	if strings.HasPrefix(text, "package ") {
		return text, nil
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), "", "package main\n"+text, 0)
	if err != nil {
		return "", err
	}
	used := map[string]bool{}
	ast.Inspect(syntax, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if name, ok := selector.X.(*ast.Ident); ok && importable[name.Name] != "" {
				used[name.Name] = true
			}
		}
		return true
	})
	var file strings.Builder
	file.WriteString("package main\n")
	for _, name := range slices.Sorted(maps.Keys(used)) {
		fmt.Fprintf(&file, "import %s %q\n", name, importable[name])
	}
	file.WriteString(text)
	if !slices.ContainsFunc(syntax.Decls, isMain) {
		file.WriteString("func main() {}\n")
	}
	return file.String(), nil
}

// isMain reports whether a declaration is that of the function main.
func isMain(d ast.Decl) bool {
	f, ok := d.(*ast.FuncDecl)
	return ok && f.Recv == nil && f.Name.Name == "main"
}
