package engine

import (
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
)

// Without descriptors, compiled code cannot be loaded. It is not compiled again, then or later.
func TestCodeStaysWithoutDescriptors(t *testing.T) {
	dir := t.TempDir()
	e := mapping(t, Config{CacheDir: dir})
	useState(t, e)
	d := decoded(t, guest(t, "state"))
	release := crashtest.NoDescriptors(t)
	for range 3 {
		_, err := e.Compile(t.Context(), d, stateOptions)
		require.ErrorIs(t, err, syscall.EMFILE)
	}
	release()
	require.Len(t, cacheFiles(t, dir), 1)
	compiled := e.Stats().Compiler.Compiled
	useState(t, e)
	require.Equal(t, compiled, e.Stats().Compiler.Compiled, "compiled once")
}

// Without address space, compiled code can neither be mapped nor read.
func TestCodeStaysWithoutAddressSpace(t *testing.T) {
	dir := t.TempDir()
	e := mapping(t, Config{CacheDir: dir})
	useState(t, e)
	d := decoded(t, guest(t, "state"))
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_AS, &before))
	none := before
	none.Cur = 1 << 20 // less than there is: no mapping can be added
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	goruntime.KeepAlive(make([]byte, 64<<20))
	goruntime.GC() // the heap has free space now, and need not grow
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_AS, &none))
	enforced := !maps()
	m, err := e.Compile(t.Context(), d, stateOptions)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_AS, &before))
	if !enforced {
		require.NoError(t, err)
		require.NoError(t, m.Close(t.Context()))
		t.Skip("the limit of the address space is not enforced here, as under QEMU")
	}
	require.ErrorIs(t, err, syscall.ENOMEM)
	require.Len(t, cacheFiles(t, dir), 1)
	useState(t, e)
	require.EqualValues(t, 1, e.Stats().Code.Misses, "compiled once")
}

// maps reports whether memory can be mapped.
func maps() bool {
	b, err := syscall.Mmap(-1, 0, 1<<20, syscall.PROT_READ, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	return err == nil && syscall.Munmap(b) == nil
}

// A disk that has room for one file of compiled code, but not for another one that can be mapped, does not prevent its use.
func TestCodeIsNotPackedWithoutSpace(t *testing.T) {
	dir := t.TempDir()
	e := open(t, Config{CacheDir: dir})
	compile(t, e, "state", stateOptions)
	content, err := os.ReadFile(cacheFiles(t, dir)[0])
	require.NoError(t, err)
	disk := crashtest.SmallDisk(t)
	file := filepath.Join(disk, "work", "code")
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, content, 0o600))
	free := crashtest.FillDisk(t, disk)
	e.code.leastMapped = 1
	got, err := e.pack(file, int64(len(content)))
	require.NoError(t, err)
	require.Equal(t, file, got)
	require.NoDirExists(t, filepath.Join(filepath.Dir(file), "packed"))
	again, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, content, again)
	free()
	got, err = e.pack(file, int64(len(content)))
	require.NoError(t, err)
	require.NotEqual(t, file, got)
}
