package rewrite

import (
	"fmt"
	goruntime "runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

const (
	heapRounds   = 20_000 // iterations of the loop around an instruction
	heapUnrolled = 50     // copies of the instruction in the loop: a million executions
	heapSlack    = 256 << 10
)

// heapCases are the instructions that validCode cannot build:
// control flow and calls. Each leaves the operand stack unchanged.
var heapCases = map[uint16]code{
	opNop:                {opNop},
	opBlock:              {opBlock, emptyBlock, opEnd},
	opLoop:               {opLoop, emptyBlock, opEnd},
	opIf:                 {opI32Const, 1, opIf, emptyBlock, opEnd},
	opElse:               {opI32Const, 0, opIf, emptyBlock, opElse, opEnd},
	opEnd:                {opBlock, emptyBlock, opEnd},
	opBr:                 {opBlock, emptyBlock, opBr, 0, opEnd},
	opBrIf:               {opBlock, emptyBlock, opI32Const, 1, opBrIf, 0, opEnd},
	opBrTable:            {opBlock, emptyBlock, opBlock, emptyBlock, opI32Const, 1, opBrTable, 1, 0, 1, opEnd, opEnd},
	opReturn:             {opCall, heapReturns},
	opCall:               {opCall, heapNothing},
	opCallIndirect:       {opI32Const, 1, opCallIndirect, 0, 0},
	opReturnCall:         {opCall, heapTail},
	opReturnCallIndirect: {opCall, heapTailIndirect},
}

// Functions of the module around an instruction. All have type 0, () -> ().
const (
	heapNothing = iota
	heapReturns
	heapTail
	heapTailIndirect
	heapRun
)

// heapModule returns a module that executes c heapRounds * heapUnrolled times in its export "run".
func heapModule(c code) []byte {
	b := newModule()
	none := signature("", "")
	b.function(none, nil, code{})
	b.function(none, nil, code{opReturn})
	b.function(none, nil, code{opReturnCall, heapNothing})
	b.function(none, nil, code{opI32Const, 1, opReturnCallIndirect, 0, 0})
	var run code
	run.i32(heapRounds)
	run.localSet(0)
	run.block(opLoop, emptyBlock)
	for range heapUnrolled {
		run = append(run, c...)
	}
	run.localGet(0)
	run.i32(1)
	run.op(opI32Sub)
	run.localTee(0)
	run.brIf(0)
	run.op(opEnd)
	var locals []localGroup
	for _, t := range append([]ValueType{I32}, heapTypes...) {
		locals = append(locals, localGroup{1, t})
	}
	b.export("run", b.function(none, locals, run))
	b.exports = append(b.exports, export{"memory", KindMemory, 0})
	for _, t := range heapTypes {
		b.global(t, true, heapOperand(t))
	}
	b.memory = []byte{0, 1}
	b.tables = [][]byte{{byte(FuncRef), 0, 4}, {byte(FuncRef), 0, 4}}
	b.elements = [][]byte{
		{0, opI32Const, 0, opEnd, 4, heapNothing, heapNothing, heapNothing, heapNothing},
		{1, 0, 4, heapNothing, heapNothing, heapNothing, heapNothing}, // passive
	}
	b.data = [][]byte{{1, 4, 'a', 'b', 'c', 'd'}}
	return b.bytes()
}

var heapTypes = []ValueType{I32, I64, F32, F64, V128, FuncRef, ExternRef}

// heapOperand pushes a value for which no instruction traps: usually one.
func heapOperand(t ValueType) code {
	switch t {
	case I32:
		return code{opI32Const, 1}
	case I64:
		return code{opI64Const, 1}
	case F32:
		return code{opF32Const, 0, 0, 0x80, 0x3f}
	case F64:
		return code{opF64Const, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f}
	case V128:
		return append(code{prefixSIMD, 12}, make([]byte, 16)...)
	case FuncRef:
		return code{opRefNull, byte(FuncRef)}
	}
	return code{opRefNull, byte(ExternRef)}
}

// heapImmediates returns encodings of the operands after an opcode.
// Any valid one will do, so instructions with an index have several.
func heapImmediates(op uint16, imm immediate) []code {
	switch imm {
	case immNone:
		return []code{nil}
	case immLocal, immGlobal: // one of each type
		var list []code
		for i := range heapTypes {
			list = append(list, code{byte(i)})
		}
		if imm == immLocal {
			list = list[1:] // skip the counter
			list = append(list, code{byte(len(heapTypes))})
		}
		return list
	case immFunc, immTable, immMemory, immElem, immLane, immData, immI32, immI64:
		if op == opElemDrop {
			return []code{{1}}
		}
		return []code{{0}}
	case immMemArg:
		return []code{{0, 0}}
	case immMemLane:
		return []code{{0, 0, 0}}
	case immMemInit, immMemCopy:
		return []code{{0, 0}}
	case immTableInit:
		return []code{{1, 0}}
	case immTableCopy:
		return []code{{1, 0}}
	case imm4:
		return []code{make(code, 4)}
	case imm8:
		return []code{make(code, 8)}
	case imm16:
		return []code{make(code, 16)}
	case immSelect:
		return []code{{1, byte(FuncRef)}}
	case immRefType:
		return []code{{byte(FuncRef)}, {byte(ExternRef)}}
	}
	return nil
}

func opcodeBytes(op uint16) code {
	if op>>8 == 0 {
		return code{byte(op)}
	}
	return appendU32(code{byte(op >> 8)}, uint32(op&0xff))
}

// allOpcodes returns the instructions of the rewriter's tables.
func allOpcodes() map[uint16]immediate {
	all := map[uint16]immediate{}
	add := func(prefix uint16, table []immediate) {
		for i, imm := range table {
			if imm != immInvalid {
				all[prefix<<8|uint16(i)] = imm
			}
		}
	}
	add(0, immediates[:])
	add(prefixMisc, miscImmediates[:])
	add(prefixSIMD, simdImmediates[:])
	return all
}

// typings returns the operand types that an instruction may have, likely ones first.
func typings(op uint16, n int) (list [][]ValueType) {
	types := slices.Clone(heapTypes)
	if op>>8 == prefixSIMD {
		types = []ValueType{V128, I32, I64, F32, F64}
	}
	list = [][]ValueType{nil}
	for range n {
		var longer [][]ValueType
		for _, t := range types {
			for _, l := range list {
				longer = append(longer, append(slices.Clone(l), t))
			}
		}
		list = longer
	}
	return list
}

// validCode finds valid operands for an instruction by trying which ones the engine accepts.
func validCode(t *testing.T, h *testHost, op uint16, imm immediate) []code {
	t.Helper()
	var found []code
	e := effectOf(op)
	for _, operands := range heapImmediates(op, imm) {
		for _, types := range typings(op, int(e.takes)) {
			var c code
			for _, typ := range types {
				c = append(c, heapOperand(typ)...)
			}
			c = append(append(c, opcodeBytes(op)...), operands...)
			for range e.leaves {
				c.op(opDrop)
			}
			if compiled, err := h.runtime.CompileModule(t.Context(), heapModule(c)); err == nil {
				require.NoError(t, compiled.Close(t.Context()))
				found = append(found, c)
				break
			}
		}
	}
	return found
}

// liveHeap returns the bytes of reachable heap.
func liveHeap() int64 {
	var s goruntime.MemStats
	for range 2 { // the second one frees objects released by finalizers of the first
		goruntime.GC()
	}
	goruntime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// fixedMemory is linear memory that grows within its initial allocation.
type fixedMemory []byte

func (f fixedMemory) Free() {}

func (f fixedMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(f)) {
		return nil
	}
	return f[:size]
}

// TestNoInstructionGrowsTheHeap executes every instruction
// that the rewriter knows a million times in one instance.
func TestNoInstructionGrowsTheHeap(t *testing.T) {
	h, o := newTestHost(t), options()
	o.MaxTableElements = 1 << 10
	seen := 0
	for op, imm := range allOpcodes() {
		t.Run(fmt.Sprintf("%#04x", op), func(t *testing.T) {
			if op == opUnreachable {
				return // a trap, see TestTrapsLeaveNothing
			}
			list := []code{heapCases[op]}
			if _, ok := heapCases[op]; !ok {
				list = validCode(t, h, op, imm)
				require.NotEmpty(t, list, "no operands were found for which the instruction is valid")
			}
			for _, c := range list {
				grown, err := heapOf(t, h, o, c)
				require.NoError(t, err)
				require.Less(t, grown, int64(heapSlack), "bytes kept after a million executions")
			}
			seen += len(list)
		})
	}
	t.Logf("%d instructions", seen)
}

// heapOf returns the growth of the live heap after a module has executed c a million times.
func heapOf(t *testing.T, h *testHost, o Options, c code) (grown int64, err error) {
	t.Helper()
	out, info, err := Rewrite(heapModule(c), o)
	require.NoError(t, err)
	compiled, err := h.runtime.CompileModule(t.Context(), out)
	require.NoError(t, err)
	memory := fixedMemory(make([]byte, 64<<16))
	ctx := experimental.WithMemoryAllocator(t.Context(),
		experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return memory }))
	m, err := h.runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	require.NoError(t, err)
	run, depth := m.ExportedFunction("run"), m.ExportedGlobal(info.DepthExport).(api.MutableGlobal)
	before := liveHeap()
	depth.Set(uint64(o.StackBytes))
	err = run.CallWithStack(ctx, nil)
	grown = liveHeap() - before
	goruntime.KeepAlive(run)
	goruntime.KeepAlive(memory)
	require.NoError(t, m.Close(ctx))
	require.NoError(t, compiled.Close(ctx))
	return grown, err
}
