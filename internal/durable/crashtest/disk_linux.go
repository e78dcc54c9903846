package crashtest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/regular"
)

// SmallDisk mounts a file system of 2 MiB. It skips the test if mounting is not permitted.
func SmallDisk(t testing.TB) string {
	t.Helper()
	return mount(t, 0)
}

// NoExecution mounts a file system of 2 MiB without execution. It skips the test if mounting is not permitted, or if files can be executed
// nevertheless, as in an emulator of another processor.
func NoExecution(t testing.TB) string {
	t.Helper()
	dir := mount(t, syscall.MS_NOEXEC)
	name := filepath.Join(dir, "probe")
	require.NoError(t, os.WriteFile(name, make([]byte, 1), 0o600))
	f, err := regular.Open(name)
	require.NoError(t, err)
	defer f.Close()
	if page, err := syscall.Mmap(int(f.Fd()), 0, 1, syscall.PROT_READ|syscall.PROT_EXEC, syscall.MAP_SHARED); err == nil {
		require.NoError(t, syscall.Munmap(page))
		t.Skip("files can be executed on any file system here")
	}
	require.NoError(t, os.Remove(name))
	return dir
}

func mount(t testing.TB, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", flags, "size=2m")
	if errors.Is(err, syscall.EPERM) {
		t.Skip("file systems can be mounted by root alone")
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// FillDisk uses up the free space of a file system until the returned function is called.
func FillDisk(t testing.TB, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	require.NoError(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Close())
	return func() { require.NoError(t, os.Remove(name)) }
}
