//go:build unix

package compiler

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// A child that cannot be started now is no reason to compile without bounds.
func TestNoUnboundedCompilationWithoutDescriptors(t *testing.T) {
	c := New(children(t))
	module, dir := guests.Wat(t, "echo"), t.TempDir()
	release := crashtest.NoDescriptors(t)
	_, err := c.Compile(t.Context(), dir, module, nil)
	require.ErrorIs(t, err, syscall.EMFILE)
	require.False(t, c.warned.Load())
	release()
	_, err = c.Compile(t.Context(), dir, module, nil)
	require.NoError(t, err)
}
