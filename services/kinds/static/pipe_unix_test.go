//go:build unix

package static

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
)

// TestPipesAndDevicesAreNoFiles requests pipes, which would block on open.
func TestPipesAndDevicesAreNoFiles(t *testing.T) {
	s := serve(t, "/", Document{}, nil)
	require.NoError(t, syscall.Mkfifo(filepath.Join(s.dir, "pipe"), 0o644))
	require.NoError(t, syscall.Mkfifo(filepath.Join(s.dir, "index.html"), 0o644))
	s.get("/pipe").requireProblem(t, problem.NotFound)
	s.get("/").requireProblem(t, problem.NotFound)
}
