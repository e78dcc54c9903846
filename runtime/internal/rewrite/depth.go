package rewrite

// Call depth is counted in estimated bytes of stack. The depth global holds what is left for the next function that
// accounts for depth (a deep function): the host sets it before a top-level call; a deep function takes the size of its frame
// from it at its entry, keeps the result in a local variable and writes it to the global before each call of a deep
// function. So the global is right at every entry, and nothing needs to be restored on the way back: whoever calls a deep
// function is deep itself and writes its own value first.

// leaveStack leaves on the operand stack how many bytes are left below this function's frame.
func (b *bodyWriter) leaveStack() {
	c := &b.out
	c.globalGet(b.w.depth)
	c.i64(int64(b.body.summary.frameBytes))
	c.op(opI64Sub)
}

// passDepth writes the depth global before a call of a deep function. A tail call replaces this function's frame.
func (b *bodyWriter) passDepth(tail bool, callee Signature) {
	c := &b.out
	c.localGet(b.left)
	if tail && !stackArguments(callee) {
		c.i64(int64(b.body.summary.frameBytes))
		c.op(opI64Add)
	}
	c.globalSet(b.w.depth)
}

// Registers for parameters and results that the compiler behind us has on every architecture.
const (
	intRegisters   = 6
	floatRegisters = 8
)

// stackArguments reports whether a call can need stack for parameters or results. The compiler makes such a tail call an
// ordinary one.
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

// deepFunctions says for each defined function whether it accounts for depth: it can reach a cycle of calls, or its frame and
// those below it can take more than shallowBytes. The last entry stands for indirect calls.
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
