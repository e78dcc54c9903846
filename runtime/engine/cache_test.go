package engine

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func cacheFiles(t *testing.T, dir string) (files []string) {
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	}))
	return files
}

func openWithCache(t *testing.T, dir string) {
	e, err := Open(context.Background(), Config{Slots: 1, CacheDir: dir})
	require.NoError(t, err)
	m, err := e.Compile(context.Background(), guest(t, "start"), ModuleOptions{})
	require.NoError(t, err)
	require.NoError(t, m.Close(context.Background()))
	_, err = e.Compile(context.Background(), append(guest(t, "start"), 0xff), ModuleOptions{})
	var invalid *ModuleError
	require.ErrorAs(t, err, &invalid, "a module that is not valid is told from a damaged cache")
	require.NoError(t, e.Close(context.Background()))
}

func TestDamagedCacheIsMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	openWithCache(t, dir)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	files := cacheFiles(t, dir)
	require.Len(t, files, 1)
	good, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for name, damaged := range map[string][]byte{
		"empty":     {},
		"foreign":   []byte("something else entirely"),
		"truncated": good[:len(good)/2],
		"bit":       append(append([]byte{}, good[:len(good)/2]...), append([]byte{good[len(good)/2] ^ 1}, good[len(good)/2+1:]...)...),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(files[0], damaged, 0o600))
			openWithCache(t, dir)
			again, err := os.ReadFile(files[0])
			require.NoError(t, err)
			require.Equal(t, good, again)
		})
	}
}

func TestCacheIsTrimmedAfterCompiling(t *testing.T) {
	for limit, kept := range map[int64]bool{1: false, 1 << 30: true} {
		dir := t.TempDir()
		e := open(t, Config{CacheDir: dir, CacheBytes: limit})
		compile(t, e, "state", stateOptions)
		require.Equal(t, kept, len(cacheFiles(t, dir)) > 0)
	}
}

func TestCacheIsTrimmedOldestFirst(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"c", "a", "b"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, make([]byte, 100), 0o600))
		at := time.Now().Add(time.Duration(i) * time.Hour)
		require.NoError(t, os.Chtimes(path, at, at))
	}
	require.NoError(t, trimCache(dir, 250))
	require.Equal(t, []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}, cacheFiles(t, dir))
	require.NoError(t, trimCache(dir, -1))
	require.Empty(t, cacheFiles(t, dir))
}
