package engine

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

func TestTypesOfAllModulesAreBounded(t *testing.T) {
	signature := func(n int) rewrite.Signature {
		return rewrite.Signature{Params: slices.Repeat([]rewrite.ValueType{rewrite.I32}, n)}
	}
	var l typeLedger
	const room = 2000
	require.NoError(t, l.admit([]rewrite.Signature{signature(1), signature(2), signature(1)}, room))
	taken := l.bytes
	require.NoError(t, l.admit([]rewrite.Signature{signature(2), signature(1)}, room))
	require.Equal(t, taken, l.bytes, "types that are known take nothing")
	many := []rewrite.Signature{signature(1)}
	for i := range 20 {
		many = append(many, signature(3+i))
	}
	err := l.admit(many, room)
	var refused *ModuleError
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, "has 20 function types that no module before it had")
	require.Equal(t, taken, l.bytes, "what was refused takes nothing")
	require.NoError(t, l.admit([]rewrite.Signature{signature(2)}, room), "modules with known types go on")
}

// TestTypesAreCountedOnce checks that repeated deploys of one module do not use up the limit.
func TestTypesAreCountedOnce(t *testing.T) {
	e := open(t, Config{})
	compile(t, e, "state", stateOptions)
	taken := e.types.bytes
	require.Positive(t, taken)
	compile(t, e, "state", stateOptions)
	require.Equal(t, taken, e.types.bytes)
}
