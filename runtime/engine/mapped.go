package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/codemap"
)

// pack packs a compiled file and returns the one to be kept: the same if code cannot be mapped.
func (e *Engine) pack(file string) (string, error) {
	if e.code.unmapped.Load() {
		return file, nil
	}
	dir := filepath.Join(filepath.Dir(file), "packed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	packed := filepath.Join(dir, filepath.Base(file))
	switch err := codemap.Pack(file, packed); {
	case errors.Is(err, codemap.ErrForm):
		return file, nil
	case err != nil:
		return "", err
	}
	return packed, os.Remove(file)
}

// loadStaged has wazero load staged code. If possible, the machine code is mapped from its file.
func (e *Engine) loadStaged(s *codecache.Staged, stub []byte) (wazero.CompiledModule, error) {
	if s.Packed() == nil {
		return e.runtime.CompileModule(compiler.LoadOnly(), stub)
	}
	var failed error
	if !e.code.unmapped.Load() {
		var compiled wazero.CompiledModule
		if compiled, failed = e.loadMapped(s, stub); failed == nil {
			return compiled, nil
		}
	}
	if err := s.Whole(); err != nil {
		return nil, err
	}
	compiled, err := e.runtime.CompileModule(compiler.LoadOnly(), stub)
	if err == nil && failed != nil {
		e.noteUnmapped(failed)
	}
	return compiled, err
}

// loadMapped loads a packed file. Nothing of it is executed after an error.
func (e *Engine) loadMapped(s *codecache.Staged, stub []byte) (wazero.CompiledModule, error) {
	code, err := s.Packed().Map()
	if err != nil {
		return nil, err
	}
	attached := false
	defer func() {
		if !attached {
			_ = codemap.Unmap(code) // fails only for other addresses
		}
	}()
	if err := s.Shell(); err != nil {
		return nil, err
	}
	compiled, err := e.runtime.CompileModule(compiler.LoadOnly(), stub)
	if err != nil {
		return nil, shellError(err)
	}
	if attached, err = codemap.Attach(compiled, code); err != nil {
		return nil, errors.Join(err, compiled.Close(context.Background()))
	}
	return compiled, nil
}

// shellError returns the error of loading a shell. A failure of the system, such as too many open files, says nothing of its types.
func shellError(err error) error {
	var failed syscall.Errno
	if errors.As(err, &failed) {
		return err
	}
	return fmt.Errorf("%w: %w", codemap.ErrShape, err)
}

// noteUnmapped notes a failure to map code that wazero could load. If it will not pass, code is not mapped any more.
func (e *Engine) noteUnmapped(err error) {
	lasting := errors.Is(err, codemap.ErrShape) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENODEV) || errors.Is(err, errors.ErrUnsupported)
	if lasting {
		e.code.unmapped.Store(true)
	}
	e.code.noted.Do(func() {
		e.cfg.Log.Warn("compiled code cannot be mapped from its files; services take more memory", slog.Any("error", err))
	})
}
