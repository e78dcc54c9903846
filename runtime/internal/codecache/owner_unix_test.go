//go:build unix

package codecache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Another user could have written machine code, and could do so again.
func TestTheCodeOfAnotherUserIsNotExecuted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only the superuser can give files away")
	}
	const other = 12345
	dir := t.TempDir()
	c, err := Open(dir, Options{})
	require.NoError(t, err)
	put(t, c, key(1), 10)
	put(t, c, key(2), 10)
	require.NoError(t, c.Close())
	var given string
	for _, name := range stored(t, dir) {
		if f, ok := parseName(name); ok && f.code == key(2).Code {
			given = filepath.Join(dir, codeDir, name)
		}
	}
	for _, path := range []string{given, dir, filepath.Join(dir, codeDir), filepath.Join(dir, workDir)} {
		require.NoError(t, os.Chown(path, other, other))
	}
	c = open(t, dir, Options{})
	require.True(t, has(t, c, key(1)))
	require.False(t, has(t, c, key(2)))
	for _, name := range directories() {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Zero(t, ownerOf(info), name)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	}
}
