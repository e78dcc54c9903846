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

	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/codemap"
)

// Bounds of mappings. Code of the least size is about that of a Rust or TinyGo guest, most of which is executed. The kernel allows a
// process 65,530 mappings, which Go's heap needs, too. Mapped code has one or two; code that was read has none, as the kernel joins
// those side by side.
const (
	leastMapped = 1 << 20 // bytes
	mostMapped  = 8192
)

// pack packs a compiled file and returns the one to be kept: the same if its code is not to be mapped.
func (e *Engine) pack(file string, sizeBytes int64) (string, error) {
	if sizeBytes < e.code.leastMapped || e.code.unmapped.Load() {
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
	case scarce.NoSpace(err): // for both files
		e.cfg.Log.Warn("the disk has no space to prepare compiled code for mapping; the service takes more memory", slog.Any("error", err))
		return file, os.RemoveAll(dir)
	case err != nil:
		return "", err
	}
	return packed, os.Remove(file)
}

// loadStaged has wazero load staged code. If possible, the machine code of a packed file is mapped.
func (e *Engine) loadStaged(s *codecache.Staged, stub []byte) (compiled wazero.CompiledModule, mapped []byte, err error) {
	var failed error
	if s.Packed() != nil && !e.code.unmapped.Load() && e.codes.mappings() < e.code.mostMapped {
		if compiled, mapped, failed = e.loadMapped(s, stub); failed == nil {
			return compiled, mapped, nil
		}
	}
	if err := s.Whole(); err != nil {
		return nil, nil, err
	}
	compiled, err = e.runtime.CompileModule(compiler.LoadOnly(), stub)
	if err != nil {
		return nil, nil, errors.Join(err, failed) // wazero says why in words alone
	}
	if failed != nil {
		e.noteUnmapped(failed)
	}
	return compiled, nil, nil
}

// loadMapped loads a packed file. Nothing of it is executed after an error. mapped is nil if wazero had the module already.
func (e *Engine) loadMapped(s *codecache.Staged, stub []byte) (_ wazero.CompiledModule, mapped []byte, err error) {
	code, err := s.Packed().Map()
	if err != nil {
		return nil, nil, err
	}
	attached := false
	defer func() {
		if !attached {
			_ = codemap.Unmap(code) // fails only for other addresses
		}
	}()
	if err := s.Shell(); err != nil {
		return nil, nil, err
	}
	compiled, err := e.runtime.CompileModule(compiler.LoadOnly(), stub)
	if err != nil {
		return nil, nil, shellError(err)
	}
	if attached, err = codemap.Attach(compiled, code); err != nil {
		return nil, nil, errors.Join(err, compiled.Close(context.Background()))
	}
	if attached {
		mapped = code
	}
	return compiled, mapped, nil
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
