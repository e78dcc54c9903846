package rewrite

// Call depth is counted in estimated bytes of stack. The depth global holds the stack left for
// the next deep function, which is a function that accounts for depth. The host sets it before
// a top-level call. A deep function subtracts the size of its frame at its entry and keeps the
// result in a local variable. It writes that to the global before each call of a deep function,
// so the global is correct at every entry. Nothing has to be restored on return, because the
// caller of a deep function is itself deep and writes its own value before the next call.

// leaveStack pushes the number of bytes left below this function's frame.
func (b *bodyWriter) leaveStack() {
	c := &b.out
	c.globalGet(b.w.depth)
	c.i64(int64(b.body.summary.frameBytes))
	c.op(opI64Sub)
}

// passDepth writes the depth global before a call of a deep
// function. A tail call replaces this function's frame.
func (b *bodyWriter) passDepth(tail bool, callee Signature) {
	c := &b.out
	c.localGet(b.left)
	if tail && !stackArguments(callee) {
		c.i64(int64(b.body.summary.frameBytes))
		c.op(opI64Add)
	}
	c.globalSet(b.w.depth)
}

// Registers for parameters and results that wazero's compiler has on every architecture.
const (
	intRegisters   = 6
	floatRegisters = 8
)

// stackArguments reports whether a call can need stack for parameters or
// results. The compiler turns such a tail call into an ordinary call.
func stackArguments(s Signature) bool {
	over := func(types []ValueType) bool {
		ints, floats := 0, 0
		for _, t := range types {
			if t == F32 || t == F64 || t == V128 {
				floats++
			} else {
				ints++
			}
		}
		return ints > intRegisters || floats > floatRegisters
	}
	return over(s.Params) || over(s.Results)
}

// deepFunctions reports, for each defined function, whether it accounts for depth.
// It does if it can reach a cycle of calls, or if its frame and those below it can
// take more than shallowBytes. The last entry stands for indirect calls.
func (m *module) deepFunctions() []bool {
	g := newCallGraph(m)
	deep := make([]bool, len(g.index))
	height := make([]int64, len(g.index)) // bytes of stack from the function down
	g.components(func(component []int32) {
		cyclic := len(component) > 1
		var below int64
		for _, node := range component {
			for i := range g.degree(node) {
				if to := g.callee(node, i); to >= 0 {
					cyclic = cyclic || to == node || deep[to]
					below = max(below, height[to])
				}
			}
		}
		for _, node := range component {
			height[node] = below
			if node != g.indirect {
				height[node] += int64(m.bodies[node].summary.frameBytes)
			}
			deep[node] = cyclic || height[node] > shallowBytes
		}
	})
	return deep
}
