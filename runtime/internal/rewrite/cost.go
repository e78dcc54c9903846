package rewrite

// Costs are in simple instructions, each about a nanosecond or less on a processor.
const (
	costDivide = 8
	costAccess = 8 // of memory; a guest can arrange that each access misses the caches
	costCall   = 16
	costGrow   = 256 // leaves the guest and calls the host's allocator
	costBulk   = 256 // up to smallBytes of memory.fill, memory.copy or memory.init

	// gapCost is the largest gap: no path through a function is longer without a check.
	gapCost = 512

	// unitCost is the cost that one unit of fuel stands for. A check takes at least one unit.
	unitCost = 32

	// leafCost bounds the functions that take no fuel themselves. They
	// have no loops and no calls, and their callers pay for them.
	leafCost = 32
)

// cost returns the static cost of an instruction. It excludes the fuel that a callee takes itself.
func (m *module) cost(in *instr) int {
	switch op := in.op; {
	case op == opEnd || op == opBlock || op == opNop || op == opElse:
		return 0
	case op == opCall || op == opReturnCall || op == opCallIndirect || op == opReturnCallIndirect:
		return costCall + leafCost
	case op >= opI32DivS && op <= opI32RemU, op >= opI64DivS && op <= opI64RemU,
		op == opF32Sqrt, op == opF32Div, op == opF64Sqrt, op == opF64Div:
		return costDivide
	case op >= opI32Load && op <= opI64Store32, op >= opV128Load && op <= opV128Store,
		op >= opV128Load8Lane && op <= opV128Load64Zero:
		return costAccess
	case op == opMemoryGrow:
		return costGrow
	case op == opMemoryFill || op == opMemoryCopy || op == opMemoryInit:
		return costBulk
	case op == opBrTable:
		return 4
	}
	return 1
}
