package codecache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Directories that were removed from outside are made anew, with access for their owner only, and nothing that was in them is found.
func TestRemovedDirectoriesAreMadeAnew(t *testing.T) {
	for _, removed := range directories() {
		t.Run(removed, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			c, err := Open(dir, Options{SnapshotBytes: 1 << 20})
			require.NoError(t, err)
			k := key(1)
			fill := func() {
				put(t, c, k, 10)
				require.NoError(t, c.Describe(Digest{2}, k.Code, []byte("text")))
				require.NoError(t, c.Keep(Digest{3}, k, []byte("memory")))
			}
			fill()
			require.NoError(t, os.RemoveAll(filepath.Join(dir, removed)))
			has(t, c, k)
			fill()
			require.True(t, has(t, c, k))
			text, _, ok := c.Description(Digest{2})
			require.True(t, ok)
			require.Equal(t, "text", string(text))
			content, ok := c.Snapshot(Digest{3})
			require.True(t, ok)
			require.Equal(t, "memory", string(content))
			for _, name := range directories() {
				info, err := os.Stat(filepath.Join(dir, name))
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
			}
			work := c.work
			require.False(t, abandoned(work+lockSuffix), "another process must not remove the work directory")
			open(t, dir, Options{}).swept.Wait()
			require.DirExists(t, work)
			require.NoError(t, c.Close())
			require.NoDirExists(t, work)
			require.NoFileExists(t, work+lockSuffix)
		})
	}
}

// A removed directory of wazero is no sign that the file of code is missing.
func TestARemovedStageLosesNoCode(t *testing.T) {
	c := open(t, t.TempDir(), Options{})
	put(t, c, key(1), 10)
	dir, err := c.WorkDir()
	require.NoError(t, err)
	stage := filepath.Join(dir, "stage")
	staged, err := c.Stage(key(1), stage)
	require.NoError(t, err)
	require.NotNil(t, staged)
	require.NoError(t, staged.Close())
	require.Zero(t, totals(c).Misses)
}

// The directory that contains the cache can be that of a disk which is not mounted any more.
func TestTheParentOfTheCacheIsNotMadeAnew(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "data")
	c := open(t, filepath.Join(parent, "cache"), Options{})
	require.NoError(t, os.RemoveAll(parent))
	_, err := c.WorkDir()
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoDirExists(t, parent)
}
