package engine

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
)

// Without descriptors, compiled code cannot be loaded. It is not compiled again, then or later.
func TestCodeStaysWithoutDescriptors(t *testing.T) {
	dir := t.TempDir()
	e := mapping(t, Config{CacheDir: dir})
	useState(t, e)
	d := decoded(t, guest(t, "state"))
	release := crashtest.NoDescriptors(t)
	for range 3 {
		_, err := e.Compile(t.Context(), d, stateOptions)
		require.ErrorIs(t, err, syscall.EMFILE)
	}
	release()
	require.Len(t, cacheFiles(t, dir), 1)
	compiled := e.Stats().Compiler.Compiled
	useState(t, e)
	require.Equal(t, compiled, e.Stats().Compiler.Compiled, "compiled once")
}
