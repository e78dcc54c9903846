package stdio

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPaint(t *testing.T) {
	require.Equal(t, "\x1b[31mfailed\x1b[0m", Paint{on: true}.Red("failed"))
	require.Equal(t, "failed", Paint{}.Red("failed"))
	require.Empty(t, Paint{on: true}.Bold(""))
}

func TestNoTerminal(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	require.Equal(t, Paint{}, PaintFor(file))
	require.Zero(t, Columns(file))
	require.Equal(t, Paint{}, PaintFor(&bytes.Buffer{}))
	require.Zero(t, Columns(&bytes.Buffer{}))
	require.False(t, IsTerminal(nil))
}
