package rewrite

// The size of a compiled frame is what decides how much stack a recursion takes. The compiler behind us gives every value
// that does not stay in a register a stack slot of its own and never shares slots, so a frame grows with the number of
// values of a function: one for each instruction at most, and one for each local variable at each point where different
// values of it meet. Most of them do stay in registers; the estimate takes an eighth of the largest possible frame, which
// is more than the frames that real toolchains get, and at worst frameSlack times less than hostile ones.
// RATIONALE.md has the measurements.
const (
	frameBaseBytes = 64 // return address, saved registers, alignment

	// frameSlack bounds the ratio of real to estimated stack.
	frameSlack = 8

	// maxFrameBytes refuses functions whose frame alone, taken before the function can look at its depth, would be large.
	maxFrameBytes = 1 << 20

	// shallowBytes of call stack, estimated, are not worth accounting for.
	shallowBytes = 16 << 10
)

// frameEstimator counts the values of a function.
type frameEstimator struct {
	m      *module
	bytes  int
	budget int // meetings of values that may still be counted in the whole module

	set   []uint32 // local variables in the order they were set, without repetition between two meetings
	stamp []uint32 // by local variable: the last meeting that counted it
	clock uint32
	width int // slots that a local variable may take: 2 if the function has vectors
}

// begin starts a function with a number of local variables, parameters included; wide says that some are vectors.
func (e *frameEstimator) begin(locals int, wide bool) {
	e.bytes, e.set, e.width = frameBaseBytes, e.set[:0], 1
	if wide {
		e.width = 2
	}
	if locals > len(e.stamp) {
		e.stamp = make([]uint32, locals)
	}
}

// add counts the values that an instruction makes.
func (e *frameEstimator) add(in *instr) {
	switch in.op {
	case opLocalSet, opLocalTee:
		e.set = append(e.set, in.x)
	case opCall, opReturnCall:
		e.addSignature(e.m.signatureOf(in.x))
	case opCallIndirect, opReturnCallIndirect:
		e.addSignature(e.m.types[in.x])
	case opBlock, opLoop, opIf:
		if in.blockType >= 0 {
			e.addSignature(e.m.types[in.blockType])
		}
	}
	if in.op>>8 == prefixSIMD {
		e.bytes++ // twice as wide
	}
	e.bytes++
}

func (e *frameEstimator) addSignature(s Signature) {
	e.bytes += len(s.Params) + len(s.Results)
}

// meet counts the local variables that were set in set[from:to], between a block's begin and the last jump to the point
// where control flow meets.
func (e *frameEstimator) meet(from, to int) {
	if from == to {
		return
	}
	e.clock++
	keep := from
	for i, local := range e.set[from:] {
		if e.stamp[local] == e.clock {
			continue
		}
		e.stamp[local] = e.clock
		e.set[keep] = local
		keep++
		if from+i < to {
			e.bytes += e.width
			e.budget--
		}
	}
	e.set = e.set[:keep]
}
