package codemap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/codemap"
)

// load loads a module from the shell of its packed file, and attaches the mapped code.
func load(w *wazeros, path, name string, module []byte) (wazero.CompiledModule, error) {
	f, err := codemap.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	code, err := f.Map()
	if err != nil {
		return nil, err
	}
	shell := filepath.Join(w.dir, name)
	if err := f.Shell(shell); err != nil {
		return nil, err
	}
	defer os.Remove(shell)
	m, err := w.CompileModule(compiler.LoadOnly(), module)
	if err != nil {
		return nil, err
	}
	attached, err := codemap.Attach(m, code)
	if !attached {
		err = errors.Join(err, codemap.Unmap(code))
	}
	return m, err
}

// mappings returns the lines of the mappings of a file.
func mappings(t *testing.T, path string) (lines []string) {
	t.Helper()
	all, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	for line := range bytes.Lines(all) {
		if bytes.Contains(line, []byte(path)) {
			lines = append(lines, string(line))
		}
	}
	return lines
}

// If this fails after an update of wazero, read its internal/engine/wazevo/engine_cache.go and engine.go again: Attach does
// what they do with the code of a file. Without it, all code is loaded into anonymous memory.
func TestWazeroHasTheExpectedTypes(t *testing.T) {
	path, name := packed(t, module(7))
	_, err := load(openWazero(t), path, name, module(7))
	require.NoError(t, err)
}

func TestMappedCodeIsExecuted(t *testing.T) {
	whole := openWazero(t)
	m, err := whole.CompileModule(t.Context(), module(1000))
	require.NoError(t, err)
	n, trap := get(t, whole, m)
	require.Equal(t, 1000, n)
	w := openWazero(t)
	path, name := packed(t, module(1000))
	m, err = load(w, path, name, module(1000))
	require.NoError(t, err)
	require.NoError(t, os.Remove(path), "the mapping stays")
	n, same := get(t, w, m)
	require.Equal(t, 1000, n)
	require.Equal(t, trap, same, "with its stack")
	require.Len(t, mappings(t, path), 1)
	require.Contains(t, mappings(t, path)[0], " r-xs ")
	again, err := w.CompileModule(compiler.LoadOnly(), module(1000))
	require.NoError(t, err, "loaded once")
	_, _ = get(t, w, again)
}

// A module that is loaded twice keeps its first mapping.
func TestAttachedOnce(t *testing.T) {
	w := openWazero(t)
	path, name := packed(t, module(3))
	first, err := load(w, path, name, module(3))
	require.NoError(t, err)
	second, err := load(w, path, name, module(3))
	require.NoError(t, err)
	require.Len(t, mappings(t, path), 1)
	require.NoError(t, first.Close(t.Context()))
	n, _ := get(t, w, second)
	require.Equal(t, 3, n)
}

// Modules are loaded, trap, which looks for them by addresses, and are closed, all at once. No mapping is left.
func TestMappingsGo(t *testing.T) {
	const modules, cycles = 8, 60
	w := openWazero(t)
	dir := t.TempDir()
	var all sync.WaitGroup
	for k := range modules {
		from, name := packed(t, module(k))
		path := filepath.Join(dir, fmt.Sprint(k))
		require.NoError(t, os.Rename(from, path))
		all.Go(func() {
			for range cycles {
				m, err := load(w, path, name, module(k))
				if err != nil {
					t.Error(err)
					return
				}
				if n, _ := get(t, w, m); n != k {
					t.Errorf("get returns %d", n)
				}
				if err := m.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	last, name := packed(t, module(100))
	_, err := load(w, last, name, module(100)) // wazero holds the last ones that were closed until then
	require.NoError(t, err)
	for n := 1; n > 0; n = len(mappings(t, dir)) { // the test ends by its timeout if they stay
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

func TestOtherTypesAreRefused(t *testing.T) {
	for name, m := range map[string]wazero.CompiledModule{
		"nil":    nil,
		"struct": struct{ wazero.CompiledModule }{},
		"field": &struct {
			wazero.CompiledModule
			module *int
		}{module: new(int)},
		"types": &struct {
			wazero.CompiledModule
			module         *struct{ ID [32]byte }
			compiledEngine any
		}{
			module:         &struct{ ID [32]byte }{},
			compiledEngine: &struct{ mux sync.Mutex }{},
		},
	} {
		attached, err := codemap.Attach(m, make([]byte, 1))
		require.ErrorIs(t, err, codemap.ErrShape, name)
		require.False(t, attached)
	}
}

func TestCodeIsNotMappedWithoutExecution(t *testing.T) {
	dir := crashtest.NoExecution(t)
	file := openWazero(t).compiled(t, module(7))
	path := filepath.Join(dir, "packed")
	require.NoError(t, codemap.Pack(file, path))
	f, err := codemap.Open(path)
	require.NoError(t, err)
	_, err = f.Map()
	require.ErrorIs(t, err, os.ErrPermission)
	require.NoError(t, f.Close())
}

func TestFullDiskLeavesNothing(t *testing.T) {
	dir := crashtest.SmallDisk(t)
	file := openWazero(t).compiled(t, module(7))
	free := crashtest.FillDisk(t, dir)
	path := filepath.Join(dir, "packed")
	require.ErrorIs(t, codemap.Pack(file, path), syscall.ENOSPC)
	require.NoFileExists(t, path)
	free()
	require.NoError(t, codemap.Pack(file, path))
}
