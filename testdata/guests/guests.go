// Package guests provides WebAssembly modules for tests: small hand-written ones and Go
// programs built on demand.
//
// Hand-written guests ([Wat]) are in wat/: NAME.wat is the source, NAME.wasm the output of
// wat2wasm. Go guests ([Go]) are in src/NAME and use the raw guest interface, not the SDK. The
// examples of the SDK are built by [SDK]. The comment at the top of a guest's source describes it.
package guests

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
)

const (
	sourcePackage   = "github.com/vespo-dev/vespo/testdata/guests/src/"
	examplePackage  = "github.com/vespo-dev/vespo/guest-sdk/examples/"
	internalPackage = "github.com/vespo-dev/vespo/guest-sdk/internal/guests/"
)

//go:generate sh -c "for f in wat/*.wat; do wat2wasm --enable-tail-call $DOLLAR{f} -o $DOLLAR{f%.wat}.wasm || exit 1; done"

//go:embed wat/*.wat wat/*.wasm
var wat embed.FS

// Wat returns the hand-written guest NAME as a binary module.
func Wat(tb testing.TB, name string) []byte {
	tb.Helper()
	module, err := wat.ReadFile("wat/" + name + ".wasm")
	if err != nil {
		tb.Fatalf("no hand-written guest %q: %v", name, err)
	}
	return module
}

// Go builds src/NAME with the Go toolchain and returns the binary module: a WASI command
// for the CGI guests, otherwise a reactor (exports _initialize).
func Go(tb testing.TB, name string) []byte {
	tb.Helper()
	switch name {
	case "gocgi", "gocmd", "gofiles", "gofunction", "cgiscript":
		return build(tb, name, sourcePackage+name, "exe")
	}
	return build(tb, name, sourcePackage+name, "c-shared")
}

// SDK builds the guest-sdk's example NAME, a reactor.
func SDK(tb testing.TB, name string) []byte {
	tb.Helper()
	return build(tb, "sdk-"+name, examplePackage+name, "c-shared")
}

// Internal builds the guest NAME of guest-sdk/internal/guests, a reactor. These use the SDK in ways that are no example.
func Internal(tb testing.TB, name string) []byte {
	tb.Helper()
	return build(tb, "internal-"+name, internalPackage+name, "c-shared")
}

// CodeCache returns the directory in which tests keep compiled code. The guests of the Go toolchain take seconds to
// compile.
func CodeCache() string {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	return filepath.Join(base, "vespo-test-code")
}

// build builds the package to a file in the user's cache directory and returns its content.
// Because the file is kept, the go command can skip linking if it is up to date. The lock
// keeps parallel test processes from reading a file while another one writes it.
func build(tb testing.TB, name, pkg, mode string) []byte {
	tb.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "vespo-test-guests")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatalf("directory for built guests: %v", err)
	}
	out := filepath.Join(dir, name+".wasm")
	lock := flock.New(out + ".lock")
	if err := lock.Lock(); err != nil {
		tb.Fatalf("lock for guest %q: %v", name, err)
	}
	defer lock.Close()

	cmd := exec.Command("go", "build", "-buildmode="+mode, "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if work := workspace(); work != "" {
		cmd.Env = append(cmd.Env, "GOWORK="+work)
	}
	if msg, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("guest %q: %v: %v\n%s", name, cmd, err, msg)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		tb.Fatalf("guest %q: %v", name, err)
	}
	return module
}

// workspace returns the path of the go.work above the current directory, or "" if there is none. Tests of modules that are not in
// it run with GOWORK=off, and the SDK is found by it alone.
func workspace() string {
	dir, err := os.Getwd()
	for err == nil {
		file := filepath.Join(dir, "go.work")
		if _, err := os.Stat(file); err == nil {
			return file
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return ""
}
