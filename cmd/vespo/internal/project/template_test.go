package project

import (
	"context"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// files returns the files below a directory, by slash-separated paths.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	root := os.DirFS(dir)
	require.NoError(t, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		found[name] = string(content)
		return err
	}))
	return found
}

func TestTemplates(t *testing.T) {
	toolchains := map[string]toolchain{
		"go": golang{}, "tinygo": tinyGo{}, "go-nethttp": golang{}, "c": clang{}, "rust": rust{}, "cgi-go": golang{}, "assemblyscript": assemblyScript{},
		"js": javaScript{}, "ts": javaScript{}, "go-component": componentized{golang{}}, "tinygo-component": componentized{tinyGo{}},
		"c-component": componentized{clang{}}, "rust-component": componentized{rust{}},
	}
	require.Len(t, toolchains, len(Templates()))
	for _, template := range Templates() {
		dir := filepath.Join(t.TempDir(), "bee-7")
		_, err := Create(dir, template)
		require.NoError(t, err, template)

		p, err := Open(dir)
		require.NoError(t, err, template)
		require.Equal(t, toolchains[template], p.toolchain, template)
		require.Equal(t, "bee-7.wasm", p.ModuleName())

		made := files(t, dir)
		require.Contains(t, made[".gitignore"], "*.wasm", template)
		require.Contains(t, made["README.md"], "# bee-7\n", template)
		require.Contains(t, made["README.md"], "vespo build", template)
		for name, content := range made {
			require.NotContains(t, name, ".tmpl", template)
			require.NotContains(t, content, "{{", "%s: %s", template, name)
			require.True(t, strings.HasSuffix(content, "\n"), "%s: %s", template, name)
			if filepath.Ext(name) == ".go" {
				formatted, err := format.Source([]byte(content))
				require.NoError(t, err, name)
				require.Equal(t, string(formatted), content, "%s: %s is not in the form of gofmt", template, name)
			}
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	parent := t.TempDir()
	for _, name := range []string{"A", "-a", "a-", "7a", "a.b", "a b", "ä", "a\n", strings.Repeat("a", 64)} {
		_, err := Create(filepath.Join(parent, name), "c")
		require.ErrorContains(t, err, "the name is", name)
	}
	_, err := Create(filepath.Join(parent, "a"), "cobol")
	require.ErrorContains(t, err, `no template "cobol", but go, tinygo`)
	require.Empty(t, files(t, parent))

	for _, name := range []string{"a", "a-b", strings.Repeat("a", 63), "x/y/z"} {
		dir := filepath.Join(parent, filepath.FromSlash(name))
		made, err := Create(dir, "c")
		require.NoError(t, err, name)
		require.Equal(t, filepath.Base(dir), made)
		before := files(t, dir)
		_, err = Create(dir, "rust")
		require.ErrorContains(t, err, "is not empty and was left alone", name)
		require.Equal(t, before, files(t, dir))
	}
	require.NoError(t, os.WriteFile(filepath.Join(parent, "file"), nil, 0o644))
	_, err = Create(filepath.Join(parent, "file"), "c")
	require.Error(t, err)
	_, err = Create(filepath.Join(parent, "file", "below"), "c")
	require.Error(t, err)
}

// TestCreateInAnEmptyDirectory creates a project in the working directory.
func TestCreateInAnEmptyDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "here")
	require.NoError(t, os.Mkdir(dir, 0o755))
	t.Chdir(dir)
	name, err := Create(".", "c")
	require.NoError(t, err)
	require.Equal(t, "here", name)
	require.Contains(t, files(t, dir), "main.c")
}

// TestCreateUndoes lets writing fail: nothing stays.
func TestCreateUndoes(t *testing.T) {
	parent := t.TempDir()
	undo, err := makeEmpty(filepath.Join(parent, "a", "b"))
	require.NoError(t, err)
	require.Error(t, write(filepath.Join(parent, "a", "b"), map[string][]byte{"x": nil, "x/y": nil}))
	require.NoError(t, undo())
	require.NoDirExists(t, filepath.Join(parent, "a"))
	undo, err = makeEmpty(parent)
	require.NoError(t, err)
	require.NoError(t, write(parent, map[string][]byte{"x/y": nil}))
	require.NoError(t, undo())
	require.DirExists(t, parent)
	require.Empty(t, files(t, parent))
}

// TestMissingTools runs without any program on the PATH.
func TestMissingTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, want := range map[string]string{
		"assemblyscript": "node is missing: install Node.js",
		"worker":         "node is missing: install Node.js",
		"c":              "clang is missing: install it (Debian: apt-get install clang lld wasi-libc",
		"go":             "go is missing: install Go",
		"rust":           "cargo is missing: install Rust",
		"tinygo":         "tinygo is missing: install it from https://tinygo.org",
	} {
		var missing *MissingError
		require.ErrorAs(t, toolchains()[name].check(context.Background()), &missing, name)
		require.ErrorContains(t, missing, want, name)
	}
}

// TestMissingPartsOfClang uses a fake clang that lacks the parts which
// distributions ship in other packages. It prints the same answers as clang.
func TestMissingPartsOfClang(t *testing.T) {
	const (
		linker   = "-print-prog-name=wasm-ld"
		start    = "-print-file-name=crt1-reactor.o"
		builtins = "-print-libgcc-file-name"
	)
	for _, c := range []struct{ missing, answer, want string }{
		{linker, "wasm-ld", "wasm-ld is missing: install it (Debian: apt-get install lld)"},
		{start, "crt1-reactor.o", "crt1-reactor.o) is missing: install it (Debian: apt-get install wasi-libc)"},
		{builtins, "/nowhere/builtins.a", "apt-get install libclang-rt-19-dev-wasm32)"},
		{},
	} {
		dir := t.TempDir()
		there := filepath.Join(dir, "clang")
		answers := map[string]string{linker: there, start: there, builtins: there, "-dumpversion": "19.1.7"}
		answers[c.missing] = c.answer
		script := "#!/bin/sh\ncase $2 in\n"
		for question, answer := range answers {
			script += "'" + question + "') echo " + answer + " ;;\n"
		}
		require.NoError(t, os.WriteFile(there, []byte(script+"esac\n"), 0o755))
		t.Setenv("PATH", dir)

		err := clang{}.check(context.Background())
		if c.missing == "" {
			require.NoError(t, err)
			continue
		}
		var missing *MissingError
		require.ErrorAs(t, err, &missing, c.missing)
		require.ErrorContains(t, err, c.want)
	}
}
