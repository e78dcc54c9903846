package wasm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// TestWarningAboutGenerators names the SDK to those alone who can use it: it does not build components.
func TestWarningAboutGenerators(t *testing.T) {
	f := &facts{repeats: engine.Repeats{Generators: true}}
	require.Len(t, f.warnings(), 1)
	require.Contains(t, f.warnings()[0], "the Go SDK")
	f.component = true
	require.Len(t, f.warnings(), 1)
	require.NotContains(t, f.warnings()[0], "SDK")
	require.Contains(t, f.warnings()[0], "crypto/rand")
	f.fresh = true
	require.Empty(t, f.warnings())
}
