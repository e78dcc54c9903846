package rewrite

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// Local variables of the functions of dispatched.
const (
	loopN   = iota // the parameter
	loopPC         // selects a target of the table
	loopSum        // the result
	loopI
)

// dispatchHead begins a loop with n blocks in front of a table, which selects one of them by a local variable.
func dispatchHead(n int, pc uint32) code {
	c := concat(code{opLoop, emptyBlock}, repeat(n, opBlock, emptyBlock))
	c.localGet(pc)
	c = append(c, index(opBrTable, n-1)...)
	for i := range n {
		c = appendU32(c, uint32(i))
	}
	return c
}

// dispatched returns a module with the function "f" in the form of Go's: a loop with a table in front of segments of code. In
// the i-th of n segments, label n-1-i is the loop, and the next one leaves it.
func dispatched(segments ...code) []byte {
	c := concat(code{opBlock, emptyBlock}, dispatchHead(len(segments), loopPC))
	for _, s := range segments {
		c.op(opEnd)
		c = append(c, s...)
	}
	c.op(opEnd, opEnd)
	c.localGet(loopSum)
	b := newModule()
	b.memory = []byte{0, 1}
	f := b.function(signature("i", "i"), []localGroup{{3, I32}}, c)
	b.export("f", f)
	leaf := b.function(signature("", ""), nil, code{opNop})
	b.export("leaf", leaf)
	return b.bytes()
}

// jumpTo sets the variable and jumps to the loop.
func jumpTo(segment int, loop byte) code {
	return code{opI32Const, byte(segment), opLocalSet, loopPC, opBr, loop}
}

// Parts of the loops below: "sum += i; i--", "i = n", and i.
var (
	loopBody  = code{opLocalGet, loopSum, opLocalGet, loopI, opI32Add, opLocalSet, loopSum, opLocalGet, loopI, opI32Const, 1, opI32Sub, opLocalSet, loopI}
	loopBegin = code{opLocalGet, loopN, opLocalSet, loopI}
	loopMore  = code{opLocalGet, loopI}
)

// TestLoopsOfTheirOwn runs functions in the form of Go's, plain and rewritten, and checks which loops are copied.
func TestLoopsOfTheirOwn(t *testing.T) {
	ifMore := func(then ...code) code {
		return concat(loopMore, code{opIf, emptyBlock}, concat(then...), code{opEnd})
	}
	odd := concat(loopMore, code{opI32Const, 2, opI32RemU})
	even := concat(odd, code{opI32Eqz})
	for name, c := range map[string]struct {
		copies   int
		segments []code
	}{
		"for": {1, []code{
			concat(loopBegin, jumpTo(2, 2)),
			loopBody,
			concat(ifMore(jumpTo(1, 1)), code{opBr, 1}),
		}},
		"do while": {1, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, ifMore(jumpTo(1, 1)), code{opBr, 1}),
		}},
		"left by a branch": {1, []code{
			loopBegin,
			concat(loopMore, code{opI32Eqz, opBrIf, 1}, loopBody, jumpTo(1, 0)),
		}},
		"in front of code without values": {1, []code{
			loopBegin,
			concat(loopMore, code{opI32Eqz, opBrIf, 1}, loopBody, jumpTo(1, 0), code{opDrop}),
		}},
		"after a jump ahead, in a large function": {1, []code{
			concat(loopBegin, jumpTo(1, 1)),
			concat(loopMore, code{opI32Eqz, opBrIf, 1}, loopBody, jumpTo(1, 0), repeat(1000, opNop)),
		}},
		"of a prefix": {1, []code{
			loopBegin,
			concat(loopMore, code{opI32Eqz, opBrIf, 1, opI32Const, 8, opI32Const, 1, opLocalGet, loopI, prefixMisc, 11, 0}, loopBody, jumpTo(1, 0)),
		}},
		"left by a return": {1, []code{
			loopBegin,
			concat(loopMore, code{opI32Eqz, opIf, emptyBlock, opLocalGet, loopSum, opReturn, opEnd}, loopBody, jumpTo(1, 0)),
		}},
		"left by a trap": {1, []code{
			loopBegin,
			concat(loopMore, code{opI32Const, 7, opI32Eq, opIf, emptyBlock, opUnreachable, opEnd, opLocalGet, loopI, opI32Eqz, opBrIf, 1}, loopBody, jumpTo(1, 0)),
		}},
		"left for a block ahead": {1, []code{
			loopBegin,
			concat(loopMore, code{opI32Eqz, opIf, emptyBlock}, jumpTo(2, 2), code{opEnd}, loopBody, jumpTo(1, 1)),
			concat(loopBody, code{opBr, 1}),
		}},
		"values below": {1, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, ifMore(code{opI32Const, 7}, jumpTo(1, 1)), code{opBr, 1}),
		}},
		"a plain block": {1, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, code{opBlock, emptyBlock}, loopMore, code{opI32Eqz, opBrIf, 0}, jumpTo(1, 1), code{opEnd, opBr, 1}),
		}},
		"else": {1, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, loopMore, code{opI32Eqz, opIf, emptyBlock, opNop, opElse}, jumpTo(1, 1), code{opEnd, opBr, 1}),
		}},
		"continue": {2, []code{ // the second copy has both jumps
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, odd, code{opIf, emptyBlock}, jumpTo(1, 1), code{opEnd}, ifMore(jumpTo(1, 1)), code{opBr, 1}),
		}},
		"a block ends in the loop": {1, []code{
			concat(loopBegin, jumpTo(3, 3)),
			concat(loopBody, even, code{opIf, emptyBlock}, jumpTo(3, 3), code{opEnd}),
			concat(code{opLocalGet, loopSum, opI32Const, 5, opI32Add, opLocalSet, loopSum}),
			concat(ifMore(jumpTo(1, 1)), code{opBr, 1}),
		}},
		"a direct branch to a block that ends in the loop": {1, []code{
			concat(loopBegin, jumpTo(3, 3)),
			concat(loopBody, even, code{opBrIf, 1}),
			concat(code{opLocalGet, loopSum, opI32Const, 5, opI32Add, opLocalSet, loopSum}),
			concat(ifMore(jumpTo(1, 1)), code{opBr, 1}),
		}},
		"the last target is that of all larger numbers": {1, []code{
			concat(loopBegin, jumpTo(9, 1)),
			concat(loopMore, code{opI32Eqz, opBrIf, 1}, loopBody, jumpTo(9, 0)),
		}},
		"a negative number is large": {1, []code{
			loopBegin,
			concat(loopMore, code{opI32Eqz, opBrIf, 1}, loopBody, jumpTo(0x7f, 0)),
		}},
		"a variable that is not of the table": {0, []code{
			concat(loopBegin, jumpTo(1, 1)),
			concat(loopMore, code{opI32Eqz, opBrIf, 1}, loopBody, code{opI32Const, 0, opLocalSet, loopN, opBr, 0}),
		}},
		"with a table": {0, []code{
			loopBegin,
			concat(loopMore, code{opI32Eqz, opBrIf, 1, opBlock, emptyBlock, opLocalGet, loopI, opBrTable, 1, 0, 0, opEnd}, loopBody, jumpTo(1, 0)),
		}},
		"with a loop": {0, []code{
			loopBegin,
			concat(loopMore, code{opI32Eqz, opBrIf, 1, opLoop, emptyBlock}, odd, code{opIf, emptyBlock}, loopBody, code{opBr, 1, opEnd, opEnd}, loopMore, code{opI32Eqz, opBrIf, 1}, loopBody, jumpTo(1, 0)),
		}},
		"a loop in a loop": {1, []code{ // for i; for j = sum & 3; j != 0; j--: the variable of the table is j
			loopBegin,
			concat(loopMore, code{opI32Eqz, opBrIf, 3}, loopBody, code{opLocalGet, loopSum, opI32Const, 3, opI32RemU, opLocalSet, loopN}),
			concat(code{opLocalGet, loopN, opIf, emptyBlock, opLocalGet, loopN, opI32Const, 1, opI32Sub, opLocalSet, loopN}, jumpTo(2, 2), code{opEnd}),
			jumpTo(1, 0),
		}},
		"in two blocks": {0, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, ifMore(code{opBlock, emptyBlock}, jumpTo(1, 2), code{opEnd}), code{opBr, 1}),
		}},
		"in front of an else": {0, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, loopMore, code{opIf, emptyBlock}, jumpTo(1, 1), code{opElse}, loopBody, code{opEnd, opBr, 1}),
		}},
		"in front of code that is never reached": {0, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, ifMore(jumpTo(1, 1), loopBody), code{opBr, 1}),
		}},
		"in a block with a result": {0, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, code{opBlock, byte(I32), opI32Const, 1}, loopMore, code{opI32Eqz, opBrIf, 0}, jumpTo(1, 1), code{opEnd, opDrop, opBr, 1}),
		}},
		"with a call": {0, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, code{opCall, 1}, ifMore(jumpTo(1, 1)), code{opBr, 1}),
		}},
		"too large": {0, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, repeat(maxLoopBytes, opNop), ifMore(jumpTo(1, 1)), code{opBr, 1}),
		}},
		"another variable": {0, []code{
			concat(loopBegin, ifMore(jumpTo(1, 2)), code{opBr, 2}),
			concat(loopBody, ifMore(code{opI32Const, 1, opLocalTee, loopPC, opLocalSet, loopPC, opBr, 1}), code{opBr, 1}),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bin := dispatched(c.segments...)
			d, err := Decode(bin)
			require.NoError(t, err)
			require.Equal(t, 1+c.copies, d.m.bodies[0].summary.loops-bytes.Count(concat(c.segments...), code{opLoop, emptyBlock}))
			h, o := newTestHost(t), options()
			h.slice, o.FuelSlice, h.limit = 3, 3, 1000
			plain := h.instantiate(t, bin)
			m, _ := h.load(t, bin, o)
			for n := range uint64(20) {
				want, trap := call(plain, "f", n)
				got, err := call(m, "f", n)
				require.Equal(t, trap == nil, err == nil, "%d: %v", n, err)
				require.Equal(t, want, got, "%d", n)
			}
			require.Positive(t, h.yields)
		})
	}
}

// TestJumpsInALoopOfItsOwn compares a loop, in which jumps lead to a block that ends in it and to its beginning, with what it becomes.
func TestJumpsInALoopOfItsOwn(t *testing.T) {
	ahead := func(depth byte) code {
		return concat(loopMore, code{opIf, emptyBlock, opI32Const, 2, opLocalSet, loopPC, opBr, depth, opEnd})
	}
	again := func(depth byte) code {
		return concat(loopMore, code{opIf, emptyBlock, opI32Const, 1, opLocalSet, loopPC, opBr, depth, opEnd})
	}
	bin := dispatched(repeat(100, opNop), concat(ahead(2), loopBody), concat(again(1), code{opNop}, again(1)))
	d, err := Decode(bin)
	require.NoError(t, err)
	copied := concat(
		code{opLoop, emptyBlock, opBlock, emptyBlock},
		ahead(1), loopBody, code{opEnd},
		again(1), code{opNop},
		loopMore, code{opIf, emptyBlock, opI32Const, 1, opLocalSet, loopPC, opBr, 1, opEnd},
		code{opEnd, opBr, 0})
	require.Contains(t, string(d.m.bodies[0].bin), string(copied))
}

// TestLoopsOfTheirOwnAreStopped runs copied loops that do not end.
func TestLoopsOfTheirOwnAreStopped(t *testing.T) {
	for name, segments := range map[string][]code{
		"empty":      {{opNop}, jumpTo(1, 0)},
		"with an if": {{opNop}, concat(code{opI32Const, 1, opIf, emptyBlock}, jumpTo(1, 1), code{opEnd, opBr, 1})},
	} {
		t.Run(name, func(t *testing.T) {
			bin := dispatched(segments...)
			d, err := Decode(bin)
			require.NoError(t, err)
			require.Equal(t, 2, d.m.bodies[0].summary.loops)
			h := newTestHost(t)
			h.limit = 20
			o := options()
			m, _ := h.load(t, bin, o)
			_, err = call(m, "f", 0)
			require.ErrorIs(t, err, errStopped)
			require.Equal(t, h.limit+1, h.yields)
		})
	}
}

// TestLoopsDoubleCodeAtMost decodes a function in which many jumps lead back to the same code.
func TestLoopsDoubleCodeAtMost(t *testing.T) {
	segment := loopBody
	for range 26 {
		segment = concat(segment, loopMore, code{opIf, emptyBlock}, jumpTo(1, 1), code{opEnd})
	}
	d, err := Decode(dispatched(code{opNop}, segment))
	require.NoError(t, err)
	b := d.m.bodies[0]
	require.Greater(t, b.summary.loops, 1)
	require.Greater(t, len(b.bin), len(segment))
	require.Less(t, len(b.bin), 2*len(segment)+100)
}

// TestLoopsBeyondALimitAreLeft decodes a function whose frame is so large that a copy would exceed the limit.
func TestLoopsBeyondALimitAreLeft(t *testing.T) {
	for below, loops := range map[int]int{50: 1, 200: 2} {
		const inLoop = 60
		before := repeat(maxFrameBytes/valueBytes-below-inLoop, opI32Const, 0, opLocalSet, loopI)
		loop := concat(repeat(inLoop, opI32Const, 0, opLocalSet, loopI), jumpTo(1, 0))
		d, err := Decode(dispatched(before, loop))
		require.NoError(t, err)
		require.Equal(t, loops, d.m.bodies[0].summary.loops)
		require.LessOrEqual(t, d.m.bodies[0].summary.frameBytes, maxFrameBytes)
	}
}
