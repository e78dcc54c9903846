package project

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	gobuild "go/build"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/vespo-dev/vespo/internal/regular"
)

// sdkModule is the path of the guest SDK's module, and of its main package.
const sdkModule = "github.com/vespo-dev/vespo/guest-sdk"

const (
	getGo     = "install Go 1.24 or later from https://go.dev/dl/ (Debian 13 and later: apt-get install golang-go)"
	getTinyGo = "install it from https://tinygo.org/getting-started/install/ (Debian has no package; that page has a .deb)"
)

// golang compiles with the Go toolchain.
type golang struct{}

func (golang) check(context.Context) error { return onPath("go", getGo) }

func (golang) build(ctx context.Context, b *build) error {
	env := append(wasip1(), outsideWorkspace(ctx, b)...)
	reactor, err := isReactor(ctx, b, env)
	if err != nil {
		return err
	}
	args := []string{"go", "build"}
	if reactor {
		args = append(args, "-buildmode=c-shared")
	}
	args = append(args, "-ldflags=-s -w")
	args = append(args, b.flags...)
	args = append(args, "-o", b.outArg(), ".")
	return b.run(ctx, command{env: env, args: args}, nil)
}

// tinyGo compiles with TinyGo, which itself needs the go command.
type tinyGo struct{}

func (tinyGo) check(context.Context) error {
	if err := onPath("tinygo", getTinyGo); err != nil {
		return err
	}
	return onPath("go", getGo)
}

func (tinyGo) build(ctx context.Context, b *build) error {
	workspace := outsideWorkspace(ctx, b)
	reactor, err := isReactor(ctx, b, append(wasip1(), workspace...))
	if err != nil {
		return err
	}
	args := []string{"tinygo", "build", "-target=wasip1"}
	if reactor {
		args = append(args, "-buildmode=c-shared")
	}
	args = append(args, "-no-debug")
	args = append(args, b.flags...)
	args = append(args, "-o", b.outArg(), ".")
	var output bytes.Buffer
	watched := *b
	watched.log = io.MultiWriter(b.log, &output)
	err = watched.run(ctx, command{env: workspace, args: args}, nil)
	if oldest, newest, ok := acceptedGo(output.String()); err != nil && ok {
		return fmt.Errorf("%w: this TinyGo accepts Go 1.%s to 1.%s: set GOTOOLCHAIN=go1.%s.0 in the environment, or install a newer TinyGo", err, oldest, newest, newest)
	}
	return err
}

// goRange matches TinyGo's error for a Go toolchain that is too new or too old.
var goRange = regexp.MustCompile(`requires go version 1\.(\d+) through 1\.(\d+), got`)

// acceptedGo returns the minor versions of Go that TinyGo
// accepts, if output says that it refused the installed one.
func acceptedGo(output string) (oldest, newest string, ok bool) {
	m := goRange.FindStringSubmatch(output)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// tinyGoLibrary is the module of http-wasm guests for TinyGo. The Go
// toolchain ignores its exports and compiles a program that serves nothing.
const tinyGoLibrary = "github.com/http-wasm/http-wasm-guest-tinygo"

// detectGo returns "tinygo" for guests of tinyGoLibrary, else "go".
func detectGo(dir string) (string, error) {
	text, err := regular.ReadFile(filepath.Join(dir, "go.mod"), maxSettingsBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "go", nil
	case err != nil:
		return "", err
	}
	mod, err := modfile.ParseLax("go.mod", text, nil)
	if err != nil {
		return "go", nil // the compiler has the better error message
	}
	for _, required := range mod.Require {
		if required.Mod.Path == tinyGoLibrary {
			return "tinygo", nil
		}
	}
	return "go", nil
}

func wasip1() []string { return []string{"GOOS=wasip1", "GOARCH=wasm"} }

// outsideWorkspace returns GOWORK=off for a project with a module of its own below a go.work that does not list it. The
// go command refuses to build such a project otherwise.
func outsideWorkspace(ctx context.Context, b *build) []string {
	if !isFile(filepath.Join(b.dir, "go.mod")) {
		return nil
	}
	file, err := command{args: []string{"go", "env", "GOWORK"}}.in(ctx, b.dir).Output()
	work := strings.TrimSpace(string(file))
	if err != nil || work == "" || work == "off" {
		return nil
	}
	text, err := regular.ReadFile(work, maxSettingsBytes)
	if err != nil {
		return nil // the go command reports it
	}
	parsed, err := modfile.ParseWork(work, text, nil)
	if err != nil {
		return nil
	}
	for _, use := range parsed.Use {
		listed := use.Path
		if !filepath.IsAbs(listed) {
			listed = filepath.Join(filepath.Dir(work), listed)
		}
		if samePath(listed, b.dir) {
			return nil
		}
	}
	return []string{"GOWORK=off"}
}

// samePath reports whether two names lead to the same directory.
func samePath(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// isReactor reports whether the program is a reactor, whose exported functions the host calls.
// Programs with the SDK are. Otherwise the host calls the main function, as in a CGI command.
func isReactor(ctx context.Context, b *build, env []string) (bool, error) {
	if b.reactor || importsSDK(b.dir, b.flags) {
		return true, nil
	}
	deps, err := b.ask(ctx, command{env: env, args: []string{"go", "list", "-deps", "."}})
	if err != nil {
		return false, err
	}
	if slices.Contains(strings.Fields(deps), sdkModule) {
		return true, nil
	}
	return exportsFunctions(b.dir)
}

// importsSDK reports whether the main package certainly imports the SDK itself, as most do. It takes a millisecond, and
// the go command, which follows imports, a tenth of a second.
func importsSDK(dir string, flags []string) bool {
	if len(flags) > 0 { // such as tags
		return false
	}
	guest := gobuild.Default
	guest.GOOS, guest.GOARCH, guest.CgoEnabled = "wasip1", "wasm", false
	main, err := guest.ImportDir(dir, 0)
	return err == nil && (slices.Contains(main.Imports, sdkModule) || slices.Contains(main.Imports, sdkModule+"/nethttp"))
}

// exportsFunctions reports whether a program without the SDK exports a function.
func exportsFunctions(dir string) (bool, error) {
	files, err := filepath.Glob(filepath.Join(escape(dir), "*.go"))
	if err != nil {
		return false, err
	}
	for _, file := range files {
		found, err := hasLine(file, "//go:wasmexport ")
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func hasLine(file, prefix string) (bool, error) {
	f, err := regular.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), prefix) {
			return true, nil
		}
	}
	return false, lines.Err()
}
