package server

import (
	"bytes"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestReleasedMemoryIsZero releases memory that is not zero, which shows that it is gone.
func TestReleasedMemoryIsZero(t *testing.T) {
	if unix.Getpagesize() > 8<<10 {
		t.Skip("the host pages are larger than those of Go's heap")
	}
	b := bytes.Repeat([]byte{1}, 1<<20)
	releaseZeros(b)
	require.Equal(t, make([]byte, len(b)), b)
}

func TestMemoryOfControlGroups(t *testing.T) {
	limits := map[string]string{"/a/b": "max\n", "/a": "1000\n", "/c": "5000\n", "/c/d": "2000\n", "/broken": "x"}
	read := func(group string) ([]byte, error) {
		if limit, ok := limits[group]; ok {
			return []byte(limit), nil
		}
		return nil, fs.ErrNotExist
	}
	for groups, want := range map[string]int64{
		"0::/a/b\n":             1000,
		"0::/c/d\n":             2000,
		"12:memory:/a\n0::/c\n": 5000,
		"0::/\n":                1<<63 - 1,
		"0::/broken\n":          1<<63 - 1,
		"12:memory:/a\n":        1<<63 - 1,
		"0::/../other\n":        1<<63 - 1,
		"":                      1<<63 - 1,
	} {
		require.Equal(t, want, groupBytes(groups, read), groups)
	}
	require.Positive(t, machineBytes())
}
