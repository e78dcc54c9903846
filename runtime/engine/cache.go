package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/codemap"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// maxCodeFiles is the maximum number of files in Config.CacheDir. Each takes a directory
// entry, an inode and some memory.
const maxCodeFiles = 20_000

// code manages compiled code. wazero looks for it in one directory, whose name contains wazero's
// version. That directory contains only the files being loaded; the cache has all of them.
type code struct {
	files    *codecache.Cache        // immutable
	compiler *compiler.Compiler      // immutable
	stage    string                  // immutable; wazero's directory
	wazero   wazero.CompilationCache // immutable

	leastMapped int64       // immutable; see the constant
	mostMapped  int         // immutable; see the constant
	unmapped    atomic.Bool // atomic; machine code cannot be mapped from its files
	noted       sync.Once   // for the first failure to map
	unmeasured  sync.Once   // for the first failure to measure mapped code

	resident func(mappings [][]byte) (residentBytes []int64, err error) // immutable; codemap.Resident
}

// openCode opens the cache in cfg.CacheDir. Its files are machine code that this process
// will run, so no other user may write there.
func openCode(cfg Config) (_ *code, err error) {
	c := &code{
		leastMapped: leastMapped,
		mostMapped:  mostMapped,
		resident:    codemap.Resident,
		compiler: compiler.New(compiler.Config{
			Command:     cfg.CompileCommand,
			MemoryBytes: cfg.CompileBytes,
			CPUTime:     cfg.CompileTime,
			Log:         cfg.Log,
		}),
	}
	if c.files, err = codecache.Open(cfg.CacheDir, codecache.Options{Bytes: cfg.CacheBytes, SnapshotBytes: cfg.CacheBytes / 4, Files: maxCodeFiles}); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	dir, err := c.files.WorkDir()
	if err == nil {
		c.wazero, err = wazero.NewCompilationCacheWithDir(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("engine: compiled code cannot be kept: %w", err), c.files.Close())
	}
	made, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(made) != 1 {
		return nil, errors.Join(fmt.Errorf("engine: wazero made %d directories for compiled code and not 1", len(made)), err, c.files.Close())
	}
	c.stage = made[0]
	c.unmapped.Store(!codemap.Supported())
	return c, nil
}

func (c *code) close(ctx context.Context) error {
	return errors.Join(c.wazero.Close(ctx), c.files.Close())
}

// source identifies the module that a rewritten one was made from.
type source struct {
	sum  [sha256.Size]byte
	size int // bytes
}

// compileModule loads the code of a module, and compiles it first if necessary. No other goroutine may compile the same
// code.
func (e *Engine) compileModule(ctx context.Context, from source, rewritten []byte) (*sharedCode, error) {
	if e.code == nil {
		return e.compileHere(ctx, rewritten)
	}
	key, stub := codecache.Key{Module: from.sum, Code: digestOf(rewritten)}, rewrite.Stub(rewritten)
	if code, err := e.load(key, from.size, stub); code != nil || err != nil {
		return code, err
	}
	return e.compileToFile(ctx, key, from.size, rewritten, stub)
}

// reload loads the code of a module from the cache if it was open before, or returns nil. No other goroutine may compile
// the same code.
func (e *Engine) reload(d *Decoded) (*sharedCode, error) {
	known := e.known(d.code, d.size)
	if known == nil || e.code == nil || !e.code.files.Has(known.file) {
		return nil, nil
	}
	code, err := e.load(codecache.Key{Module: d.sum, Code: known.file}, d.size, known.stub)
	if code == nil || err != nil {
		return nil, err
	}
	code.knownCode = *known
	e.codes.add(code)
	return code, nil
}

// digestOf returns the digest of a rewritten module that its code is found by.
func digestOf(rewritten []byte) codecache.Digest { return sha256.Sum256(rewritten) }

// compileHere compiles without a cache. wazero checks ctx between functions, but only with several workers.
func (e *Engine) compileHere(ctx context.Context, rewritten []byte) (*sharedCode, error) {
	compiled, err := e.runtime.CompileModule(experimental.WithCompilationWorkers(ctx, max(2, compilationWorkers())), rewritten)
	if err != nil && ctx.Err() == nil {
		err = &ModuleError{Violations: []string{"is not valid WebAssembly: " + firstLine(err)}, Cause: err}
	}
	if err != nil {
		return nil, err
	}
	return &sharedCode{compiled: compiled, sizeBytes: codeFactor * int64(len(rewritten))}, nil
}

// codeFactor is the usual size of machine code divided by that of the module.
const codeFactor = 4

// load returns nil if the cache does not have the code. A file that cannot be loaded is
// removed, to be compiled again, unless the machine is short of a resource: compiling takes more of it. wazero's API requires a module to load code with, and looks only at what the stub has
// in common with the rewritten module.
func (e *Engine) load(key codecache.Key, moduleBytes int, stub []byte) (*sharedCode, error) {
	staged, err := e.code.files.Stage(key, e.code.stage)
	if scarce.Own(err) {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if err != nil {
		e.unusable(err)
	}
	if staged == nil || err != nil {
		return nil, nil
	}
	defer func() { _ = staged.Close() }() // Close of the cache removes the rest
	if err := checkCode(staged.SizeBytes, moduleBytes); err != nil {
		return nil, err
	}
	compiled, mapped, err := e.loadStaged(staged, stub)
	if scarce.Own(err) {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if err != nil {
		e.unusable(errors.Join(err, e.code.files.Drop(key.Code)))
		return nil, nil
	}
	return loadedCode(compiled, mapped, key, stub, staged.SizeBytes), nil
}

func (e *Engine) unusable(reason error) {
	e.cfg.Log.Warn("compiled code on disk cannot be used, and is made anew", slog.Any("error", reason))
}

func loadedCode(compiled wazero.CompiledModule, mapped []byte, key codecache.Key, stub []byte, fileBytes int64) *sharedCode {
	known := knownCode{file: key.Code, stub: stub, leastBytes: rewrite.LeastBytesForCode(fileBytes)}
	return &sharedCode{compiled: compiled, mapped: mapped, sizeBytes: fileBytes, knownCode: known}
}

// errRemoved matches the error of a compilation whose directory was removed from outside.
var errRemoved = errors.New("engine: the directory of the compilation was removed")

// maxRemovals bounds how often a compilation begins again because its directory was removed.
const maxRemovals = 4

// compileToFile compiles and loads a module. If the disk is full, it removes half of the code
// on it, which can be compiled again, and tries once more. If its directory was removed, it tries maxRemovals times more.
func (e *Engine) compileToFile(ctx context.Context, key codecache.Key, size int, rewritten, stub []byte) (*sharedCode, error) {
	compiled, err := e.compileOnce(ctx, key, size, rewritten, stub)
	for n := 0; n < maxRemovals && errors.Is(err, errRemoved); n++ {
		compiled, err = e.compileOnce(ctx, key, size, rewritten, stub)
	}
	if scarce.NoSpace(err) && e.code.files.Stats().Files > 0 {
		e.cfg.Log.Warn("the disk has no space for compiled code; the least recently used half is removed", slog.Any("error", err))
		if err := e.code.files.Halve(); err != nil {
			return nil, fmt.Errorf("engine: %w", err)
		}
		compiled, err = e.compileOnce(ctx, key, size, rewritten, stub)
	}
	return compiled, err
}

// compileOnce compiles and loads a module in a directory of its own.
func (e *Engine) compileOnce(ctx context.Context, key codecache.Key, size int, rewritten, stub []byte) (*sharedCode, error) {
	dir, err := e.code.files.WorkDir()
	if err == nil {
		err = e.code.files.Mend(e.code.stage)
	}
	if err != nil {
		return nil, fmt.Errorf("engine: compile: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // Close removes remaining files
	code, err := e.compileIn(ctx, dir, key, size, rewritten, stub)
	var invalid *ModuleError
	if err != nil && !errors.As(err, &invalid) && ctx.Err() == nil && (errors.Is(err, fs.ErrNotExist) || e.removed(dir)) {
		return nil, fmt.Errorf("%w: %w", errRemoved, err)
	}
	return code, err
}

// removed reports whether the directory of a failed compilation is missing or empty, or that from which wazero loads is missing.
func (e *Engine) removed(dir string) bool {
	if _, err := os.Lstat(e.code.stage); errors.Is(err, fs.ErrNotExist) {
		return true
	}
	made, err := os.ReadDir(dir) // the child has made a directory there first
	return errors.Is(err, fs.ErrNotExist) || err == nil && len(made) == 0
}

// compileIn loads the compiled file before Put, because the cache may have no room for it. If the cache cannot keep the file, the
// next load compiles the module again.
func (e *Engine) compileIn(ctx context.Context, dir string, key codecache.Key, size int, rewritten, stub []byte) (*sharedCode, error) {
	file, err := e.code.compiler.Compile(ctx, dir, rewritten, stub)
	if err != nil {
		var refused *compiler.Refusal
		if errors.As(err, &refused) {
			return nil, &ModuleError{Violations: []string{"is refused: " + refused.Reason}, Cause: err}
		}
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("engine: compile: %w", err)
	}
	if err := checkCode(info.Size(), size); err != nil {
		return nil, err
	}
	if file, err = e.pack(file, info.Size()); err != nil {
		return nil, fmt.Errorf("engine: compile: %w", err)
	}
	staged, err := codecache.Take(file, e.code.stage)
	if err != nil {
		return nil, fmt.Errorf("engine: compile: %w", err)
	}
	defer func() { _ = staged.Close() }() // Close of the cache removes the rest
	compiled, mapped, err := e.loadStaged(staged, stub)
	if err != nil {
		return nil, fmt.Errorf("engine: load the code that was compiled: %w", err)
	}
	if err := e.code.files.Put(key, file); err != nil {
		e.cfg.Log.Warn("compiled code cannot be kept on disk; the next cold start takes longer", slog.Any("error", err))
	}
	return loadedCode(compiled, mapped, key, stub, info.Size()), nil
}

// checkCode applies the limit on a module's machine code, which its estimate had to meet
// before, to the compiled file.
func checkCode(codeBytes int64, moduleBytes int) error {
	if most := rewrite.MaxCodeBytes(moduleBytes); codeBytes > most {
		return &ModuleError{Violations: []string{fmt.Sprintf("becomes %d KiB of machine code, at most %d KiB are accepted for a module of %d KiB",
			codeBytes>>10, most>>10, moduleBytes>>10)}}
	}
	return nil
}

// Forget removes the compiled code of modules from disk, except code that others use. Modules are named by the SHA-256
// sums of their bytes. Open modules are not affected.
func (e *Engine) Forget(sums ...[sha256.Size]byte) error {
	if e.code == nil {
		return nil
	}
	var errs []error
	for _, sum := range sums {
		errs = append(errs, e.code.files.Forget(sum))
	}
	return errors.Join(errs...)
}

// Retain removes the compiled code of all other modules from disk.
func (e *Engine) Retain(sums ...[sha256.Size]byte) error {
	if e.code == nil {
		return nil
	}
	kept := make(map[codecache.Digest]bool, len(sums))
	for _, sum := range sums {
		kept[sum] = true
	}
	return e.code.files.Retain(func(module codecache.Digest) bool { return kept[module] })
}
