package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A restarted engine loads the code of modules without reading them, if it is the same program.
func TestDescribedCodeIsLoadedWithoutReadingTheModule(t *testing.T) {
	dir := t.TempDir()
	var infos []*Info
	for i, round := range []struct {
		build     string
		stack     int64
		data      string
		decodings int64
		spoil     bool
	}{
		{build: "one", data: "a", decodings: 1},
		{build: "one", data: "a"},
		{build: "one", data: "b"}, // another module with this code
		{build: "two", data: "b", decodings: 1},
		{build: "two", data: "a"},
		{build: "two", data: "a", stack: 1 << 20, decodings: 1}, // this is other code
		{build: "one", data: "a", decodings: 1},                 // what the other program wrote is not for this one
		{build: "one", data: "a", spoil: true, decodings: 1},
		{build: "", data: "a", decodings: 1},
	} {
		if round.spoil {
			files, err := filepath.Glob(filepath.Join(dir, "about", "*"))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for _, file := range files {
				require.NoError(t, os.WriteFile(file, []byte("{}"), 0o600))
			}
		}
		e, err := Open(t.Context(), Config{Slots: 1, CacheDir: dir, Build: round.build, StackBytes: round.stack})
		require.NoError(t, err)
		m := compileBytes(t, e, withData(t, "peek", 1, segment{16, round.data}), peekOptions)
		require.Equal(t, round.decodings, e.Stats().Decodings, i)
		infos = append(infos, m.Info())
		require.Equal(t, infos[0], m.Info(), "%d: described like a module that was read whole", i)
		require.NotZero(t, e.Stats().TypeBytes, "types count")
		in, err := m.Prepare(t.Context(), slot(t, e))
		require.NoError(t, err)
		require.EqualValues(t, round.data[0], call(t, in, peek, 16))
		require.NoError(t, in.Close())
		closeModule(t, m)
		require.NoError(t, e.Close(t.Context()))
	}
}
