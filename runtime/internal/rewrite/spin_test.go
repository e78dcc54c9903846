package rewrite

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEverySpinnerIsStopped calls every export of spin.wasm.
// A spinner that takes no fuel would hang the test.
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

// TestStraightLineTakesFuel runs a long chain of calls without loops. The callee has
// no loops and no calls. The chain must take fuel although no code in it can repeat.
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

// TestUnitHidesLittle compares the fuel that paths through branches take
// with the instructions on them, for paths that avoid each other's checks.
func TestUnitHidesLittle(t *testing.T) {
	const arms, armCost = 64, 400
	work := func(c *code, cost int) {
		for range cost / 2 {
			c.op(opI32Const, 1, opDrop)
		}
	}
	shapes := map[string]func(c *code){
		"taken": func(c *code) { // each arm alone is shorter than gapCost; the path through all of them is not
			c.localGet(0)
			c.block(opIf, emptyBlock)
			work(c, armCost)
			c.op(opEnd)
		},
		"not taken": func(c *code) { // the path around the if skips the check within it
			work(c, armCost)
			c.localGet(0)
			c.op(opI32Eqz)
			c.block(opIf, emptyBlock)
			work(c, gapCost-armCost)
			c.op(opEnd)
		},
		"else": func(c *code) {
			c.localGet(0)
			c.op(opI32Eqz)
			c.block(opIf, emptyBlock, opElse)
			work(c, armCost)
			c.op(opEnd)
		},
		"branch": func(c *code) {
			c.block(opBlock, emptyBlock)
			work(c, armCost)
			c.br(0)
			c.op(opEnd)
		},
		"table": func(c *code) {
			c.block(opBlock, emptyBlock)
			c.block(opBlock, emptyBlock)
			work(c, armCost)
			c.localGet(0)
			c.op(opBrTable, 1, 0, 1, opEnd)
			work(c, 2*gapCost)
			c.op(opEnd)
		},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			b := newModule()
			var body code
			for range arms {
				shape(&body)
			}
			b.export("arms", b.function(signature("i", ""), nil, body))
			h := newTestHost(t)
			h.slice = 0 // each check yields
			o := options()
			o.FuelSlice = 0
			m, _ := h.load(t, b.bytes(), o)
			_, err := call(m, "arms", 1)
			require.NoError(t, err)
			require.GreaterOrEqual(t, h.yields, arms*armCost/gapCost)
			require.LessOrEqual(t, h.yields, 2*arms)
		})
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

// TestFuelFollowsTheCode covers guests that earn fuel in a tight loop, where it lasts long, and
// spend it on code that takes far longer between two checks. The checks of that code must take more.
func TestFuelFollowsTheCode(t *testing.T) {
	const rounds = 1000
	loads := func(c *code, n int) {
		for range n {
			c.op(opI32Const, 0, opI32Load, 2, 0, opDrop)
		}
	}
	loop := func(work func(c *code)) (c code) {
		c.block(opLoop, emptyBlock)
		work(&c)
		c.localGet(0)
		c.i32(1)
		c.op(opI32Sub)
		c.localTee(0)
		c.brIf(0)
		c.op(opEnd)
		return c
	}
	b := newModule()
	b.memory = []byte{0, 1}
	lead := loop(func(*code) {}) // the check of a loop at the very beginning replaces the function's own
	loads(&lead, gapCost/costAccess/2)
	b.export("tight", b.function(signature("i", ""), nil, loop(func(*code) {})))
	b.export("dear", b.function(signature("i", ""), nil, loop(func(c *code) { loads(c, gapCost/costAccess/2) })))
	b.export("lead", b.function(signature("i", ""), nil, lead))
	used := func(name string, n uint64) int64 {
		h, o := newTestHost(t), options()
		o.FuelSlice = 1 << 40
		m, info := h.load(t, b.bytes(), o)
		_, err := call(m, name, n)
		require.NoError(t, err)
		return o.FuelSlice - int64(m.ExportedGlobal(info.FuelExport).Get())
	}
	require.EqualValues(t, rounds, used("tight", rounds), "a unit for a round")
	require.GreaterOrEqual(t, used("dear", rounds), int64(rounds*gapCost/unitCost/2), "and more where more is done in one")
	require.GreaterOrEqual(t, used("lead", 1), int64(gapCost/unitCost/2))
}
