package static

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEntityTags(t *testing.T) {
	s := serve(t, "/", Document{}, map[string]string{"a": "one", "b": "one"})
	stat := func(name string) os.FileInfo {
		info, err := os.Stat(filepath.Join(s.dir, name))
		require.NoError(t, err)
		return info
	}
	later := time.Now().Add(time.Minute)
	before := validatorsOf(stat("a"), later).tag
	require.Equal(t, before, validatorsOf(stat("a"), later.Add(time.Hour)).tag)
	require.NotEqual(t, before, validatorsOf(stat("b"), later).tag, "another file")
	require.True(t, strings.HasPrefix(before, `"`), "strong: %s", before)
	require.Equal(t, "W/"+before, validatorsOf(stat("a"), time.Now()).tag, "what has just been written may be written again in the same moment")

	modified := stat("a").ModTime()
	time.Sleep(20 * time.Millisecond) // longer than one step of the file clock
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "a"), []byte("two"), 0o644))
	require.NoError(t, os.Chtimes(filepath.Join(s.dir, "a"), modified, modified))
	require.Equal(t, modified, stat("a").ModTime())
	require.NotEqual(t, before, validatorsOf(stat("a"), later).tag, "the same size and time do not hide a change")
	require.Contains(t, s.get("/a").Header.Get("Etag"), `W/"`)
}
