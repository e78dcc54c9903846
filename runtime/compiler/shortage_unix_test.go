//go:build unix

package compiler

import (
	"io/fs"
	"path/filepath"
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

// A directory that was removed meanwhile looks like a program that is missing.
func TestNoUnboundedCompilationWithoutItsDirectory(t *testing.T) {
	c := New(children(t))
	_, err := c.Compile(t.Context(), filepath.Join(t.TempDir(), "removed"), guests.Wat(t, "echo"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotErrorIs(t, err, errNoChild)
	require.False(t, c.warned.Load())
}
