package server

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

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
