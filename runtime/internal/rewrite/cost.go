package rewrite

// Costs count in simple instructions: what a processor does in about a nanosecond or less.
const (
	costDivide = 8
	costAccess = 8 // of memory, where a guest can see to it that each misses the caches
	costCall   = 16
	costGrow   = 256 // leaves the guest and asks the host's allocator
	costBulk   = 256 // up to smallBytes of memory.fill, memory.copy or memory.init

	// gapCost is the largest gap: no path through a function is longer without a check.
	gapCost = 512

	// unitCost is the cost that a unit of fuel stands for, but that a check takes a unit at least.
	unitCost = 32

	// leafCost bounds the functions that take no fuel of their own: without loops and calls, paid by their callers.
	leafCost = 32
)

// cost is the static cost of an instruction, without what the function it calls takes itself.
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
