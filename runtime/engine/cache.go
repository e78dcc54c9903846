package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
)

// The directory of compiled code is a cache and nothing more: every file in it can be made again. Its files are machine code
// that this process will run, so nobody else may write there.

// openCache prepares the directory and trims it to limitBytes.
func openCache(dir string, limitBytes int64) (wazero.CompilationCache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("engine: compiled code cannot be kept: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("engine: compiled code cannot be kept safely: %w", err)
	}
	if err := trimCache(dir, limitBytes); err != nil {
		return nil, fmt.Errorf("engine: trim the compiled code: %w", err)
	}
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, fmt.Errorf("engine: compiled code cannot be kept in %s: %w", dir, err)
	}
	return cache, nil
}

type cacheFile struct {
	path      string
	sizeBytes int64
	modified  time.Time
}

// trimCache removes the oldest files until the rest has limitBytes at most; all files if limitBytes is negative.
func trimCache(dir string, limitBytes int64) error {
	var files []cacheFile
	var total int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file of another process
		}
		if err == nil {
			files = append(files, cacheFile{path, info.Size(), info.ModTime()})
			total += info.Size()
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b cacheFile) int { return cmp.Or(a.modified.Compare(b.modified), cmp.Compare(a.path, b.path)) })
	for _, f := range files {
		if total <= limitBytes {
			return nil
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= f.sizeBytes
	}
	return nil
}

// compileModule compiles, by the cache if there is one. wazero does not tell a module that is not valid from a file of the cache
// that is damaged: so an error is looked at without the cache, and if it is the cache's, the cache is emptied.
func (e *Engine) compileModule(ctx context.Context, rewritten []byte) (wazero.CompiledModule, error) {
	release, err := e.compiling.acquire(ctx, rewritten)
	if err != nil {
		return nil, err
	}
	defer release()
	compiled, err := e.runtime.CompileModule(ctx, rewritten)
	if e.cfg.CacheDir == "" {
		return compiled, err
	}
	if err == nil {
		if err := trimCache(e.cfg.CacheDir, e.cfg.CacheBytes); err != nil {
			return nil, errors.Join(fmt.Errorf("engine: trim the compiled code: %w", err), compiled.Close(ctx))
		}
		return compiled, nil
	}
	if ctx.Err() != nil {
		return nil, err
	}
	plain := wazero.NewRuntimeWithConfig(ctx, runtimeConfig())
	defer plain.Close(ctx)
	if _, plainErr := plain.CompileModule(ctx, rewritten); plainErr != nil {
		return nil, plainErr
	}
	if trimErr := trimCache(e.cfg.CacheDir, -1); trimErr != nil {
		return nil, fmt.Errorf("engine: the compiled code is damaged and cannot be removed: %w", errors.Join(err, trimErr))
	}
	return e.runtime.CompileModule(ctx, rewritten)
}

func runtimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().WithCoreFeatures(features).WithDebugInfoEnabled(false)
}
