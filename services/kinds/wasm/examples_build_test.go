package wasm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	sourceRoot  = "../../.."
	sdkExamples = sourceRoot + "/guest-sdk/examples"
	rawExamples = sourceRoot + "/examples"
)

// exampleModule builds the module of an example without the SDK. It skips the test if the toolchain is missing.
func exampleModule(t *testing.T, dir, file, build string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), file)
	var cmd *exec.Cmd
	if filepath.Base(dir) == "rust" {
		cmd, out = cargo(t, build, file)
	} else {
		line := strings.Replace(build, "-o "+file, "-o '"+out+"'", 1)
		require.NotEqual(t, build, line, "the command does not make %s", file)
		cmd = exec.Command("sh", "-c", line)
		if filepath.Base(dir) == "c" {
			needClang(t)
		}
	}
	cmd.Dir = dir
	msg, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", cmd, msg)
	module, err := os.ReadFile(out)
	require.NoError(t, err)
	return module
}

func needClang(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (Debian: apt-get install clang lld)", tool)
		}
	}
}

// cargo returns the command for a line "cargo build --release --target wasm32-wasip1", and the path
// of its output. It replaces the target by one that an installed compiler has a standard library for.
func cargo(t *testing.T, line, file string) (cmd *exec.Cmd, out string) {
	t.Helper()
	const wanted = "wasm32-wasip1"
	require.Contains(t, line, "--target "+wanted)
	compiler, target := rustFor(wanted, "wasm32-wasi", "wasm32-unknown-unknown")
	if target == "" {
		t.Skip("there is no Rust with a standard library for WebAssembly (rustup target add wasm32-wasip1; " +
			"Debian: apt-get install cargo libstd-rust-dev-wasm32 lld)")
	}
	scratch := t.TempDir()
	cmd = exec.Command("sh", "-c", strings.ReplaceAll(line, wanted, target))
	cmd.Env = append(os.Environ(), "CARGO_TARGET_DIR="+scratch,
		"PATH="+filepath.Dir(compiler)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return cmd, filepath.Join(scratch, target, "release", file)
}

// rustFor returns a compiler with cargo next to it, and the first target that it
// supports. A machine may have two compilers.
func rustFor(targets ...string) (compiler, target string) {
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		compiler, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if _, err := exec.LookPath(filepath.Join(filepath.Dir(compiler), "cargo")); err != nil {
			continue
		}
		for _, target := range targets {
			dir, err := exec.Command(compiler, "--print", "target-libdir", "--target", target).Output()
			if err != nil {
				continue
			}
			if info, err := os.Stat(strings.TrimSpace(string(dir))); err == nil && info.IsDir() {
				return compiler, target
			}
		}
	}
	return "", ""
}
