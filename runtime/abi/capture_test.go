package abi_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httpwasm"
	"github.com/vespo-dev/vespo/runtime/abi/wasihttp"
	"github.com/vespo-dev/vespo/runtime/abi/wasihttp3"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// initialised is an ABI for the guest of abitest, whose allocator is where components have theirs.
type initialised struct{ abi.ABI }

func (initialised) Functions(*engine.Info) (init, entries []string) {
	return []string{"_initialize"}, []string{"handle_request", "handle_request", canonical.Allocator}
}

// files is a file system that counts its open files.
type files struct {
	fstest.MapFS
	open *int
}

func (f files) Open(name string) (fs.File, error) {
	file, err := f.MapFS.Open(name)
	*f.open++
	return counted{file, f.open}, err
}

type counted struct {
	fs.File
	open *int
}

func (c counted) Close() error { *c.open--; return c.File.Close() }

func (counted) ReadAt([]byte, int64) (int, error) { return 0, fs.ErrInvalid }

// An instance keeps no files and no pins of its initialisation: it may be idle for long, and its first request has the
// mounts of its own time.
func TestInitialisationKeepsNoFiles(t *testing.T) {
	const (
		path, result, allocated = 1024, 2048, 8192
		firstMount              = 3 // its descriptor in preview 1
	)
	type calls func(name string, params ...uint64) uint64
	preview1 := func(_ *engine.Instance, call calls) {
		require.Zero(t, call("path_open", firstMount, 0, path, 5, 0, 0, 0, 0, result))
	}
	component := func(version string) func(in *engine.Instance, call calls) {
		return func(in *engine.Instance, call calls) {
			call("wasi:filesystem/preopens@"+version+"#get-directories", result)
			dir := uint64(canonical.Uint32(in.View(allocated, 4), 0))
			call("wasi:filesystem/types@"+version+"#[method]descriptor.open-at", dir, 0, path, 5, 0, 1, result)
			require.Zero(t, in.View(result, 1)[0])
			call("wasi:filesystem/types@"+version+"#[method]descriptor.read-via-stream", uint64(canonical.Uint32(in.View(result, 8), 4)), 0, result)
		}
	}
	for name, c := range map[string]struct {
		abi  abi.ABI
		open func(in *engine.Instance, call calls)
	}{
		"http-wasm":             {httpwasm.New(httpwasm.Config{}), preview1},
		"WASI 0.2":              {wasihttp.ABI{}, component("0.2")},
		"WASI 0.2 of preview 1": {wasihttp.ABI{}, preview1},
		"WASI 0.3":              {wasihttp3.ABI{}, component("0.3")},
		"WASI 0.3 of preview 1": {wasihttp3.ABI{}, preview1},
	} {
		t.Run(name, func(t *testing.T) {
			pinned, open, reached := 0, 0, false
			b, err := abitest.Open(c.abi.HostModules()...)
			require.NoError(t, err)
			defer func() { require.NoError(t, b.Close()) }()
			b.Act = func(in *engine.Instance, at abitest.Entry, _, _ uint32) int64 {
				if at == abitest.Allocate {
					return allocated
				}
				copy(in.View(path, 5), "a.txt")
				c.open(in, func(name string, params ...uint64) uint64 { return b.Call(in, name, params...) })
				require.Equal(t, []int{1, 1}, []int{pinned, open})
				reached = true
				return 0
			}
			mount := abi.Mount{Pin: func() (fs.FS, func()) {
				pinned++
				return files{fstest.MapFS{"a.txt": {}}, &open}, func() { pinned-- }
			}}
			_, err = b.Puppet(initialised{c.abi}, &abi.Environment{Log: func(abi.Level, []byte) {}, Mounts: []abi.Mount{mount}})
			require.NoError(t, err)
			require.True(t, reached)
			require.Equal(t, []int{0, 0}, []int{pinned, open})
		})
	}
}
