package codecache

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// keep keeps a snapshot of n bytes under the id n, with the code and the use of k.
func keep(t *testing.T, c *Cache, n byte, k Key, size int) {
	t.Helper()
	require.NoError(t, c.Keep(Digest{n}, k, bytes.Repeat([]byte{n}, size)))
}

// snapshotFiles returns the paths of all snapshots on disk.
func snapshotFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, snapshotDir, "*"))
	require.NoError(t, err)
	return files
}

func hasSnapshot(c *Cache, n byte) bool {
	content, ok := c.Snapshot(Digest{n})
	return ok && len(content) > 0 && content[0] == n
}

func TestSnapshotsAreFoundAgainAfterARestart(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(dir, Options{})
	require.NoError(t, err)
	keep(t, c, 1, key(1), 10)
	require.False(t, hasSnapshot(c, 1), "there is no code for it")
	put(t, c, key(1), 10)
	keep(t, c, 1, key(1), 10)
	keep(t, c, 2, key(1), 5000)
	require.True(t, hasSnapshot(c, 1))
	before := c.Stats()
	require.Equal(t, 2, before.Snapshots)
	require.Positive(t, before.SnapshotBytes)
	require.NoError(t, c.Close())
	for _, file := range snapshotFiles(t, dir) {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	c = open(t, dir, Options{})
	require.Equal(t, before.SnapshotBytes, c.Stats().SnapshotBytes)
	require.Equal(t, before.Bytes, c.Stats().Bytes)
	require.True(t, hasSnapshot(c, 1))
	require.True(t, hasSnapshot(c, 2))
	require.False(t, hasSnapshot(c, 3))
}

func TestSnapshotsLeaveWithTheirModule(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Options{})
	put(t, c, key(1), 10)
	empty := c.Stats()
	sibling := Key{Module: Digest{7}, Code: key(1).Code}
	c.Use(sibling)
	keep(t, c, 1, key(1), 10)
	keep(t, c, 2, key(1), 10)
	keep(t, c, 3, sibling, 10)
	require.NoError(t, c.DropSnapshot(Digest{2}))
	require.NoError(t, c.DropSnapshot(Digest{2}))
	require.Len(t, snapshotFiles(t, dir), 2)
	require.NoError(t, c.Forget(key(1).Module))
	require.False(t, hasSnapshot(c, 1))
	require.True(t, hasSnapshot(c, 3))
	require.NoError(t, c.Drop(key(1).Code))
	require.Empty(t, snapshotFiles(t, dir))
	require.Zero(t, c.Stats().Bytes)
	put(t, c, key(1), 10)
	require.Equal(t, empty.Bytes, c.Stats().Bytes)
}

func TestSnapshotsAreBounded(t *testing.T) {
	for name, o := range map[string]Options{"bytes": {SnapshotBytes: 3 * 8192}, "number": {Files: 3}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir, o)
			put(t, c, key(1), 10)
			for n := range byte(6) {
				keep(t, c, n+1, key(1), 8000)
				require.True(t, hasSnapshot(c, 1), "it is used all the time")
			}
			require.Equal(t, 3, c.Stats().Snapshots)
			require.Len(t, snapshotFiles(t, dir), 3)
			require.True(t, hasSnapshot(c, 6))
			require.True(t, has(t, c, key(1)), "the code stays")
			if o.SnapshotBytes > 0 {
				keep(t, c, 7, key(1), 30_000)
				require.False(t, hasSnapshot(c, 7))
				require.True(t, hasSnapshot(c, 6), "no other makes room for one that is too large")
			}
		})
	}
}

// A damaged snapshot is removed.
func TestDamagedSnapshotsAreDropped(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Options{})
	put(t, c, key(1), 10)
	damage := func(change func(content []byte) []byte) {
		t.Helper()
		require.NoError(t, c.Keep(Digest{1}, key(1), []byte("snapshot")))
		file := snapshotFiles(t, dir)[0]
		require.NoError(t, os.WriteFile(file, change([]byte("snapshot")), 0o600))
		_, ok := c.Snapshot(Digest{1})
		require.False(t, ok)
		require.Empty(t, snapshotFiles(t, dir))
		require.Zero(t, c.Stats().Snapshots)
	}
	for n := range len("snapshot") {
		damage(func(content []byte) []byte { return content[:n] })
		for bit := range 8 {
			damage(func(content []byte) []byte { content[n] ^= 1 << bit; return content })
		}
	}
	damage(func(content []byte) []byte { return append(content, 0) })
	require.NoError(t, c.Keep(Digest{1}, key(1), []byte("snapshot")))
	require.NoError(t, os.Remove(snapshotFiles(t, dir)[0]))
	_, ok := c.Snapshot(Digest{1})
	require.False(t, ok)
}

// Snapshots of the same module, of which a crash has left an older one, count once.
func TestSnapshotsLeftByACrashCountOnce(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(dir, Options{})
	require.NoError(t, err)
	put(t, c, key(1), 10)
	keep(t, c, 1, key(1), 10)
	left := kept{id: Digest{1}, code: key(1).Code, module: key(1).Module, sum: sumOfBytes([]byte("old"))}
	require.NoError(t, os.WriteFile(c.snapshotPath(&left), []byte("old"), 0o600))
	require.NoError(t, c.Close())
	c = open(t, dir, Options{})
	require.Equal(t, 1, c.Stats().Snapshots)
	require.Len(t, snapshotFiles(t, dir), 1)
	_, ok := c.Snapshot(Digest{1})
	require.True(t, ok, fmt.Sprint(snapshotFiles(t, dir)))
}
