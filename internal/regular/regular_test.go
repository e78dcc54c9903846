package regular

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// tree creates a directory with files to open.
func tree(t *testing.T) (dir string, root *os.Root) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "file"), []byte("text"), 0o644))
	require.NoError(t, os.Symlink("sub", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("..", filepath.Join(dir, "out")))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	return dir, root
}

func TestFilesAreOpened(t *testing.T) {
	dir, root := tree(t)
	for _, name := range []string{"sub/file", "link/file"} {
		f, err := Open(filepath.Join(dir, name))
		require.NoError(t, err)
		text, err := io.ReadAll(f)
		require.NoError(t, err)
		require.Equal(t, "text", string(text))
		require.NoError(t, f.Close())
		f, err = OpenIn(root, filepath.FromSlash(name))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	_, err := OpenIn(root, "out/file")
	require.Error(t, err, "a link that leads out")
	_, err = Open(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	f, err := Open(dir)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestFilesAreWritten(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	for range 2 {
		f, err := OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = f.WriteString("line\n")
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	text, err := ReadFile(name, 10)
	require.NoError(t, err)
	require.Equal(t, "line\nline\n", string(text))
	_, err = ReadFile(name, 9)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = ReadFile(filepath.Dir(name), 9)
	require.ErrorIs(t, err, ErrDirectory)
}

func TestDirectoriesAreOpened(t *testing.T) {
	dir, root := tree(t)
	for _, name := range []string{"sub", "link", "."} {
		for _, open := range []func() (*os.Root, error){
			func() (*os.Root, error) { return OpenRoot(filepath.Join(dir, name)) },
			func() (*os.Root, error) { return OpenRootIn(root, name) },
		} {
			sub, err := open()
			require.NoError(t, err, name)
			_, err = sub.Stat("file")
			require.Equal(t, name != ".", err == nil)
			require.NoError(t, sub.Close())
		}
	}
	for _, name := range []string{"sub/file", "none", "out"} {
		_, err := OpenRootIn(root, filepath.FromSlash(name))
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), name+"/.")
	}
	for _, name := range []string{"sub/file", "none"} {
		_, err := OpenRoot(filepath.Join(dir, name))
		require.Error(t, err, name)
	}
}

func TestFS(t *testing.T) {
	_, root := tree(t)
	sub, err := OpenRootIn(root, "sub")
	require.NoError(t, err)
	defer sub.Close()
	require.NoError(t, fstest.TestFS(FS(sub), "file"))
	for _, name := range []string{"../sub", "/sub", ""} {
		_, err := FS(root).Open(name)
		require.ErrorIs(t, err, fs.ErrInvalid)
	}
	entries, err := fs.ReadDir(FS(root), ".")
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.Equal(t, "link out sub", strings.Join(names, " "))
}
