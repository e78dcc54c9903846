package rewrite

import (
	"context"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
)

// stackBytes returns the length of the call stack that wazero has allocated for a
// function. It doubles, so it is at most a little more than twice the stack in use.
func stackBytes(f api.Function) int {
	return reflect.ValueOf(f).Elem().FieldByName("stack").Len()
}

func TestRecursionEndsInOverflow(t *testing.T) {
	bin := readModule(t, "depth.wasm")
	for _, name := range []string{"direct", "mutual", "indirect", "looped", "tail_stack", "tail_then"} {
		t.Run(name, func(t *testing.T) {
			h, o := newTestHost(t), options()
			m, info := h.load(t, bin, o)
			res, err := top(m, info, o, name, 3000)
			require.NoError(t, err)
			require.NotZero(t, res[0])

			f := m.ExportedFunction(name)
			m.ExportedGlobal(info.DepthExport).(api.MutableGlobal).Set(uint64(o.StackBytes))
			_, err = f.Call(context.Background(), 1<<31)
			require.ErrorIs(t, err, errOverflow)
			require.LessOrEqual(t, stackBytes(f), int(2*frameSlack*o.StackBytes))

			// In production the instance would be discarded. Counting
			// still works, so the overflow leaves no state behind.
			again, err := top(m, info, o, name, 3000)
			require.NoError(t, err)
			require.Equal(t, res, again)
		})
	}
}

func TestTailCallsTakeNoStack(t *testing.T) {
	h, o := newTestHost(t), options()
	o.StackBytes = 4096
	m, info := h.load(t, readModule(t, "depth.wasm"), o)
	res, err := top(m, info, o, "tail", 1_000_000)
	require.NoError(t, err)
	require.Equal(t, uint64(42), res[0])
}

// TestDepthDoesNotDrift calls deep functions repeatedly from one frame, through callers of every kind.
func TestDepthDoesNotDrift(t *testing.T) {
	h, o := newTestHost(t), options()
	o.StackBytes = 8192
	m, info := h.load(t, readModule(t, "depth.wasm"), o)
	res, err := top(m, info, o, "wide", 10_000)
	require.NoError(t, err)
	require.Equal(t, uint64(10_000), res[0])
}

// TestNestedCallLeavesDepthAlone calls into the guest from a host function.
func TestNestedCallLeavesDepthAlone(t *testing.T) {
	h, o := newTestHost(t), options()
	h.back = func(ctx context.Context, m api.Module, n uint32) uint32 {
		res, err := m.ExportedFunction("nested").Call(ctx, uint64(n))
		require.NoError(t, err)
		return uint32(res[0])
	}
	m, info := h.load(t, readModule(t, "depth.wasm"), o)
	res, err := top(m, info, o, "host", 2000)
	require.NoError(t, err)
	require.Equal(t, uint64(4000), res[0])
}

// TestFramesOfHostileFunctions builds recursive functions with as many spilled values
// as possible for their size, and compares the stack that they take with the bound.
func TestFramesOfHostileFunctions(t *testing.T) {
	const self = 0
	const n = 100
	load := func(c *code, i int) {
		c.localGet(0)
		*c = appendU32(append(*c, 0x29, 3), uint32(8*i)) // i64.load
	}
	recurse := func(c *code) {
		c.localGet(0)
		c.call(self)
	}
	setAll := func(c *code) {
		for i := range n {
			load(c, i)
			c.localSet(uint32(i + 1))
		}
	}
	useAll := func(c *code) {
		for i := range n {
			c.i32(0)
			c.localGet(uint32(i + 1))
			*c = appendU32(append(*c, 0x37, 3), uint32(8*i)) // i64.store
		}
	}
	shapes := map[string]func(c *code){
		"small": func(c *code) { recurse(c) },
		"operands": func(c *code) { // live across the call on the operand stack
			for i := range n {
				load(c, i)
			}
			recurse(c)
			for range n - 1 {
				c.op(opI64Add)
			}
			c.localSet(1)
		},
		"locals": func(c *code) { // each assignment of a variable has its own slot
			for range 20 {
				setAll(c)
				recurse(c)
				useAll(c)
			}
		},
		"merges": func(c *code) { // new values of all variables at the end of each block
			for range 60 {
				c.block(opBlock, emptyBlock)
				c.localGet(0)
				c.brIf(0)
			}
			setAll(c)
			for range 60 {
				c.op(opEnd)
				recurse(c)
			}
			useAll(c)
		},
		"loops": func(c *code) {
			for range 20 {
				c.block(opLoop, emptyBlock)
				setAll(c)
				recurse(c)
				c.localGet(0)
				c.brIf(0)
				c.op(opEnd)
			}
			useAll(c)
		},
		"loops of their own": func(c *code) { // loops that are copied, each with new values of many variables
			const loops, sets = 20, 30
			*c = append(*c, dispatchHead(loops, 0)...)
			for i := range loops {
				c.op(opEnd)
				for j := range sets {
					load(c, i+j)
					c.localSet(uint32((i*sets+j)%n + 1))
				}
				c.localGet(0)
				c.block(opIf, emptyBlock)
				c.i32(int32(i))
				c.localSet(0)
				c.br(uint32(loops - i))
				c.op(opEnd)
				recurse(c)
			}
			c.op(opEnd)
			useAll(c)
		},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			b := newModule()
			b.memory = []byte{0, 1}
			var body code
			shape(&body)
			b.function(signature("i", ""), []localGroup{{n, I64}}, body)
			b.export("f", self)
			h, o := newTestHost(t), options()
			m, info := h.load(t, b.bytes(), o)
			f := m.ExportedFunction("f")
			m.ExportedGlobal(info.DepthExport).(api.MutableGlobal).Set(uint64(o.StackBytes))
			_, err := f.Call(context.Background(), 0)
			require.ErrorIs(t, err, errOverflow)
			used := stackBytes(f)
			t.Logf("%d bytes allocated for StackBytes %d: %.1f", used, o.StackBytes, float64(used)/float64(o.StackBytes))
			require.LessOrEqual(t, used, int(2*frameSlack*o.StackBytes))
			require.GreaterOrEqual(t, used, int(o.StackBytes/8), "the estimate is far too high")
		})
	}
}

func TestCallGraph(t *testing.T) {
	// 0 -> 1 -> 2 -> 1 (a cycle), 0 -> 3, 3 -> 4, 5 -> 5, 6 -> indirect, 7 is the target and calls 6
	b := newModule()
	void := signature("", "")
	calls := [][]uint32{{1, 3}, {2}, {1}, {4}, {}, {5}, nil, {6}}
	for i, to := range calls {
		var body code
		for _, f := range to {
			body.call(f)
		}
		if i == 6 {
			body.op(opI32Const, 0, opCallIndirect, 0, 0)
		}
		b.function(void, nil, body)
	}
	b.tables = [][]byte{{byte(FuncRef), 0, 1}}
	b.elements = [][]byte{{0, opI32Const, 0, opEnd, 1, 7}}
	m, err := decode(b.bytes())
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, true, false, false, true, true, true, true}, m.deepFunctions())
}

// TestLongChainsAreDeep bounds the stack of functions that cannot recurse.
func TestLongChainsAreDeep(t *testing.T) {
	b := newModule()
	const length = 2000
	for i := range length {
		var body code
		if i+1 < length {
			body.call(uint32(i + 1))
		}
		b.function(signature("", ""), nil, body)
	}
	b.export("chain", 0)
	h, o := newTestHost(t), options()
	o.StackBytes = 64 << 10
	m, info := h.load(t, b.bytes(), o)
	_, err := top(m, info, o, "chain")
	require.ErrorIs(t, err, errOverflow)
	o.StackBytes = 1 << 20
	_, err = top(m, info, o, "chain")
	require.NoError(t, err)
}

func TestHugeFramesAreRefused(t *testing.T) {
	b := newModule()
	var body code
	for range maxFrameBytes / valueBytes {
		body.op(opI32Const, 0, opLocalSet, 0)
	}
	b.function(signature("i", ""), nil, body)
	_, err := Inspect(b.bytes())
	require.ErrorIs(t, err, ErrLimit)
	require.ErrorContains(t, err, "too many values for a stack frame")
}
