package project

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/project/atomicfile"
	"github.com/vespo-dev/vespo/internal/regular"
)

// wasi2 is the target whose builds are components.
const wasi2 = "wasm32-wasip2"

// rust compiles with cargo. A cdylib becomes a reactor, a binary a command.
type rust struct{ target string } // "" for preview 1

func (t rust) check(ctx context.Context) error {
	if err := onPath("cargo", "install Rust from https://rustup.rs (Debian: apt-get install cargo)"); err != nil {
		return err
	}
	if err := onPath("rustc", "install Rust from https://rustup.rs (Debian: apt-get install rustc)"); err != nil {
		return err
	}
	switch {
	case t.target != "" && !hasRustTarget(ctx, t.target):
		return &MissingError{
			What: "Rust's standard library for " + t.target,
			Get:  "run \"rustup target add " + t.target + "\" (Rust 1.82 or later)",
		}
	case t.target == "" && rustTarget(ctx) == "":
		return &MissingError{
			What: "Rust's standard library for wasm32-wasip1",
			Get: "run \"rustup target add wasm32-wasip1\" " +
				"(Debian's own Rust: apt-get install libstd-rust-dev-wasm32 lld clang)",
		}
	}
	return nil
}

// rustTarget returns the WASI target for which the compiler has a
// standard library, or "". Before Rust 1.78 it was called wasm32-wasi.
func rustTarget(ctx context.Context) string {
	for _, target := range []string{"wasm32-wasip1", "wasm32-wasi"} {
		if hasRustTarget(ctx, target) {
			return target
		}
	}
	return ""
}

// hasRustTarget reports whether the compiler has a standard library for a target.
func hasRustTarget(ctx context.Context, target string) bool {
	dir, err := exec.CommandContext(ctx, "rustc", "--print", "target-libdir", "--target", target).Output()
	if err != nil {
		return false
	}
	info, err := os.Stat(strings.TrimSpace(string(dir)))
	return err == nil && info.IsDir()
}

// asksForWASI2 reports whether a project names the target wasm32-wasip2, which makes components, as that of its builds.
func asksForWASI2(dir string) bool {
	for _, name := range []string{"config.toml", "config"} {
		text, err := regular.ReadFile(filepath.Join(dir, ".cargo", name), maxSettingsBytes)
		if err != nil {
			continue // cargo reports it
		}
		var config struct {
			Build struct {
				Target any `toml:"target"`
			} `toml:"build"`
		}
		return toml.Unmarshal(text, &config) == nil && config.Build.Target == wasi2
	}
	return false
}

func (t rust) build(ctx context.Context, b *build) error {
	target := t.target
	if target == "" {
		target = rustTarget(ctx)
	}
	args := []string{"cargo", "build", "--release", "--target", target, "--message-format=json-render-diagnostics"}
	c := command{args: append(args, b.flags...)}
	var messages bytes.Buffer
	if err := b.run(ctx, c, &messages); err != nil {
		return err
	}
	module, err := artifact(messages.Bytes())
	if err != nil {
		return err
	}
	return replace(b.out, module)
}

// artifact returns the only module in cargo's messages.
func artifact(messages []byte) (string, error) {
	var modules []string
	decoder := json.NewDecoder(bytes.NewReader(messages))
	for decoder.More() {
		var m struct {
			Reason    string   `json:"reason"`
			Filenames []string `json:"filenames"`
		}
		if err := decoder.Decode(&m); err != nil {
			return "", fmt.Errorf("read cargo's messages: %w", err)
		}
		for _, file := range m.Filenames {
			if m.Reason == "compiler-artifact" && filepath.Ext(file) == ".wasm" {
				modules = append(modules, file)
			}
		}
	}
	switch len(modules) {
	case 0:
		return "", errors.New(`cargo has made no module: Cargo.toml needs a [lib] with crate-type = ["cdylib"], or a program`)
	case 1:
		return modules[0], nil
	}
	return "", fmt.Errorf("cargo has made %d modules, and a service is one: %s", len(modules), strings.Join(modules, ", "))
}

// replace copies from over to, atomically.
func replace(to, from string) error {
	content, err := regular.ReadFile(from, 1<<30)
	if err != nil {
		return err
	}
	return atomicfile.Write(to, content)
}
