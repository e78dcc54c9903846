// Package compiler compiles WebAssembly modules to files of machine code, each in a separate process.
//
// A [Compiler] starts its Command for each module. That process is the same program, which calls [Serve]:
// it limits its own resources, reads the module from standard input, and writes one file of wazero's
// compilation cache to a directory chosen by the parent. The parent kills it when the context ends. So a
// compilation of a hostile module can always be stopped, and does not use the server's memory.
package compiler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/vespo-dev/vespo/internal/scarce"
)

// Features are the WebAssembly features available to modules. Parent and child use the same set.
const Features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// RuntimeConfig returns the configuration of every wazero runtime that compiles or runs guests.
func RuntimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().WithCoreFeatures(Features).WithDebugInfoEnabled(false)
}

// Refusal is the reason why a module cannot be compiled, for the module's owner. Reason
// has no host internals.
type Refusal struct {
	Reason string
	Cause  error // for the log; may be nil
}

func (r *Refusal) Error() string { return r.Reason }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Config configures a Compiler. Zero values select the defaults.
type Config struct {
	// Command is the path of a program and its arguments, starting with the zeroth. The
	// program must call Serve with its standard streams. If Command is empty, modules are
	// compiled in this process, with no limits on time and memory.
	Command []string
	// MemoryBytes is the memory limit of one child; default 1 GiB.
	MemoryBytes int64
	// CPUTime is the processor time limit of one child; default 1 min. It may wait for
	// processors for another minute.
	CPUTime time.Duration
	// Log receives a warning when a child cannot be started; default: discard.
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
	turns   chan struct{} // semaphore of compilations
	workers int           // immutable; threads of one compilation
	reading time.Duration // immutable; processor time limit for reading and validating a module
	warned  atomic.Bool   // atomic; a child failed to start and the warning was logged

	counts struct{ waiting, compiled, refused, failed, nanos atomic.Int64 } // atomic; see Stats
}

// Stats is a snapshot of a Compiler's counters.
type Stats struct {
	Parallel int   // largest number of compilations at a time
	Running  int   // compilations in progress
	Waiting  int   // compilations that wait for a turn
	Compiled int64 // modules compiled since the start
	Refused  int64 // modules that cannot be compiled, or not within the limits
	Failed   int64 // compilations that were cancelled, or failed because of the host

	Time time.Duration // of all compilations together, without their wait for a turn
}

// Stats returns the current counters.
func (c *Compiler) Stats() Stats {
	return Stats{
		Parallel: cap(c.turns),
		Running:  len(c.turns),
		Waiting:  int(c.counts.waiting.Load()),
		Compiled: c.counts.compiled.Load(),
		Refused:  c.counts.refused.Load(),
		Failed:   c.counts.failed.Load(),
		Time:     time.Duration(c.counts.nanos.Load()),
	}
}

// maxParallel is the maximum number of parallel compilations. With two, a slow module
// does not block the next one.
const maxParallel = 2

// maxReading limits the time to read and validate a module. The server repeats a part of that work, for the
// module's stub, whenever it loads the code, and cannot cancel it.
const maxReading = 5 * time.Second

// New returns a Compiler. It starts no processes or goroutines.
func New(cfg Config) *Compiler {
	processors := goruntime.GOMAXPROCS(0)
	parallel := min(processors, maxParallel)
	return &Compiler{
		cfg:     cfg.withDefaults(),
		turns:   make(chan struct{}, parallel),
		workers: max(1, (processors-1)/parallel),
		reading: maxReading,
	}
}

// Compile compiles a module and returns the path of the file with its machine code. The file is
// below dir, which must be empty, owned exclusively by the caller, and removed by the caller.
// If there is a stub of the module, the file has the name with which wazero loads it for the stub, and not for the module.
// The error is a *Refusal if the module is at fault; other errors come from ctx or the host.
func (c *Compiler) Compile(ctx context.Context, dir string, module, stub []byte) (path string, err error) {
	defer func() { c.count(err) }()
	if err := c.turn(ctx); err != nil {
		return "", err
	}
	began := time.Now()
	defer func() {
		c.counts.nanos.Add(int64(time.Since(began)))
		<-c.turns
	}()
	if len(c.cfg.Command) > 0 {
		err = c.compileChild(ctx, dir, module, stub)
		if errors.Is(err, errNoChild) {
			if !c.warned.Swap(true) {
				c.cfg.Log.Warn("modules are compiled without bounds on time and memory, as no process can be started for it", slog.Any("error", err))
			}
			err = compileHere(ctx, dir, module, stub, c.workers)
		}
	} else {
		err = compileHere(ctx, dir, module, stub, c.workers)
	}
	if err != nil {
		return "", err
	}
	return onlyFile(dir)
}

// turn waits for a turn to compile.
func (c *Compiler) turn(ctx context.Context) error {
	c.counts.waiting.Add(1)
	defer c.counts.waiting.Add(-1)
	select {
	case c.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// count counts a finished compilation.
func (c *Compiler) count(err error) {
	var refused *Refusal
	switch {
	case err == nil:
		c.counts.compiled.Add(1)
	case errors.As(err, &refused):
		c.counts.refused.Add(1)
	default:
		c.counts.failed.Add(1)
	}
}

// compileHere compiles in this process.
func compileHere(ctx context.Context, dir string, module, stub []byte, workers int) error {
	return withRuntime(ctx, dir, func(r wazero.Runtime) error { return compileFor(ctx, r, dir, module, stub, workers) })
}

// compileFor compiles a module, and names the file for the stub if there is one.
func compileFor(ctx context.Context, r wazero.Runtime, dir string, module, stub []byte, workers int) error {
	if err := compile(ctx, r, module, workers); err != nil || len(stub) == 0 {
		return err
	}
	code, err := onlyFile(dir)
	if err != nil {
		return err
	}
	aside := filepath.Join(dir, "code") // not in wazero's directory
	if err := os.Rename(code, aside); err != nil {
		return fmt.Errorf("compiler: %w", err)
	}
	// wazero derives the name from the module and the processor, and has no other way to tell it.
	if err := compile(ctx, r, stub, workers); err != nil {
		if refused := (*Refusal)(nil); errors.As(err, &refused) {
			return fmt.Errorf("compiler: the stub of a valid module is not valid: %w", refused.Cause)
		}
		return err
	}
	name, err := onlyFile(dir)
	if err != nil {
		return err
	}
	if err := os.Rename(aside, name); err != nil {
		return fmt.Errorf("compiler: %w", err)
	}
	return nil
}

// withRuntime calls use with a runtime whose compiled code is written to dir.
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

// compile compiles a module. wazero checks ctx between functions, but only with several workers.
func compile(ctx context.Context, r wazero.Runtime, module []byte, workers int) error {
	_, err := r.CompileModule(experimental.WithCompilationWorkers(ctx, max(2, workers)), module)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return compileError(err)
}

// ErrNoSpace matches the error of a compilation whose result has no space on the disk. It matches ENOSPC too, which a child cannot return.
var ErrNoSpace = fmt.Errorf("compiler: the disk has no space for the machine code: %w", syscall.ENOSPC)

// compileError returns a *Refusal for an error of wazero, unless it comes from the use of files and not from the module.
func compileError(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case scarce.NoSpace(err):
		return errors.Join(ErrNoSpace, err)
	case errors.As(err, &path), errors.As(err, &link):
		return fmt.Errorf("compiler: %w", err)
	}
	return invalid(err)
}

// LoadOnly returns a context for CompileModule with which wazero reads a module, validates it
// and loads its compiled code, but does not compile: with several workers it checks the context
// just before compilation. If there is no compiled code, the error matches context.Canceled.
func LoadOnly() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return experimental.WithCompilationWorkers(ctx, 2)
}

// onlyFile returns the path of the only file in the only directory below dir. The
// directory's name contains wazero's version.
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
