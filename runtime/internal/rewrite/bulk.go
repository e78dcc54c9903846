package rewrite

import "strconv"

// Bulk memory instructions can run for milliseconds without a preemption point, which delays the host's
// scheduler and garbage collector. Large ones are therefore split into chunks with a fuel check before each.
const (
	smallBytes    = 4096 // done in one instruction
	chunkBytes    = 64 << 10
	bulkUnitBytes = 64 // bytes for one unit of fuel
)

// memoryHelper returns the function that replaces a memory instruction. It injects the function on first use.
func (w *writer) memoryHelper(in *instr) uint32 {
	key := uint64(in.op)<<32 | uint64(in.x)
	if f, ok := w.memory[key]; ok {
		return f
	}
	three := Signature{Params: []ValueType{I32, I32, I32}}
	var f uint32
	switch in.op {
	case opMemoryGrow:
		f = w.addHelper("memory.grow", Signature{Params: []ValueType{I32}, Results: []ValueType{I32}}, 0, w.growBody())
	case opMemoryFill:
		f = w.addHelper("memory.fill", three, 1, w.bulkBody(bulk{op: opMemoryFill}))
	case opMemoryCopy:
		f = w.addHelper("memory.copy", three, 1, w.bulkBody(bulk{op: opMemoryCopy, source: true, overlap: true}))
	case opMemoryInit:
		f = w.addHelper("memory.init "+strconv.Itoa(int(in.x)), three, 1, w.bulkBody(bulk{op: opMemoryInit, segment: in.x, source: true}))
	}
	w.memory[key] = f
	return f
}

// growBody returns the body of memory.grow. It sets a flag if the growth is refused.
func (w *writer) growBody() (c code) {
	c.localGet(0)
	c.op(opMemoryGrow, 0)
	c.localTee(0)
	c.i32(-1)
	c.op(opI32Eq)
	c.block(opIf, emptyBlock)
	c.i32(1)
	c.globalSet(w.refused)
	c.op(opEnd)
	c.localGet(0)
	return c
}

// bulk describes a bulk memory instruction with the operands (destination, source or value, size).
type bulk struct {
	op      uint16
	segment uint32 // of memory.init
	source  bool   // the second operand is an address or offset that advances with the chunks
	overlap bool   // the source is in memory: it is bounds checked too, and may overlap
}

// Local variables of the helper functions.
const (
	bulkTo = iota
	bulkFrom
	bulkSize
	bulkChunk
)

// emit writes the instruction; its operands are on the stack.
func (k bulk) emit(c *code) {
	c.op(prefixMisc, byte(k.op))
	switch k.op {
	case opMemoryFill:
		c.op(0)
	case opMemoryCopy:
		c.op(0, 0)
	case opMemoryInit:
		*c = append(appendU32(*c, k.segment), 0)
	}
}

// bulkBody executes the instruction directly for small sizes, and for regions beyond the
// memory: the instruction traps before it writes anything. Other sizes are split into
// chunks. A copy to a higher address starts at the end, because the regions may overlap.
func (w *writer) bulkBody(k bulk) (c code) {
	operands := func() {
		c.localGet(bulkTo)
		c.localGet(bulkFrom)
		c.localGet(bulkSize)
	}
	c.localGet(bulkSize)
	c.i32(smallBytes)
	c.op(opI32LeU)
	beyondMemory(&c, bulkTo)
	c.op(opI32Or)
	if k.overlap {
		beyondMemory(&c, bulkFrom)
		c.op(opI32Or)
	}
	c.block(opIf, emptyBlock)
	operands()
	k.emit(&c)
	c.op(opReturn, opEnd)
	if !k.overlap {
		w.chunks(&c, k, false)
		return c
	}
	c.localGet(bulkTo)
	c.localGet(bulkFrom)
	c.op(opI32LeU)
	c.block(opIf, emptyBlock)
	w.chunks(&c, k, false)
	c.op(opElse)
	w.chunks(&c, k, true)
	c.op(opEnd)
	return c
}

// beyondMemory pushes 1 if the region of bulkSize bytes at an address ends beyond the memory.
func beyondMemory(c *code, address uint32) {
	c.localGet(address)
	c.op(opI64ExtendI32U)
	c.localGet(bulkSize)
	c.op(opI64ExtendI32U, opI64Add)
	c.op(opMemorySize, 0, opI64ExtendI32U)
	c.i64(16)
	c.op(opI64Shl, opI64GtU)
}

// chunks writes the loop over the chunks.
func (w *writer) chunks(c *code, k bulk, backward bool) {
	c.block(opLoop, emptyBlock)
	w.nextChunk(c)
	if backward {
		c.localGet(bulkSize)
		c.localGet(bulkChunk)
		c.op(opI32Sub)
		c.localSet(bulkSize)
	}
	for _, operand := range []uint32{bulkTo, bulkFrom} {
		c.localGet(operand)
		if backward {
			c.localGet(bulkSize)
			c.op(opI32Add)
		}
	}
	c.localGet(bulkChunk)
	k.emit(c)
	if !backward {
		advance(c, bulkTo, opI32Add)
		if k.source {
			advance(c, bulkFrom, opI32Add)
		}
		advance(c, bulkSize, opI32Sub)
	}
	c.localGet(bulkSize)
	c.brIf(0)
	c.op(opEnd)
}

// nextChunk sets the size of the next chunk and takes the fuel for it.
func (w *writer) nextChunk(c *code) {
	c.localGet(bulkSize)
	c.i32(chunkBytes)
	c.localGet(bulkSize)
	c.i32(chunkBytes)
	c.op(opI32LtU, opSelect)
	c.localSet(bulkChunk)
	c.globalGet(w.fuel)
	c.i64(chunkBytes / bulkUnitBytes)
	c.op(opI64Sub)
	c.globalSet(w.fuel)
	c.globalGet(w.fuel)
	c.i64(0)
	c.op(opI64LtS)
	c.block(opIf, emptyBlock)
	c.call(w.refuel)
	c.op(opEnd)
}

func advance(c *code, local uint32, op byte) {
	c.localGet(local)
	c.localGet(bulkChunk)
	c.op(op)
	c.localSet(local)
}
