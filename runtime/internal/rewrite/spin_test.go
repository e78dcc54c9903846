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

// TestUnitHidesLittle compares the fuel that ways through branches take with the instructions on them, for ways that avoid
// each other's checks.
func TestUnitHidesLittle(t *testing.T) {
	const arms, armCost = 64, 400
	work := func(c *code, cost int) {
		for range cost / 2 {
			c.op(opI32Const, 1, opDrop)
		}
	}
	shapes := map[string]func(c *code){
		"taken": func(c *code) { // each arm alone is shorter than a unit; the way through all of them is not
			c.localGet(0)
			c.block(opIf, emptyBlock)
			work(c, armCost)
			c.op(opEnd)
		},
		"not taken": func(c *code) { // the check within the if is none for the way around it
			work(c, armCost)
			c.localGet(0)
			c.op(opI32Eqz)
			c.block(opIf, emptyBlock)
			work(c, unitCost-armCost)
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
			work(c, 2*unitCost)
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
			h.slice = 0 // each unit asks for more
			o := options()
			o.FuelSlice = 0
			m, _ := h.load(t, b.bytes(), o)
			_, err := call(m, "arms", 1)
			require.NoError(t, err)
			require.GreaterOrEqual(t, h.yields, arms*armCost/unitCost)
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
