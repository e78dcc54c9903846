package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/peer"
	"github.com/vespo-dev/vespo/bench/internal/report"
	"github.com/vespo-dev/vespo/bench/internal/work"
)

const modulePath = "github.com/vespo-dev/vespo"

// pipeDelay limits the wait for the output of a tool that was killed: its children may have it open.
const pipeDelay = 5 * time.Second

// bench is one run. It writes to one temporary directory, except built guests and stock
// wazero's compiled code, which are kept for the next run.
type bench struct {
	*config
	out   io.Writer
	root  string // root of the repository
	self  string // this program
	dir   string // temporary
	keep  string // directory of kept files
	vespo string // executable of the server
	goals []report.Goal
	pin   string // processors of the servers, as taskset(1) takes them; empty: all

	modules map[string]string // built guests: service -> file
}

func open(ctx context.Context, c *config, out io.Writer) (*bench, error) {
	b := &bench{config: c, out: out, modules: map[string]string{}}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
	if err != nil {
		return nil, fmt.Errorf("find the repository: %w", err)
	}
	b.root = string(bytes.TrimSpace(root))
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	b.keep = filepath.Join(cache, "vespo-bench")
	if err := os.MkdirAll(b.keep, 0o755); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "vespo-bench-"); err != nil {
		return nil, err
	}
	b.vespo = filepath.Join(b.dir, "vespo")
	if err := b.build(ctx, b.vespo, nil, modulePath+"/cmd/vespo"); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

// build runs go build in the root of the repository.
func (b *bench) build(ctx context.Context, out string, env []string, args ...string) error {
	return b.buildIn(ctx, b.root, out, env, args...)
}

// buildIn runs go build in a directory.
func (b *bench) buildIn(ctx context.Context, dir, out string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-o", out}, args...)...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(os.Environ(), env...), pipeDelay
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, text)
	}
	return nil
}

// goGuests maps services to the packages of their guests.
var goGuests = map[string]string{
	peer.SDKHello:  modulePath + "/guest-sdk/examples/hello",
	peer.GoNetHTTP: modulePath + "/testdata/guests/src/gonethttp",
}

// guestPackage returns the package of a guest in Go, and the directory to build it in; empty if it is written by hand.
func (b *bench) guestPackage(service string) (pkg, dir string) {
	if pkg := goGuests[service]; pkg != "" {
		return pkg, b.root
	}
	if _, ok := work.Handler(service); ok {
		return modulePath + "/bench/guests/" + service, filepath.Join(b.root, "bench")
	}
	return "", ""
}

// module returns the file with the guest of a service. Go guests are built with the installed Go toolchain.
func (b *bench) module(ctx context.Context, service string) (string, error) {
	if file := b.modules[service]; file != "" {
		return file, nil
	}
	file := filepath.Join(b.root, "testdata", "guests", "wat", service+".wasm")
	if pkg, dir := b.guestPackage(service); pkg != "" {
		file = filepath.Join(b.keep, service+".wasm")
		env := []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS="}
		if err := b.buildIn(ctx, dir, file, env, "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", pkg); err != nil {
			return "", err
		}
	}
	b.modules[service] = file
	return file, nil
}

// goBench runs Go benchmarks and parses their output.
func (b *bench) goBench(ctx context.Context, pkg, pattern string, args ...string) (map[string]report.Metrics, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-run", "^$", "-bench", pattern, pkg}, args...)...)
	cmd.Dir, cmd.WaitDelay = b.root, pipeDelay
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%v: %w\n%s%s", cmd, err, failed.Bytes(), out.Bytes())
	}
	return report.ReadGoBench(&out)
}
