package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// maxCodeFiles bounds the number of files in Config.CacheDir. Each takes a directory entry, an inode and some memory.
const maxCodeFiles = 20_000

// code is where the runtime finds compiled code. wazero looks for it in one directory, whose name has wazero's version. That
// directory is empty but for the files being loaded; the cache has them all.
type code struct {
	files    *codecache.Cache        // immutable
	compiler *compiler.Compiler      // immutable
	stage    string                  // immutable; the directory where wazero looks
	wazero   wazero.CompilationCache // immutable
}

// openCode opens the cache in cfg.CacheDir. Its files are machine code that this process will run, so nobody else may write there.
func openCode(cfg Config) (_ *code, err error) {
	c := &code{compiler: compiler.New(compiler.Config{
		Command: cfg.CompileCommand, MemoryBytes: cfg.CompileBytes, CPUTime: cfg.CompileTime, Log: cfg.Log,
	})}
	if c.files, err = codecache.Open(cfg.CacheDir, codecache.Options{Bytes: cfg.CacheBytes, Files: maxCodeFiles}); err != nil {
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
	return c, nil
}

func (c *code) close(ctx context.Context) error {
	return errors.Join(c.wazero.Close(ctx), c.files.Close())
}

// moduleDigest is the codecache's name for a module whose bytes have the SHA-256 sum.
func moduleDigest(sum [sha256.Size]byte) (d [16]byte) {
	copy(d[:], sum[:])
	return d
}

// compileModule loads the code of a module, and has it compiled before if that is needed. rewritten is what bin became.
func (e *Engine) compileModule(ctx context.Context, bin, rewritten []byte) (wazero.CompiledModule, error) {
	release, err := e.compiling.acquire(ctx, rewritten)
	if err != nil {
		return nil, err
	}
	defer release()
	if e.code == nil {
		return e.compileHere(ctx, rewritten)
	}
	key := codecache.Key{Module: moduleDigest(sha256.Sum256(bin)), Variant: moduleDigest(sha256.Sum256(rewritten))}
	if compiled, err := e.load(key, rewritten); compiled != nil || err != nil {
		return compiled, err
	}
	return e.compileToFile(ctx, key, bin, rewritten)
}

// compileHere compiles without a cache. wazero looks at ctx between two functions, but only if there are several workers.
func (e *Engine) compileHere(ctx context.Context, rewritten []byte) (wazero.CompiledModule, error) {
	compiled, err := e.runtime.CompileModule(experimental.WithCompilationWorkers(ctx, max(2, compilationWorkers())), rewritten)
	if err != nil && ctx.Err() == nil {
		return nil, &ModuleError{Violations: []string{"is not valid WebAssembly: " + firstLine(err)}, Cause: err}
	}
	return compiled, err
}

// load returns nil if the cache does not have the module. Whatever is wrong with a file, it is removed, to be made again.
func (e *Engine) load(key codecache.Key, rewritten []byte) (wazero.CompiledModule, error) {
	release, ok, err := e.code.files.Stage(key, e.code.stage)
	if !ok || err != nil {
		return nil, err
	}
	defer release()
	compiled, err := e.runtime.CompileModule(compiler.LoadOnly(), rewritten)
	if err != nil {
		return nil, e.code.files.Forget(key.Module)
	}
	return compiled, nil
}

// compileToFile compiles and loads. The file is loaded before it is kept: the cache may have no room for it.
func (e *Engine) compileToFile(ctx context.Context, key codecache.Key, bin, rewritten []byte) (_ wazero.CompiledModule, err error) {
	dir, err := e.code.files.WorkDir()
	if err != nil {
		return nil, fmt.Errorf("engine: compile: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays is removed by Close
	file, err := e.code.compiler.Compile(ctx, dir, rewritten)
	if err != nil {
		var refused *compiler.Refusal
		if errors.As(err, &refused) {
			return nil, &ModuleError{Violations: []string{refused.Reason}, Cause: err}
		}
		return nil, err
	}
	if err := checkCode(file, len(bin)); err != nil {
		return nil, err
	}
	staged := filepath.Join(e.code.stage, filepath.Base(file))
	if err := os.Rename(file, staged); err != nil {
		return nil, fmt.Errorf("engine: compile: %w", err)
	}
	compiled, err := e.runtime.CompileModule(compiler.LoadOnly(), rewritten)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("engine: load the code that was compiled: %w", err), os.Remove(staged))
	}
	if err := e.code.files.Put(key, staged); err != nil {
		return nil, errors.Join(fmt.Errorf("engine: %w", err), compiled.Close(ctx))
	}
	return compiled, nil
}

// checkCode holds the machine code of a module to the limit that its estimate was held to before it was compiled.
func checkCode(file string, moduleBytes int) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("engine: compile: %w", err)
	}
	if most := rewrite.MaxCodeBytes(moduleBytes); info.Size() > most {
		return &ModuleError{Violations: []string{fmt.Sprintf("becomes %d KiB of machine code, at most %d KiB are accepted for a module of %d KiB",
			info.Size()>>10, most>>10, moduleBytes>>10)}}
	}
	return nil
}

// Forget removes what is kept on disk for modules, which are named by the SHA-256 sums of their bytes. Open modules go on.
func (e *Engine) Forget(sums ...[sha256.Size]byte) error {
	if e.code == nil {
		return nil
	}
	var errs []error
	for _, sum := range sums {
		errs = append(errs, e.code.files.Forget(moduleDigest(sum)))
	}
	return errors.Join(errs...)
}

// Retain removes what is kept on disk for all other modules.
func (e *Engine) Retain(sums ...[sha256.Size]byte) error {
	if e.code == nil {
		return nil
	}
	kept := make(map[[16]byte]bool, len(sums))
	for _, sum := range sums {
		kept[moduleDigest(sum)] = true
	}
	return e.code.files.Retain(func(module [16]byte) bool { return kept[module] })
}
