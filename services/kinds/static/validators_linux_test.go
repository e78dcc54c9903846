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
	dir := t.TempDir()
	hourAgo := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, name := range []string{"a", "b"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("one"), 0o644))
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), hourAgo, hourAgo))
	}
	stat := func(name string) os.FileInfo {
		info, err := os.Stat(filepath.Join(dir, name))
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
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("two"), 0o644))
	require.NoError(t, os.Chtimes(filepath.Join(dir, "a"), modified, modified))
	require.Equal(t, modified, stat("a").ModTime())
	require.NotEqual(t, before, validatorsOf(stat("a"), later).tag, "the same size and time do not hide a change")
}

func TestValidatorsOfYoungFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.txt")
	require.NoError(t, os.WriteFile(name, nil, 0o644))
	info, err := os.Stat(name)
	require.NoError(t, err)
	second := time.Unix(info.ModTime().Unix(), 0)
	for after, dated := range map[time.Duration]bool{
		0:                          false,
		999 * time.Millisecond:     false,
		time.Second:                false,
		time.Second + 2*dateMargin: true,
		-time.Hour:                 false,
	} {
		require.Equal(t, dated, validatorsOf(info, second.Add(after)).dated, after)
	}
}
