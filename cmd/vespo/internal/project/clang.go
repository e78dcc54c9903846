package project

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// clangTarget selects WASI by a name that all versions of clang understand.
const clangTarget = "--target=wasm32-wasi"

// clang compiles all C files of a directory into one reactor.
type clang struct{}

func (clang) check(ctx context.Context) error {
	if err := onPath("clang", get("clang lld wasi-libc, and libclang-rt-N-dev-wasm32 where N is clang's version")); err != nil {
		return err
	}
	// clang prints the path of a file that exists, and otherwise the name that it was asked for.
	answer := func(question string) string {
		text, _ := exec.CommandContext(ctx, "clang", clangTarget, question).Output() // an empty answer names no file
		return strings.TrimSpace(string(text))
	}
	if linker := answer("-print-prog-name=wasm-ld"); onPath(linker, "") != nil {
		return &MissingError{What: "wasm-ld", Get: get("lld")}
	}
	if start := answer("-print-file-name=crt1-reactor.o"); !filepath.IsAbs(start) {
		return &MissingError{What: "the C library for WASI (crt1-reactor.o)", Get: get("wasi-libc")}
	}
	if builtins := answer("-print-libgcc-file-name"); !isFile(builtins) {
		major, _, _ := strings.Cut(answer("-dumpversion"), ".")
		return &MissingError{What: "clang's runtime library for WebAssembly (" + builtins + ")",
			Get: get("libclang-rt-" + major + "-dev-wasm32")}
	}
	return nil
}

func get(debianPackages string) string {
	return "install it (Debian: apt-get install " + debianPackages +
		"), or put the bin directory of https://github.com/WebAssembly/wasi-sdk first on the PATH"
}

func (clang) build(ctx context.Context, b *build) error {
	files, err := filepath.Glob(filepath.Join(escape(b.dir), "*.c"))
	if err != nil {
		return err
	}
	args := []string{"clang", clangTarget, "-mexec-model=reactor", "-O2", "-Wall"}
	args = append(args, b.flags...)
	args = append(args, "-o", b.outArg())
	for _, file := range files {
		args = append(args, "./"+filepath.Base(file)) // a name may begin with a dash
	}
	return b.run(ctx, command{args: args}, nil)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
