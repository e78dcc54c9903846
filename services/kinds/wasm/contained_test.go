package wasm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// A panic of the host is an outcome: its caller takes the instance back, so that the slot is not lost.
func TestPanicOfTheHost(t *testing.T) {
	out := contained(func() engine.Outcome { panic("no such state") })
	require.Equal(t, engine.HostError, out.Kind)
	require.ErrorContains(t, out.Err, "no such state")
	require.ErrorContains(t, out.Err, "contained_test.go", "the stack")
}
