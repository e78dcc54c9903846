package rewrite

// A recursion's use of stack depends on the size of its compiled frame. wazero's compiler assigns a separate
// stack slot to every value that does not stay in a register, and never shares slots. So the largest possible
// frame of a function grows with the number of long-lived values: each assignment of a local variable, each
// local variable at each merge of different values, and each operand below a call or deep in the operand stack.
//
// Most of these do stay in registers. The estimate counts a part of a slot for each, which adds up to about the
// frames of functions from real toolchains. For hostile functions it is too low by a factor of at most
// frameSlack. RATIONALE.md has the measurements.
const (
	frameBaseBytes = 64 // return address, saved registers, alignment
	valueBytes     = 2  // an assignment (the compiler may also keep an address derived from it) or a waiting operand
	meetingBytes   = 1

	// frameSlack bounds the ratio of real to estimated stack.
	frameSlack = 8

	// shallowOperands are on top of the operand stack and usually stay in registers.
	shallowOperands = 8

	// maxFrameBytes is the largest frame accepted. A function's
	// frame is allocated before the function can check its depth.
	maxFrameBytes = 1 << 20

	// shallowBytes is the estimated call stack below which a function does not account for depth.
	shallowBytes = 16 << 10
)

// frameEstimator counts the long-lived values of a function.
type frameEstimator struct {
	m      *module
	size   int // bytes, without the base and before the width is applied
	width  int // slots that a value may take: 2 if the function has vectors
	budget int // number of merged values that may still be counted in the whole module

	set   []uint32 // local variables in the order they were set, unique between two merges
	stamp []uint32 // by local variable: the last merge that counted it
	clock uint32

	height  int // of the operand stack
	counted int // number of operands, from the bottom of the stack, that were counted
}

// begin starts a function. locals includes the parameters; wide reports whether the function has vectors.
func (e *frameEstimator) begin(locals int, wide bool) {
	e.size, e.set, e.width, e.height, e.counted = 0, e.set[:0], 1, 0, 0
	if wide {
		e.width = 2
	}
	if locals > len(e.stamp) {
		e.stamp = make([]uint32, locals)
	}
}

// bytes returns the estimated size of the frame.
func (e *frameEstimator) bytes() int { return frameBaseBytes + e.width*e.size }

// add adds an instruction other than structured control, a branch or a call.
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

// call adds a call. The operands below its parameters wait
// for it. Parameters and results may pass through the stack.
func (e *frameEstimator) call(s Signature) {
	e.operands(len(s.Params), 0)
	e.wait(0)
	e.size += valueBytes * (len(s.Params) + len(s.Results))
	e.operands(0, len(s.Results))
}

// operands pops and pushes values of the operand stack, and counts the values that become deep.
func (e *frameEstimator) operands(takes, leaves int) {
	e.height = max(e.height-takes, 0) // it can be negative in dead code
	e.counted = min(e.counted, e.height)
	e.height += leaves
	e.wait(shallowOperands)
}

// restart sets the operand stack at a merge: new values above the base of a block.
func (e *frameEstimator) restart(base, values int) {
	e.height, e.counted = base, min(e.counted, base)
	e.operands(0, values)
}

// wait counts all operands except some on top.
func (e *frameEstimator) wait(top int) {
	if n := e.height - top; n > e.counted {
		e.size += valueBytes * (n - e.counted)
		e.counted = n
	}
}

// meet counts the local variables in set[from:to]: those set
// between the start of a block and the last jump to the merge.
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
