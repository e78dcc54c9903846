package rewrite

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEverySpinnerIsStopped calls every export of spin.wasm. A spinner that takes no fuel would hang the test.
func TestEverySpinnerIsStopped(t *testing.T) {
	bin := readModule(t, "spin.wasm")
	info, err := Inspect(bin)
	require.NoError(t, err)
	for _, e := range info.Exports {
		t.Run(e.Name, func(t *testing.T) {
			h := newTestHost(t)
			h.limit = 20
			o := options()
			m, info := h.load(t, bin, o)
			_, err := top(m, info, o, e.Name)
			require.ErrorIs(t, err, errStopped)
			require.Equal(t, h.limit+1, h.yields)
		})
	}
}

// TestStraightLineTakesFuel runs a long loop-free chain of calls of a function without loops and calls of its own: it must
// take fuel although nothing in it can repeat.
func TestStraightLineTakesFuel(t *testing.T) {
	b := newModule()
	leaf := b.function(signature("", "i"), nil, code{opI32Const, 1})
	var body code
	for range 100_000 {
		body.call(leaf)
		body.op(opDrop)
	}
	b.export("chain", b.function(signature("", ""), nil, body))
	h := newTestHost(t)
	h.slice = 100
	o := options()
	o.FuelSlice = 0
	m, _ := h.load(t, b.bytes(), o)
	_, err := call(m, "chain")
	require.NoError(t, err)
	taken := int64(h.yields) * (h.slice + 1)
	require.GreaterOrEqual(t, taken, int64(100_000*costCall/unitCost))
}

// TestUnitHidesLittle compares the fuel that a way through branches takes with the instructions on it, for ways that avoid
// each other's checks.
func TestUnitHidesLittle(t *testing.T) {
	const arms, armCost = 64, 400
	b := newModule()
	var body code
	for range arms { // each arm alone is shorter than a unit; the way through all of them is not
		body.localGet(0)
		body.block(opIf, emptyBlock)
		for range armCost / 2 {
			body.op(opI32Const, 1, opDrop)
		}
		body.op(opEnd)
	}
	b.export("arms", b.function(signature("i", ""), nil, body))
	for _, way := range []struct {
		taken   uint64
		atLeast int
	}{{1, arms * armCost / unitCost}, {0, 0}} {
		h := newTestHost(t)
		h.slice = 0 // each unit asks for more
		o := options()
		o.FuelSlice = 0
		m, _ := h.load(t, b.bytes(), o)
		_, err := call(m, "arms", way.taken)
		require.NoError(t, err)
		require.GreaterOrEqual(t, h.yields, way.atLeast)
		require.LessOrEqual(t, h.yields, 2*arms)
	}
}

func TestFuelIsRefilledByYieldAlone(t *testing.T) {
	h := newTestHost(t)
	h.limit, h.slice = 5, 1000
	o := options()
	m, info := h.load(t, readModule(t, "spin.wasm"), o)
	_, err := call(m, "loop")
	require.ErrorIs(t, err, errStopped)
	require.Negative(t, int64(m.ExportedGlobal(info.FuelExport).Get()))
}
