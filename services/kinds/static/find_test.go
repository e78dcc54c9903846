package static

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzResolve checks that accepted paths are below the directory and not hidden.
func FuzzResolve(f *testing.F) {
	for _, path := range []string{"", "/", "/a/b", "/a/b/", "/%2e%2e/a", "/a%2fb", "/.well-known/x", "//", "/a//b", "/%00", "/a\\b", "/%"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		got, ok := resolve(rest)
		if !ok || got.name == "." {
			return
		}
		require.True(t, filepath.IsLocal(got.name))
		require.Equal(t, filepath.Clean(got.name), got.name)
		require.False(t, hidden(got.name))
		require.NotContains(t, got.name, "\\")
	})
}
