//go:build unix

package server

import (
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// file is a file with the given owner and mode.
type file struct {
	fs.FileInfo
	owner uint32
	mode  fs.FileMode
}

func (f file) Mode() fs.FileMode { return f.mode }

func (f file) Sys() any { return &syscall.Stat_t{Uid: f.owner} }

// A file that was found is read only if no other user can have written it.
func TestTrusted(t *testing.T) {
	me := uint32(os.Geteuid())
	require.NoError(t, trusted(file{owner: me, mode: 0o644}))
	require.NoError(t, trusted(file{owner: me, mode: 0o664}), "the group is often the user's own")
	require.NoError(t, trusted(file{owner: 0, mode: 0o600}))
	require.NoError(t, trusted(file{owner: me, mode: fs.ModeSymlink | 0o777}))
	require.ErrorContains(t, trusted(file{owner: me + 1, mode: 0o644}), "belongs to another user")
	require.ErrorContains(t, trusted(file{owner: me + 1, mode: fs.ModeSymlink | 0o777}), "belongs to another user")
	require.ErrorContains(t, trusted(file{owner: me, mode: 0o646}), "every user can write to it")
}

// The open file is checked, each time that it is read.
func TestFoundFileIsCheckedAgain(t *testing.T) {
	t.Chdir(t.TempDir())
	none, err := find()
	require.NoError(t, err)
	require.Empty(t, none.Path)
	require.NoError(t, os.WriteFile(foundName, []byte("[server]\n"), 0o644))
	src, err := find()
	require.NoError(t, err)
	_, err = src.ReadSettings()
	require.NoError(t, err)
	require.NoError(t, os.Chmod(foundName, 0o666))
	_, err = src.ReadSettings()
	require.ErrorContains(t, err, "every user can write to it")
	_, err = find()
	require.ErrorContains(t, err, "vespo.toml: is in the current directory, but every user can write to it")
	_, err = named(foundName).ReadSettings()
	require.NoError(t, err, "a user who names the file trusts it")
}
