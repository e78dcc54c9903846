package crashfs

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
)

// create writes a file, with and without an fsync.
func create(t *testing.T, c *FS, name, content string, synced bool) {
	t.Helper()
	f, err := c.Create(name, durable.FileMode)
	require.NoError(t, err)
	_, err = f.Write([]byte(content))
	require.NoError(t, err)
	if synced {
		require.NoError(t, f.Sync())
	}
	require.NoError(t, f.Close())
}

// outcomes returns the different contents of a file after a crash; "missing" if there is none.
func outcomes(c *FS, name string) (all []string) {
	for _, found := range c.Aftermaths(40) {
		content := "missing"
		if data, err := found.ReadFile(name, 100); err == nil {
			content = string(data)
		}
		if !slices.Contains(all, content) {
			all = append(all, content)
		}
	}
	slices.Sort(all)
	return all
}

// TestModel checks what the model loses in a crash, and what it keeps.
func TestModel(t *testing.T) {
	c := New()
	create(t, c, "a", "1234", false)
	require.Contains(t, outcomes(c, "a"), "missing")
	require.NoError(t, c.SyncDir("."))
	require.NotContains(t, outcomes(c, "a"), "missing")
	require.Subset(t, outcomes(c, "a"), []string{"", "1234"})
	require.Greater(t, len(outcomes(c, "a")), 3, "torn in several places")

	create(t, c, "b", "5678", true)
	require.Equal(t, []string{"5678", "missing"}, outcomes(c, "b"))
	require.NoError(t, c.SyncDir("."))
	require.Equal(t, []string{"5678"}, outcomes(c, "b"))

	create(t, c, "c", "new", true)
	require.NoError(t, c.Rename("c", "b"))
	require.Equal(t, []string{"5678", "new"}, outcomes(c, "b"))
	require.NoError(t, c.SyncDir("."))
	require.Equal(t, []string{"new"}, outcomes(c, "b"))
	require.Equal(t, []string{"missing"}, outcomes(c, "c"))

	require.NoError(t, c.Remove("b"))
	require.Equal(t, []string{"missing", "new"}, outcomes(c, "b"), "it can come back")
}

// TestModelOfDirectories checks that a renamed directory keeps or loses its content as it was synced.
func TestModelOfDirectories(t *testing.T) {
	c := New()
	require.NoError(t, c.MkdirAll("tmp/x"))
	create(t, c, "tmp/x/f", "1", true)
	require.NoError(t, c.SyncDir("tmp/x"))
	require.NoError(t, c.Rename("tmp/x", "x"))
	require.Equal(t, []string{"1", "missing"}, outcomes(c, "x/f"))
	require.NoError(t, c.SyncDir("."))
	require.Equal(t, []string{"1"}, outcomes(c, "x/f"))
	require.NotNil(t, c.Remove("x"), "it is not empty")
	require.ErrorIs(t, c.Rename("none", "y"), fs.ErrNotExist)
	_, err := c.Create("none/f", durable.FileMode)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestFaults(t *testing.T) {
	for _, effect := range []bool{false, true} {
		c := New()
		c.Inject(func(op Operation) Fault {
			if op.Kind == "rename" {
				return Fault{Err: syscall.EIO, Effect: effect}
			}
			return Fault{}
		})
		create(t, c, "a", "1", true)
		require.ErrorIs(t, c.Rename("a", "b"), syscall.EIO)
		_, err := c.ReadFile("b", 10)
		require.Equal(t, effect, err == nil)
		c.Inject(CrashAt(c.Count()))
		require.ErrorIs(t, c.SyncDir("."), ErrCrashed)
		_, err = c.Create("c", durable.FileMode)
		require.True(t, errors.Is(err, ErrCrashed))
	}
}
