package project

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sdkModule is the path of the guest SDK's module, and of its main package.
const sdkModule = "github.com/vespo-dev/vespo/guest-sdk"

const (
	getGo     = "install Go 1.24 or later from https://go.dev/dl/ (Debian 13 and later: apt-get install golang-go)"
	getTinyGo = "install it from https://tinygo.org/getting-started/install/ (Debian has no package; that page has a .deb)"
)

// golang compiles by the Go toolchain.
type golang struct{}

func (golang) check(context.Context) error { return onPath("go", getGo) }

func (golang) build(ctx context.Context, b *build) error {
	reactor, err := isReactor(ctx, b)
	if err != nil {
		return err
	}
	args := []string{"go", "build", "-ldflags=-s -w", "-o", b.outArg(), "."}
	if reactor {
		args = slices.Insert(args, 2, "-buildmode=c-shared")
	}
	return b.run(ctx, command{env: wasip1(), args: args}, nil)
}

// tinyGo compiles by TinyGo, which needs the go command for itself.
type tinyGo struct{}

func (tinyGo) check(context.Context) error {
	if err := onPath("tinygo", getTinyGo); err != nil {
		return err
	}
	return onPath("go", getGo)
}

func (tinyGo) build(ctx context.Context, b *build) error {
	reactor, err := isReactor(ctx, b)
	if err != nil {
		return err
	}
	args := []string{"tinygo", "build", "-target=wasip1", "-no-debug", "-o", b.outArg(), "."}
	if reactor {
		args = slices.Insert(args, 3, "-buildmode=c-shared")
	}
	return b.run(ctx, command{args: args}, nil)
}

func wasip1() []string { return []string{"GOOS=wasip1", "GOARCH=wasm"} }

// isReactor tells whether the host is to call the program's exported functions, which the SDK has, or its main function, as
// that of a CGI command.
func isReactor(ctx context.Context, b *build) (bool, error) {
	deps, err := b.ask(ctx, command{env: wasip1(), args: []string{"go", "list", "-deps", "."}})
	if err != nil {
		return false, err
	}
	if slices.Contains(strings.Fields(deps), sdkModule) {
		return true, nil
	}
	return exportsFunctions(b.dir)
}

// exportsFunctions looks for a function that a program exports without the SDK.
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
	f, err := os.Open(file)
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
