// Package compiler turns WebAssembly modules into files of machine code, each in a process of its own.
//
// A [Compiler] starts its Command for each module. That process is the same program, which calls [Serve]: it limits
// itself, reads the module from standard input, and leaves one file of wazero's compilation cache in a directory that
// the parent chose. The parent ends it when the context ends. So whatever the compiler does with a hostile module, it
// can be stopped, and its memory is not the server's.
package compiler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Features are what modules may use. They are the same in the parent and in the child.
const Features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// RuntimeConfig returns the configuration of every wazero runtime that compiles or runs guests.
func RuntimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().WithCoreFeatures(Features).WithDebugInfoEnabled(false)
}

// Refusal says, in words for the module's owner, why a module cannot be compiled. It holds no host internals.
type Refusal struct {
	Reason string
	Cause  error // for the log; may be nil
}

func (r *Refusal) Error() string { return r.Reason }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Config configures a Compiler. Zero values stand for the defaults named.
type Config struct {
	// Command is the path of a program, and its arguments from the zeroth on, that calls Serve with its standard streams.
	// Empty: modules are compiled in this process, which bounds neither time nor memory.
	Command []string
	// MemoryBytes bounds the memory of one child; default 1 GiB.
	MemoryBytes int64
	// CPUTime bounds the processor time of one child; default 1 min. It may wait for processors for another minute.
	CPUTime time.Duration
	// Log is told when a child cannot be started; default: discard.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.MemoryBytes <= 0 {
		c.MemoryBytes = 1 << 30
	}
	if c.CPUTime <= 0 {
		c.CPUTime = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Compiler compiles modules. It is safe for concurrent use.
type Compiler struct {
	cfg     Config        // immutable
	turns   chan struct{} // holds one for each compilation under way
	workers int           // immutable; threads of one compilation
	reading time.Duration // immutable; bounds the processor time of reading and validating a module
	warned  atomic.Bool   // atomic; the log has been told that children cannot be started
}

// maxParallel is how many modules are compiled at a time: a second one need not wait for one that takes long.
const maxParallel = 2

// maxReading bounds what the server itself has to do with a module whenever it loads its code, and cannot break off.
const maxReading = 5 * time.Second

// New returns a Compiler. It starts nothing.
func New(cfg Config) *Compiler {
	processors := goruntime.GOMAXPROCS(0)
	parallel := min(processors, maxParallel)
	return &Compiler{cfg: cfg.withDefaults(), turns: make(chan struct{}, parallel), workers: max(1, (processors-1)/parallel),
		reading: maxReading}
}

// Compile compiles a module and returns the path of the file below dir that holds its machine code. The directory must be
// empty and the caller's alone, who removes it. A *Refusal says what is wrong with the module; other errors are ctx's or the host's.
func (c *Compiler) Compile(ctx context.Context, dir string, module []byte) (path string, err error) {
	select {
	case c.turns <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-c.turns }()
	if len(c.cfg.Command) > 0 {
		err = c.compileChild(ctx, dir, module)
		if errors.Is(err, errNoChild) {
			if !c.warned.Swap(true) {
				c.cfg.Log.Warn("modules are compiled without bounds on time and memory, as no process can be started for it", slog.Any("error", err))
			}
			err = compileHere(ctx, dir, module, c.workers)
		}
	} else {
		err = compileHere(ctx, dir, module, c.workers)
	}
	if err != nil {
		return "", err
	}
	return onlyFile(dir)
}

// compileHere compiles in this process.
func compileHere(ctx context.Context, dir string, module []byte, workers int) error {
	return withRuntime(ctx, dir, func(r wazero.Runtime) error { return compile(ctx, r, module, workers) })
}

// withRuntime lends use a runtime whose compiled code goes to dir.
func withRuntime(ctx context.Context, dir string, use func(wazero.Runtime) error) (err error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return fmt.Errorf("compiler: %w", err)
	}
	defer func() { err = errors.Join(err, cache.Close(ctx)) }()
	r := wazero.NewRuntimeWithConfig(ctx, RuntimeConfig().WithCompilationCache(cache))
	defer func() { err = errors.Join(err, r.Close(ctx)) }()
	return use(r)
}

// compile compiles. wazero looks at ctx between two functions, but only if there are several workers.
func compile(ctx context.Context, r wazero.Runtime, module []byte, workers int) error {
	_, err := r.CompileModule(experimental.WithCompilationWorkers(ctx, max(2, workers)), module)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return invalid(err)
}

// LoadOnly returns a context in which wazero reads a module, validates it and finds its compiled code, but does not compile:
// several workers look whether the context has ended before they begin, and nothing before them does. If there is no code, the
// error matches context.Canceled.
func LoadOnly() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return experimental.WithCompilationWorkers(ctx, 2)
}

// onlyFile returns the path of the one file in the one directory below dir: wazero's directory has its version in the name.
func onlyFile(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err == nil && len(found) == 1 {
		var info os.FileInfo
		if info, err = os.Lstat(found[0]); err == nil && info.Mode().IsRegular() {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("compiler: found %d files of machine code and not 1: %w", len(found), errors.Join(err, errNoFile))
}

var errNoFile = errors.New("no file of machine code")
