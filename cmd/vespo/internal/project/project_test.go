package project

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// directory creates a directory with files, keyed by slash-separated
// paths. Its name is a valid glob pattern that does not match itself.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "[a-b]*")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
	}
	return dir
}

func TestOpen(t *testing.T) {
	const asc = `{"devDependencies": {"assemblyscript": "1"}}`
	for name, c := range map[string]struct {
		files map[string]string
		want  toolchain
		err   string
	}{
		"go.mod":              {files: map[string]string{"go.mod": ""}, want: golang{}},
		"a command of many":   {files: map[string]string{"main.go": ""}, want: golang{}},
		"a component":         {files: map[string]string{"package.json": `{"scripts": {"componentize": "x"}}`, "a.c": ""}, want: componentized{clang{}}},
		"another script":      {files: map[string]string{"package.json": `{"scripts": {"test": "x"}}`, "go.mod": ""}, want: golang{}},
		"no manifest":         {files: map[string]string{"package.json": `{`, "go.mod": ""}, err: "package.json"},
		"wasm32-wasip2":       {files: map[string]string{".cargo/config.toml": "[build]\ntarget = \"wasm32-wasip2\"", "Cargo.toml": ""}, want: rust{target: wasi2}},
		"several targets":     {files: map[string]string{".cargo/config.toml": "[build]\ntarget = [\"a\", \"b\"]", "Cargo.toml": ""}, want: rust{}},
		"Cargo.toml":          {files: map[string]string{"Cargo.toml": "", "wrapper.c": ""}, want: rust{}},
		"assemblyscript":      {files: map[string]string{"package.json": asc}, want: assemblyScript{}},
		"its dependency":      {files: map[string]string{"package.json": `{"dependencies": {"assemblyscript": "1"}}`}, want: assemblyScript{}},
		"tools of a C prog":   {files: map[string]string{"package.json": `{}`, "a.c": ""}, want: clang{}},
		"Go with a front end": {files: map[string]string{"package.json": asc, "go.mod": ""}, want: golang{}},
		"C":                   {files: map[string]string{"a.c": ""}, want: clang{}},
		"settings decide":     {files: map[string]string{"vespo.json": `{"toolchain": "tinygo"}`, "go.mod": ""}, want: tinyGo{}},
		"empty":               {err: "is no project"},
		"below":               {files: map[string]string{"src/a.c": ""}, err: "is no project"},
		"JavaScript":          {files: map[string]string{"package.json": `{}`}, err: "is no project"},
		"package.json":        {files: map[string]string{"package.json": `{`}, err: "package.json: unexpected end"},
		"settings":            {files: map[string]string{"vespo.json": `{`}, err: "vespo.json:1: the JSON object has no end"},
		"empty settings":      {files: map[string]string{"vespo.json": "\n"}, err: "vespo.json: is empty: write {} for no settings"},
		"settings with more":  {files: map[string]string{"vespo.json": "{} x"}, err: "vespo.json: there is more text behind the JSON object"},
		"a comma too many":    {files: map[string]string{"vespo.json": "{\n\"prefix\": \"a\",\n}"}, err: "vespo.json:3: invalid character '}'"},
		"settings' type":      {files: map[string]string{"vespo.json": "{\n\"prefix\": 1\n}"}, err: "vespo.json:2: json: cannot unmarshal number"},
		"settings' member":    {files: map[string]string{"vespo.json": `{"tool": "go"}`}, err: `vespo.json: json: unknown field "tool": the members are prefix,`},
		"settings' value":     {files: map[string]string{"vespo.json": `{"toolchain": "perl"}`}, err: `vespo.json: toolchain is "perl": it must be one of assemblyscript, c, go, rust, tinygo`},
		"flags alone":         {files: map[string]string{"vespo.json": `{"flags": ["-v"]}`, "go.mod": ""}, want: golang{}},
		"TinyGo's library":    {files: map[string]string{"go.mod": "module m\n\nrequire " + tinyGoLibrary + " v0.4.0\n"}, want: tinyGo{}},
		"another library":     {files: map[string]string{"go.mod": "module m\n\n// " + tinyGoLibrary + "\nrequire example.com/m v0.4.0\n"}, want: golang{}},
		"torn go.mod":         {files: map[string]string{"go.mod": "module ("}, want: golang{}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Open(directory(t, c.files))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, p.toolchain)
		})
	}
}

func TestModuleNameOfTheRoot(t *testing.T) {
	require.Equal(t, "service.wasm", (&Project{dir: string(filepath.Separator)}).ModuleName())
}

func TestPrefix(t *testing.T) {
	for name, c := range map[string]struct {
		project   Project
		want, err string
	}{
		"of the directory": {project: Project{dir: "/src/hello"}, want: "/hello"},
		"of the settings":  {project: Project{dir: "/src/hello", prefix: "a/b"}, want: "/a/b"},
		"the root":         {project: Project{dir: "/src/hello", prefix: "/"}, want: "/"},
		"no name":          {project: Project{dir: "/src/my app"}, err: "; set prefix in vespo.json, or give one"},
		"reserved":         {project: Project{dir: "/src/services"}, err: "; set prefix in vespo.json, or give one"},
	} {
		t.Run(name, func(t *testing.T) {
			prefix, err := c.project.Prefix()
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, prefix)
		})
	}
}

// TestCommandIsWhatAShellReads checks that a shell parses the formatted command into the same words.
func TestCommandIsWhatAShellReads(t *testing.T) {
	args := []string{"printf", `%s\n`, "", "plain", "two words", "it's", `"$HOME" & * \`, "-ldflags=-s -w", "a\nb"}
	c := command{env: []string{"X=a b", "Y="}, args: args}
	want := strings.Join(args[2:], "\n") + "\n"
	got, err := exec.Command("sh", "-c", c.String()).Output()
	require.NoError(t, err)
	require.Equal(t, want, string(got))
	require.Equal(t, "GOOS=wasip1 go build -o a/b.wasm .", command{env: []string{"GOOS=wasip1"}, args: []string{"go", "build", "-o", "a/b.wasm", "."}}.String())
}

func TestBuildRunsCommands(t *testing.T) {
	var log, out bytes.Buffer
	b := &build{dir: t.TempDir(), out: "/elsewhere/a.wasm", log: &log}
	require.Equal(t, "/elsewhere/a.wasm", b.outArg())
	b.out = filepath.Join(b.dir, "out", "a.wasm")
	require.Equal(t, filepath.Join("out", "a.wasm"), b.outArg())

	ctx := context.Background()
	require.NoError(t, b.run(ctx, command{env: []string{"X=7"}, args: []string{"sh", "-c", "echo $X; echo err >&2"}}, nil))
	require.Contains(t, log.String(), "$ X=7 sh -c 'echo $X; echo err >&2'\n7\nerr\n")
	require.NoError(t, b.run(ctx, command{args: []string{"echo", "out"}}, &out))
	require.Equal(t, "out\n", out.String())
	require.EqualError(t, b.run(ctx, command{args: []string{"sh", "-c", "exit 3"}}, nil), "sh failed: exit status 3")

	log.Reset()
	text, err := b.ask(ctx, command{args: []string{"echo", "text"}})
	require.NoError(t, err)
	require.Equal(t, "text", text)
	require.Empty(t, log.String())
	_, err = b.ask(ctx, command{args: []string{"sh", "-c", "echo why >&2; exit 1"}})
	require.EqualError(t, err, "sh failed: exit status 1")
	require.Contains(t, log.String(), "why\n")
}

// TestBuildIsInterrupted checks that a command that would
// run on gets the interrupt signal and can still print.
func TestBuildIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	log := &onWrite{line: "ready\n", do: func() { cancel(context.Canceled) }}
	b := &build{dir: t.TempDir(), log: log}
	script := "trap 'echo interrupted; exit 1' INT; echo ready; while :; do sleep 1; done"
	require.ErrorIs(t, b.run(ctx, command{args: []string{"sh", "-c", script}}, nil), context.Canceled)
	require.Contains(t, log.text.String(), "interrupted\n")
}

// onWrite calls a function once a line was written.
type onWrite struct {
	line string
	do   func()
	text bytes.Buffer
}

// Write implements io.Writer.
func (w *onWrite) Write(p []byte) (int, error) {
	if string(p) == w.line {
		w.do()
	}
	return w.text.Write(p)
}

// TestFlags runs fake compilers that print their arguments.
func TestFlags(t *testing.T) {
	bin := t.TempDir()
	for name, script := range map[string]string{
		"tinygo": `echo "requires go version 1.19 through 1.25, got go1.26"; exit 1`,
		"go":     `[ "$1" = list ] || exit 1`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	for toolchain, want := range map[string]string{
		"tinygo": "$ tinygo build -target=wasip1 -no-debug -opt=2 '-x y' -o out.wasm .\n",
		"go":     "$ GOOS=wasip1 GOARCH=wasm go build '-ldflags=-s -w' -opt=2 '-x y' -o out.wasm .\n",
	} {
		dir := directory(t, map[string]string{"vespo.json": `{"toolchain": "` + toolchain + `", "flags": ["-opt=2", "-x y"]}`, "main.go": ""})
		p, err := Open(dir)
		require.NoError(t, err)
		var log bytes.Buffer
		err = p.Build(context.Background(), filepath.Join(dir, "out.wasm"), &log)
		require.ErrorContains(t, err, toolchain+" failed: exit status 1")
		require.Contains(t, log.String(), want)
		if toolchain == "tinygo" {
			require.ErrorContains(t, err, "this TinyGo accepts Go 1.19 to 1.25: set GOTOOLCHAIN=go1.25.0 in the environment")
		}
	}
}

func TestImportsSDK(t *testing.T) {
	for text, want := range map[string]bool{
		"package main\n\nimport guest \"" + sdkModule + "\"\n":                 true,
		"package main\n\nimport _ \"" + sdkModule + "/nethttp\"\n":             true,
		"package main\n\nimport _ \"" + sdkModule + "/vespo\"\n":               false, // asks the go command
		"//go:build !wasm\n\npackage main\n\nimport _ \"" + sdkModule + "\"\n": false,
		"package main\n\n// import \"" + sdkModule + "\"\n":                    false,
		"package main\n\nimport _ \"" + sdkModule + "\"\n\nfunc broken( {":     true, // left to the compiler
		"package main\n\nimport _ \"" + sdkModule + "\n":                       false,
		"package other\n\nimport _ \"" + sdkModule + "\"\n":                    false,
	} {
		dir := directory(t, map[string]string{"a.go": "package main\n", "b.go": text})
		require.Equal(t, want, importsSDK(dir, nil), text)
		require.False(t, importsSDK(dir, []string{"-tags=x"}))
	}
}

func TestExportsFunctions(t *testing.T) {
	for text, want := range map[string]bool{
		"package main\n\n//go:wasmexport handle_request\nfunc handle() {}\n":   true,
		"package main\n\n// A //go:wasmexport here is none.\nfunc main() {}\n": false,
		"": false,
	} {
		got, err := exportsFunctions(directory(t, map[string]string{"a.go": "package main\n", "b.go": text}))
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
}

func TestArtifact(t *testing.T) {
	const other = `{"reason":"compiler-artifact","filenames":["/t/lib.rlib"]}
{"reason":"build-script-executed","filenames":["/t/x.wasm"]}
`
	one, two := `{"reason":"compiler-artifact","filenames":["/t/a.wasm"]}`, `{"reason":"compiler-artifact","filenames":["/t/b.wasm"]}`
	for messages, want := range map[string]string{other + one: "/t/a.wasm", one: "/t/a.wasm"} {
		got, err := artifact([]byte(messages))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for messages, want := range map[string]string{
		"": "no module", other: "no module", one + two: "2 modules, and a service is one: /t/a.wasm, /t/b.wasm", "{": "read cargo's messages",
	} {
		_, err := artifact([]byte(messages))
		require.ErrorContains(t, err, want)
	}
}

func TestReplace(t *testing.T) {
	dir := directory(t, map[string]string{"from": "new", "to": "old"})
	to := filepath.Join(dir, "to")
	require.Error(t, replace(to, filepath.Join(dir, "nowhere")))
	require.Equal(t, map[string]string{"from": "new", "to": "old"}, files(t, dir))
	require.NoError(t, replace(to, filepath.Join(dir, "from")))
	require.Equal(t, map[string]string{"from": "new", "to": "new"}, files(t, dir))
}
