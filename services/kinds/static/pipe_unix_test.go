//go:build unix

package static_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/kinds/static"
)

// TestPipesAndDevicesAreNoFiles requests pipes, which would block on open.
func TestPipesAndDevicesAreNoFiles(t *testing.T) {
	s := serve(t, "/", static.Document{}, nil)
	require.NoError(t, syscall.Mkfifo(filepath.Join(s.dir, "pipe"), 0o644))
	require.NoError(t, syscall.Mkfifo(filepath.Join(s.dir, "index.html"), 0o644))
	s.get("/pipe").requireProblem(t, problem.NotFound)
	s.get("/").requireProblem(t, problem.NotFound)
}
