//go:build unix

package codecache

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
)

// What cannot be read for lack of descriptors stays, for the time after.
func TestNothingIsDroppedWithoutDescriptors(t *testing.T) {
	c := open(t, t.TempDir(), Options{Bytes: 1 << 20, SnapshotBytes: 1 << 20, Files: 10})
	k, id := key(1), Digest{7}
	put(t, c, k, 100)
	require.NoError(t, c.Describe(id, k.Code, []byte("text")))
	require.NoError(t, c.Keep(id, k, []byte("memory")))
	stage, err := c.WorkDir()
	require.NoError(t, err)
	release := crashtest.NoDescriptors(t)
	for range 2 {
		_, err = c.Stage(k, stage)
		require.ErrorIs(t, err, syscall.EMFILE)
		_, _, ok := c.Description(id)
		require.False(t, ok)
		_, ok = c.Snapshot(id)
		require.False(t, ok)
	}
	release()
	require.True(t, has(t, c, k))
	_, _, ok := c.Description(id)
	require.True(t, ok)
	_, ok = c.Snapshot(id)
	require.True(t, ok)
}
