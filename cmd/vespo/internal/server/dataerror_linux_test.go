package server

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/registry/filestore"
)

// asUser calls f with the rights of another user to files.
func asUser(t *testing.T, uid int, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only the superuser can become another user")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, syscall.Setfsuid(uid))
	defer func() { require.NoError(t, syscall.Setfsuid(0)) }()
	f()
}

// The error of a data directory that cannot be used says what to do.
func TestDataDirectoriesThatCannotBeUsed(t *testing.T) {
	const owner, other = 12345, 12346
	for name, c := range map[string]struct {
		open func(t *testing.T) (dir string, err error)
		is   error
		want string
	}{
		"of another user": {func(t *testing.T) (dir string, err error) {
			dir = filepath.Join(t.TempDir(), "data")
			s, err := filestore.Open(dir)
			require.NoError(t, err)
			require.NoError(t, s.Close())
			_ = os.Chown(filepath.Join(dir, "lock"), owner, owner) // asUser skips the test if that is not permitted
			for _, d := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
				require.NoError(t, os.Chmod(d, 0o755))
			}
			asUser(t, other, func() { _, err = filestore.Open(dir) })
			return dir, err
		}, fs.ErrPermission, "lock belongs to user 12345, and this server runs as user 0: run it as its owner"},
		"in a directory of another user": {func(t *testing.T) (dir string, err error) {
			parent := t.TempDir()
			_ = os.Chown(parent, owner, owner)
			require.NoError(t, os.Chmod(filepath.Dir(parent), 0o755))
			dir = filepath.Join(parent, "more", "data")
			require.NoError(t, os.Chmod(parent, 0o755))
			asUser(t, other, func() { _, err = filestore.Open(dir) })
			return dir, err
		}, fs.ErrPermission, "belongs to user 12345, and this server runs as user 0: create the data directory for it"},
		"read-only": {func(t *testing.T) (dir string, err error) {
			dir = crashtest.SmallDisk(t)
			require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
			_, err = filestore.Open(dir)
			return dir, err
		}, syscall.EROFS, "mount it writable, or choose another directory with --data"},
		"full": {func(t *testing.T) (dir string, err error) {
			dir = crashtest.SmallDisk(t)
			crashtest.FillDisk(t, dir)
			err = os.WriteFile(filepath.Join(dir, "manifest.json"), []byte("{}"), 0o600)
			return dir, err
		}, syscall.ENOSPC, "make room. You can delete "},
		"link to nothing": {func(t *testing.T) (dir string, err error) {
			dir = filepath.Join(t.TempDir(), "data")
			require.NoError(t, os.Symlink("nothing", dir))
			_, err = filestore.Open(dir)
			return dir, err
		}, fs.ErrNotExist, "is a symbolic link to nothing, which does not exist"},
		"file": {func(t *testing.T) (dir string, err error) {
			dir = filepath.Join(t.TempDir(), "data")
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
			_, err = filestore.Open(dir)
			return dir, err
		}, syscall.ENOTDIR, "is no directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := c.open(t)
			require.ErrorIs(t, err, c.is)
			told := dataError(dir, err)
			require.ErrorIs(t, told, c.is)
			require.ErrorContains(t, told, c.want)
			require.Equal(t, err, dataError(t.TempDir(), err), "an error of another directory stays as it is")
		})
	}
}
