package codemap_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/codemap"
)

// module returns a module with the functions get, which returns n, and trap, which calls a function that traps.
func module(n int) []byte {
	return []byte("\x00asm\x01\x00\x00\x00" + "\x01\x05\x01\x60\x00\x01\x7f" + "\x03\x04\x03\x00\x00\x00" +
		"\x07\x0e\x02\x03get\x00\x00\x04trap\x00\x01" +
		"\x0a\x10\x03" + "\x05\x00\x41" + string([]byte{byte(n)&0x7f | 0x80, byte(n >> 7)}) + "\x0b" + "\x04\x00\x10\x02\x0b" + "\x03\x00\x00\x0b")
}

// wazeros is a runtime of wazero with its directory of compiled code.
type wazeros struct {
	wazero.Runtime
	dir string
}

func openWazero(t *testing.T) *wazeros {
	t.Helper()
	dir := t.TempDir()
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	require.NoError(t, err)
	r := wazero.NewRuntimeWithConfig(t.Context(), compiler.RuntimeConfig().WithCompilationCache(cache))
	t.Cleanup(func() {
		ctx := context.Background()
		require.NoError(t, r.Close(ctx))
		require.NoError(t, cache.Close(ctx))
	})
	made, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, made, 1)
	return &wazeros{r, made[0]}
}

// compiled returns the file of the compiled module.
func (w *wazeros) compiled(t *testing.T, module []byte) string {
	t.Helper()
	m, err := w.CompileModule(t.Context(), module)
	require.NoError(t, err)
	require.NoError(t, m.Close(t.Context()))
	files, err := filepath.Glob(filepath.Join(w.dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}

// packed returns the packed file of a module, and wazero's name.
func packed(t *testing.T, module []byte) (path, name string) {
	t.Helper()
	file := openWazero(t).compiled(t, module)
	path = filepath.Join(t.TempDir(), "packed")
	require.NoError(t, codemap.Pack(file, path))
	return path, filepath.Base(file)
}

func TestUnpackedFilesAreTheSame(t *testing.T) {
	file := openWazero(t).compiled(t, module(7))
	path := filepath.Join(t.TempDir(), "packed")
	require.NoError(t, codemap.Pack(file, path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o400), info.Mode().Perm())
	f, err := codemap.Open(path)
	require.NoError(t, err)
	again := filepath.Join(t.TempDir(), "again")
	require.NoError(t, f.Unpack(again))
	require.NoError(t, f.Close())
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	got, err := os.ReadFile(again)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.EqualValues(t, len(want), f.SizeBytes())
	require.ErrorIs(t, codemap.Pack(file, path), os.ErrExist, "it may be mapped")
}

func TestFilesOfOtherForms(t *testing.T) {
	dir := t.TempDir()
	plain := openWazero(t).compiled(t, module(7))
	_, err := codemap.Open(plain)
	require.ErrorIs(t, err, codemap.ErrForm)
	whole, err := os.ReadFile(plain)
	require.NoError(t, err)
	for name, content := range map[string]string{"empty": "", "short": "WAZEVO", "text": string(make([]byte, 5000)), "torn": string(whole[:len(whole)-1-len(whole)/2])} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := codemap.Open(path)
		require.ErrorIs(t, err, codemap.ErrForm, name)
		require.ErrorIs(t, codemap.Pack(path, filepath.Join(dir, "to")), codemap.ErrForm, name)
		require.NoFileExists(t, filepath.Join(dir, "to"))
	}
	_, err = codemap.Open(filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Any flipped bit and any length that is not the whole is found.
func TestDamageIsFound(t *testing.T) {
	path, _ := packed(t, module(7))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := codemap.Open(path)
	require.NoError(t, err)
	sum := f.Sum
	require.NoError(t, f.Close())
	damaged := filepath.Join(t.TempDir(), "damaged")
	opens := func(content []byte) bool {
		require.NoError(t, os.WriteFile(damaged, content, 0o600))
		f, err := codemap.Open(damaged)
		if err != nil {
			return false
		}
		require.NoError(t, f.Close())
		return f.Sum == sum
	}
	require.True(t, opens(content))
	for i := range content {
		content[i] ^= 1 << (i % 8)
		require.False(t, opens(content), i)
		content[i] ^= 1 << (i % 8)
	}
	for n := range len(content) / 16 {
		require.False(t, opens(content[:16*n]))
	}
	require.False(t, opens(append(content, 0)))
}

// Open returns an error for files of other forms, and never reads beyond its limits.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("\xc3"+string(make([]byte, 4095))+"WAZEVO\x01v\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"+"\x00\x00\x00\x00\x00"), uint64(1), uint64(20), uint64(5))
	f.Fuzz(func(t *testing.T, content []byte, code, head, tail uint64) {
		path := filepath.Join(t.TempDir(), "file")
		for _, n := range []uint64{code, head, tail} {
			if len(content) == 0 {
				return
			}
			content = append(content, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32), byte(n>>40), byte(n>>48), byte(n>>56))
		}
		at := len(content) - 24
		content = append(content[:at:at], append([]byte("vespocd1"), content[at:]...)...)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		opened, err := codemap.Open(path)
		if err != nil {
			return
		}
		if opened.SizeBytes() > int64(len(content)) {
			t.Errorf("a file of %d bytes has %d", len(content), opened.SizeBytes())
		}
		if err := opened.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// get calls the function get of a module.
func get(t *testing.T, r wazero.Runtime, m wazero.CompiledModule) (n int, trap string) {
	t.Helper()
	in, err := r.InstantiateModule(t.Context(), m, wazero.NewModuleConfig().WithName(""))
	require.NoError(t, err)
	defer func() { require.NoError(t, in.Close(context.Background())) }()
	results, err := in.ExportedFunction("get").Call(t.Context())
	require.NoError(t, err)
	_, err = in.ExportedFunction("trap").Call(t.Context())
	require.Error(t, err)
	return int(api.DecodeI32(results[0])), err.Error()
}
