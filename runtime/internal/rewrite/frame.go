package rewrite

// The size of a compiled frame decides how much stack a recursion takes. The compiler behind us gives every value that does
// not stay in a register a stack slot of its own and never shares slots, so the largest frame that a function can have
// grows with the number of values that live for more than a moment: each assignment of a local variable, each local variable
// wherever different values of it meet, each operand that waits below a call or deep in the operand stack. Most of them do
// stay in registers. The estimate takes a part of a slot for each, which adds up to about what the functions of real
// toolchains need, and is at worst frameSlack times less than what hostile ones can. RATIONALE.md has the measurements.
const (
	frameBaseBytes = 64 // return address, saved registers, alignment
	valueBytes     = 2  // an assignment (the compiler may also keep an address made of it) or an operand that waits
	meetingBytes   = 1

	// frameSlack bounds the ratio of real to estimated stack.
	frameSlack = 8

	// shallowOperands are on top of the operand stack and cheap to hold in registers.
	shallowOperands = 8

	// maxFrameBytes refuses functions whose frame alone, taken before the function can look at its depth, would be large.
	maxFrameBytes = 1 << 20

	// shallowBytes of call stack, estimated, are not worth accounting for.
	shallowBytes = 16 << 10
)

// frameEstimator counts the long-lived values of a function.
type frameEstimator struct {
	m      *module
	size   int // bytes, but for the base and the width
	width  int // slots that a value may take: 2 if the function has vectors
	budget int // meetings of values that may still be counted in the whole module

	set   []uint32 // local variables in the order they were set, without repetition between two meetings
	stamp []uint32 // by local variable: the last meeting that counted it
	clock uint32

	height  int // of the operand stack
	counted int // operands at the bottom of the stack that were counted
}

// begin starts a function with a number of local variables, parameters included; wide says that it has vectors.
func (e *frameEstimator) begin(locals int, wide bool) {
	e.size, e.set, e.width, e.height, e.counted = 0, e.set[:0], 1, 0, 0
	if wide {
		e.width = 2
	}
	if locals > len(e.stamp) {
		e.stamp = make([]uint32, locals)
	}
}

// bytes gives the estimated size of the frame.
func (e *frameEstimator) bytes() int { return frameBaseBytes + e.width*e.size }

// add notes an instruction that is neither structured nor a branch nor a call.
func (e *frameEstimator) add(in *instr) {
	if in.op == opLocalSet || in.op == opLocalTee {
		e.set = append(e.set, in.x)
		e.size += valueBytes
	}
	if in.op>>8 == prefixSIMD {
		e.width = 2
	}
	f := effectOf(in.op)
	e.operands(int(f.takes), int(f.leaves))
}

// call notes a call: the operands below its parameters wait for it. Parameters and results may pass through the stack.
func (e *frameEstimator) call(s Signature) {
	e.operands(len(s.Params), 0)
	e.wait(0)
	e.size += valueBytes * (len(s.Params) + len(s.Results))
	e.operands(0, len(s.Results))
}

// operands takes and leaves values of the operand stack. What is deep in it is counted.
func (e *frameEstimator) operands(takes, leaves int) {
	e.height = max(e.height-takes, 0) // it can seem negative in dead code
	e.counted = min(e.counted, e.height)
	e.height += leaves
	e.wait(shallowOperands)
}

// restart begins anew where control flow meets, with new values above the base of a block.
func (e *frameEstimator) restart(base, values int) {
	e.height, e.counted = base, min(e.counted, base)
	e.operands(0, values)
}

// wait counts the operands but for some on top.
func (e *frameEstimator) wait(top int) {
	if n := e.height - top; n > e.counted {
		e.size += valueBytes * (n - e.counted)
		e.counted = n
	}
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
			e.size += meetingBytes
			e.budget--
		}
	}
	e.set = e.set[:keep]
}
