package rewrite

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// buildGuest compiles a Go program under testdata/guests to a reactor.
func buildGuest(tb testing.TB, name string) []byte {
	tb.Helper()
	out := filepath.Join(tb.TempDir(), name+".wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "./testdata/guests/"+name)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	text, err := cmd.CombinedOutput()
	require.NoError(tb, err, "%s", text)
	bin, err := os.ReadFile(out)
	require.NoError(tb, err)
	return bin
}

// guestStackBytes is a typical value of the host.
const guestStackBytes = 4 << 20

func TestGoGuest(t *testing.T) {
	bin := buildGuest(t, "work")
	o := options()
	o.StackBytes = guestStackBytes
	h := newTestHost(t)
	plain := h.instantiate(t, bin)
	m, info := h.load(t, bin, o)
	require.Equal(t, "_initialize", info.Exports[0].Name)
	require.True(t, info.Resettable, info.FreshReason)
	require.NotEmpty(t, info.MutableGlobals)
	require.Contains(t, info.Producers[0], "Go")
	for kind := range uint64(7) {
		want, err := call(plain, "work", kind)
		require.NoError(t, err)
		require.NotEqual(t, int64(-1), int64(want[0]), "kind %d", kind)
		got, err := top(m, info, o, "work", kind)
		require.NoError(t, err)
		require.Equal(t, want, got, "kind %d", kind)
	}
	require.Positive(t, h.yields)
	got, err := top(m, info, o, "descend", 5000)
	require.NoError(t, err)
	require.Equal(t, uint64(5000), got[0])
}

// TestGoRecursionBomb checks that the real stack stays below the estimate for the frames of a real toolchain.
func TestGoRecursionBomb(t *testing.T) {
	o := options()
	o.StackBytes = 1 << 20 // Go's own stack, in linear memory, must not overflow first
	h := newTestHost(t)
	m, info := h.load(t, buildGuest(t, "work"), o)
	require.NotEmpty(t, info.DepthExport)
	descend := m.ExportedFunction("descend")
	_, err := descend.Call(t.Context(), 1<<30)
	require.ErrorIs(t, err, errOverflow)
	require.LessOrEqual(t, stackBytes(descend), int(2*o.StackBytes))
}
