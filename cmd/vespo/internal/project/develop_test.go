package project

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/live"
)

// TestOutcomesAreNotRepeated checks that builds without a terminal end a loop: the output is a file among the sources, each
// line of which is a change.
func TestOutcomesAreNotRepeated(t *testing.T) {
	dir := t.TempDir()
	fails := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, settingsFile), []byte(text), 0o600))
	}
	for _, quiet := range []bool{true, false} {
		var said bytes.Buffer
		d := &dev{dir: dir, terminal: &said, quiet: quiet, live: live.New(live.Config{})}
		again := func() string {
			said.Reset()
			require.False(t, d.refresh(t.Context(), nil))
			state, _ := d.live.Board.State()
			require.Zero(t, state.Building, "browsers do not wait")
			require.NotNil(t, state.Failure)
			return said.String()
		}
		fails(`{"first": 1}`)
		require.Contains(t, again(), `unknown field "first"`)
		require.Equal(t, quiet, again() == "")
		fails(`{"second": 1}`)
		require.Contains(t, again(), `unknown field "second"`)
		fails(`{"first": 1}`)
		require.Contains(t, again(), `unknown field "first"`, "it is another outcome than the one before")
	}
}
