package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

func cacheFiles(t *testing.T, dir string) (files []string) {
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "code"), func(path string, d fs.DirEntry, err error) error {
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
	m, err := e.Compile(context.Background(), decoded(t, guest(t, "start")), ModuleOptions{})
	require.NoError(t, err)
	require.NoError(t, m.Close(context.Background()))
	_, err = e.Decode(append(guest(t, "start"), 0xff))
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
	head := bytes.Index(good, []byte("WAZEVO"))
	for name, damaged := range map[string][]byte{
		"empty":            {},
		"foreign":          []byte("something else entirely"),
		"truncated":        good[:len(good)/2],
		"code":             flipped(good, 20),
		"function count":   flipped(good, head+16),
		"function address": flipped(good, head+20),
		"end":              flipped(good, len(good)-20),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.Remove(files[0])) // it may be mapped
			require.NoError(t, os.WriteFile(files[0], damaged, 0o600))
			openWithCache(t, dir)
			again, err := os.ReadFile(files[0])
			require.NoError(t, err)
			require.Equal(t, good, again)
		})
	}
}

// flipped returns a copy of content in which one bit of the byte at index i differs.
func flipped(content []byte, i int) []byte {
	damaged := slices.Clone(content)
	damaged[i] ^= 0x40
	return damaged
}

func TestCacheIsTrimmedAfterCompiling(t *testing.T) {
	for limit, kept := range map[int64]bool{1: false, 1 << 30: true} {
		dir := t.TempDir()
		e := open(t, Config{CacheDir: dir, CacheBytes: limit})
		compile(t, e, "state", stateOptions)
		require.Equal(t, kept, len(cacheFiles(t, dir)) > 0)
	}
}

// Modules removed from the catalogue are removed from disk; open modules are not affected.
func TestForgottenModulesLeaveTheDisk(t *testing.T) {
	dir := t.TempDir()
	e := open(t, Config{CacheDir: dir})
	m := compile(t, e, "state", stateOptions)
	compile(t, e, "start", ModuleOptions{})
	require.Len(t, cacheFiles(t, dir), 2)
	require.NoError(t, e.Forget(sha256.Sum256(guest(t, "state"))))
	require.Len(t, cacheFiles(t, dir), 1)
	prepare(t, m)
	require.NoError(t, e.Retain(sha256.Sum256(guest(t, "start"))))
	require.Len(t, cacheFiles(t, dir), 1)
	require.NoError(t, e.Retain())
	require.Empty(t, cacheFiles(t, dir))
}

// Loading a module does not compile it: the engine could not, with a cancelled context.
func TestLoadingDoesNotCompile(t *testing.T) {
	e := open(t, Config{CacheDir: t.TempDir()})
	rewritten, _, err := rewrite.Rewrite(guest(t, "state"), e.rewriteOptions())
	require.NoError(t, err)
	stub := rewrite.Stub(rewritten)
	_, err = e.runtime.CompileModule(compiler.LoadOnly(), stub)
	require.ErrorIs(t, err, context.Canceled)
	key, size := codecache.Key{Module: codecache.Digest{1}}, len(guest(t, "state"))
	code, err := e.compileToFile(t.Context(), key, size, rewritten, stub)
	require.NoError(t, err)
	require.NoError(t, code.compiled.Close(t.Context()))
	code, err = e.load(key, size, stub)
	require.NoError(t, err)
	require.NotNil(t, code)
	require.NoError(t, code.compiled.Close(t.Context()))
}

func TestCodeIsHeldToTheLimit(t *testing.T) {
	const module = 1000
	require.NoError(t, checkCode(rewrite.MaxCodeBytes(module), module))
	var refused *ModuleError
	require.ErrorAs(t, checkCode(rewrite.MaxCodeBytes(module)+1, module), &refused)
	require.NoError(t, checkCode(rewrite.MaxCodeBytes(module)+1, 2*module), "a larger module may become more")
}
