package codecache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link that was not removed is not written to: it is the file in the cache, which may be mapped.
func TestALeftLinkIsReplaced(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Options{Bytes: 1 << 20, Files: 10})
	put(t, c, key(1), 100)
	own := filepath.Join(dir, codeDir, stored(t, dir)[0])
	stage, err := c.WorkDir()
	require.NoError(t, err)
	require.NoError(t, os.Link(own, filepath.Join(stage, "name1")))
	staged, err := c.Stage(key(1), stage)
	require.NoError(t, err)
	require.NotNil(t, staged)
	require.NoError(t, staged.Close())
	content, err := os.ReadFile(own)
	require.NoError(t, err)
	require.Len(t, content, 100)
	require.True(t, has(t, c, key(1)))
}
