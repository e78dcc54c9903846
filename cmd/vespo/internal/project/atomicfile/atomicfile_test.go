package atomicfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	for _, content := range []string{"first", "second"} {
		require.NoError(t, Write(file, []byte(content)))
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
	}
	require.Error(t, Write(filepath.Join(dir, "nowhere", "a"), nil))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "b"), 0o755))
	require.Error(t, Write(filepath.Join(dir, "b"), nil), "a directory is in the way")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "temporary files are left")
}
