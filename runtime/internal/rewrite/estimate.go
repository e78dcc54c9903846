package rewrite

// Cost is an estimate of compiling a module: processor time in nanoseconds,
// peak memory in bytes for the largest function, and machine code in bytes.
type Cost struct{ Nanoseconds, MemoryBytes, CodeBytes int64 }

// estimator walks a rewritten function body as the compiler does and adds up its
// cost. The body may be invalid, because wazero validates it later, before compiling.
type estimator struct {
	w    *writer
	time int64 // limit in ns: a function beyond it is refused
	cost Cost
	code code
	live liveness

	frames []costFrame
	sets   []uint32 // local variables in the order they were set, unique between two merges
	stamp  []int64  // by local variable: the last merge that counted it
	clock  int64
	defs   []int64 // by local variable: value of blocks when it was last set
	known  []bool  // by local variable: a memory access has bounds checked it as an address

	at      int   // instructions so far
	loops   int   // loops opened so far
	height  int64 // of the operand stack
	dead    int   // blocks opened in dead code; the code is dead if this is not 0 or the frame is dead
	blocks  int64
	depth   int64 // of the block in the dominator tree
	chain   int64 // blocks since the last one with several predecessors
	bounds  int64 // addresses known to be in bounds
	address int64 // local variable read by the last instruction, or -1
}

// costFrame is an open block.
type costFrame struct {
	op              uint16
	loop            int   // number of the loop, counted by loop starts
	dead            bool  // the rest of the block is unreachable
	results, params int64 // numbers of values
	base            int64 // height below the parameters
	set             int   // length of sets at the start
	depth, chain    int64 // at the start
	bounds          int64
	jumps           meeting
}

// function estimates one body: local declarations and instructions.
func (e *estimator) function(s Signature, bin []byte) Cost {
	r := &reader{bin: bin, end: len(bin)}
	var b body
	r.locals(&b)
	e.time = limitFunctionTime.of(len(bin))
	locals := len(s.Params) + b.locals
	e.begin(s, locals)
	e.code = code(bin[r.pos:])
	e.live.scan(e, locals, len(s.Params))
	r = &reader{bin: e.code, end: len(e.code)}
	var in instr
	for len(e.frames) > 0 && r.err == nil && !e.over() {
		r.next(&in)
		e.at++
		e.instruction(r, &in)
	}
	e.cost.Nanoseconds += byteTime * e.cost.MemoryBytes
	return e.cost
}

// over reports whether the estimate already exceeds a limit.
func (e *estimator) over() bool {
	return e.cost.Nanoseconds > e.time || e.cost.MemoryBytes > limitFunctionMemory.most
}

func (e *estimator) begin(s Signature, locals int) {
	values := int64(len(s.Params) + len(s.Results))
	e.cost = Cost{functionTime + localTime*int64(locals), functionMemory, functionCode}
	e.add(weightValue, values)
	if grow := locals - len(e.stamp); grow > 0 {
		e.stamp = append(e.stamp, make([]int64, grow)...)
		e.defs = append(e.defs, make([]int64, grow)...)
		e.known = append(e.known, make([]bool, grow)...)
	}
	clear(e.defs[:locals])
	clear(e.known[:locals])
	e.frames = append(e.frames[:0], costFrame{op: opBlock, results: int64(len(s.Results))})
	e.sets, e.at, e.loops, e.height, e.dead, e.blocks, e.depth, e.chain, e.bounds, e.address = e.sets[:0], 0, 0, 0, 0, 1, 1, 0, 0, -1
}

// add adds a weight n times.
func (e *estimator) add(w weight, n int64) {
	e.cost.CodeBytes += n * w.code
	e.cost.MemoryBytes += n * w.memory
}

func (e *estimator) step(n int64) { e.cost.Nanoseconds += stepTime * n }

func (e *estimator) top() *costFrame { return &e.frames[len(e.frames)-1] }

func (e *estimator) instruction(r *reader, in *instr) {
	address := e.address
	e.address = -1
	switch in.op {
	case opBlock, opLoop, opIf, opElse, opEnd:
		e.structure(in)
		return
	}
	if e.dead > 0 || e.top().dead {
		return
	}
	switch in.op {
	case opBr, opBrIf, opBrTable, opReturn, opUnreachable:
		e.branch(r, in)
	case opCall, opReturnCall, opCallIndirect, opReturnCallIndirect:
		e.call(in)
	default:
		e.other(in, address)
	}
}

func (e *estimator) other(in *instr, address int64) {
	w := weightOf(in.op)
	e.add(w, 1)
	f := effectOf(in.op)
	e.height = max(e.height-int64(f.takes), 0) + int64(f.leaves)
	local := int64(in.x)
	switch in.op {
	case opLocalGet:
		if local < int64(len(e.defs)) {
			e.step(min(e.chain, e.blocks-e.defs[local]))
			e.address = local
		}
	case opLocalSet, opLocalTee:
		if local < int64(len(e.defs)) {
			e.defs[local], e.known[local] = e.blocks, false
			e.sets = append(e.sets, in.x)
		}
	case opGlobalGet, opMemorySize:
		e.step(e.chain)
	}
	if w.memory >= weightLoad.memory { // a memory or table access looks up base and length
		e.step(2 * e.chain)
		if address < 0 || !e.known[address] {
			e.bounds++
		}
		if address >= 0 {
			e.known[address] = true
		}
	}
}

func (e *estimator) call(in *instr) {
	var s Signature
	switch in.op {
	case opCall, opReturnCall:
		e.add(weightCall, 1)
		s = e.w.newSignature(in.x)
	default:
		e.add(weightInvoke, 1)
		e.height--
		s = e.w.newType(in.x)
	}
	e.add(weightValue, int64(len(s.Params)+len(s.Results)))
	e.cost.Nanoseconds += reloadTime * int64(e.w.mutableGlobals)
	e.cost.MemoryBytes += reloadMemory * int64(e.w.mutableGlobals)
	e.height = max(e.height-int64(len(s.Params)), 0) + int64(len(s.Results))
	if in.op == opReturnCall || in.op == opReturnCallIndirect {
		e.top().dead = true
	}
}

// jump adds a branch to a label. bounds is the number of addresses known to be in bounds.
func (e *estimator) jump(label uint32, bounds int64) {
	if int(label) >= len(e.frames) {
		return
	}
	f := &e.frames[len(e.frames)-1-int(label)]
	values := f.results
	if f.op == opLoop {
		values = f.params
	}
	if int(label) == len(e.frames)-1 {
		e.add(weightValue, values) // a return
	}
	e.add(weightValue, values)
	f.jumps.add(e.depth, bounds)
}

// block begins a new compiler block with one predecessor.
func (e *estimator) block() {
	e.add(weightBlock, 1)
	e.step(2*e.depth + e.chain/8)
	e.blocks++
	e.depth++
	e.chain++
	e.carry()
}

// carry adds the state that a new block takes over.
func (e *estimator) carry() {
	e.cost.MemoryBytes += boundMemory*e.bounds + liveMemory*e.height
	e.cost.Nanoseconds += boundTime*e.bounds + liveTime*e.height
}

// trampolines adds n blocks on edges to other blocks.
func (e *estimator) trampolines(n int64) {
	e.add(weightBlock, n)
	e.step(2 * n * e.depth)
	e.blocks += n
}

func (e *estimator) branch(r *reader, in *instr) {
	switch in.op {
	case opBr:
		e.add(weightBranch, 1)
		e.jump(in.x, e.bounds)
	case opBrIf:
		e.height = max(e.height-1, 0)
		e.add(weightBranch, 2)
		e.jump(in.x, e.bounds)
		e.trampolines(1)
		e.block()
		return
	case opBrTable:
		e.height = max(e.height-1, 0)
		t := reader{bin: e.code, pos: in.operands, end: r.pos}
		for t.u32(); t.more(); {
			e.jump(t.u32(), 0)
		}
		n := int64(in.x) + 1
		e.trampolines(n)
		e.add(weight{targetCode, targetCode}, n)
	case opReturn:
		e.add(weightBranch, 1)
		e.jump(uint32(len(e.frames)-1), e.bounds)
	}
	e.top().dead = true
}

func (e *estimator) structure(in *instr) {
	switch in.op {
	case opElse:
		e.orElse()
	case opEnd:
		e.end()
	default:
		if in.op == opLoop {
			e.loops++
		}
		if e.dead > 0 || e.top().dead {
			e.dead++
			return
		}
		e.open(in)
	}
}

func (e *estimator) open(in *instr) {
	f := costFrame{op: in.op, loop: e.loops, set: len(e.sets)}
	if in.op == opIf {
		e.height = max(e.height-1, 0)
		e.add(weightBranch, 2)
	}
	f.params, f.results = e.w.newBlock(in.blockType)
	f.base = max(e.height-f.params, 0)
	f.depth, f.chain, f.bounds = e.depth, e.chain, e.bounds
	e.frames = append(e.frames, f)
	e.add(weightBlock, 1) // the block after it
	switch in.op {
	case opLoop:
		e.add(weightValue, f.params)
		e.top().jumps.add(e.depth, e.bounds)
		e.block()
		e.chain = 0
	case opIf:
		e.trampolines(1)
		e.block()
	}
}

func (e *estimator) orElse() {
	if e.dead > 0 || len(e.frames) == 0 {
		return
	}
	f := e.top()
	if !f.dead {
		e.arrive(f)
	}
	f.op, f.dead = opElse, false
	e.depth, e.chain, e.bounds, e.height = f.depth, f.chain, f.bounds, f.base+f.params
	e.block()
}

// arrive adds the path that falls through to the end of a block.
func (e *estimator) arrive(f *costFrame) {
	e.add(weightValue, f.results)
	f.jumps.add(e.depth, e.bounds)
}

func (e *estimator) end() {
	if e.dead > 0 {
		e.dead--
		return
	}
	f := e.top()
	if f.op == opLoop {
		e.loopEnd(f)
	} else {
		if !f.dead {
			e.arrive(f)
		}
		if f.op == opIf {
			f.jumps.add(f.depth, 0) // the compiler drops the bounds on the path around the if
			e.add(weightValue, f.params)
		}
		e.meet(f)
	}
	height := f.base + f.results
	ways := f.jumps.ways
	e.frames = e.frames[:len(e.frames)-1]
	if e.height = height; ways == 0 && len(e.frames) > 0 {
		e.top().dead = true
	}
}

// loopEnd adds the phis of a loop. Each variable that is
// read in the loop has one at the header, redundant or not.
func (e *estimator) loopEnd(f *costFrame) {
	variables := e.live.loopReads(f.loop)
	e.phis(f.params, variables, f.jumps.ways, true)
	e.step(f.jumps.depths + variables*(f.chain+e.chain))
	e.add(weightPhi, min(variables, e.meetings(f.set))*f.jumps.ways)
	if f.dead {
		f.jumps.ways = 0
		return
	}
	f.jumps.ways = 1
	e.block()
}

// meet begins the block after a closed block.
func (e *estimator) meet(f *costFrame) {
	j := &f.jumps
	switch {
	case j.ways == 0:
		return
	case j.ways == 1:
		e.depth, e.bounds = j.shallowest, j.bounds
		e.block()
		return
	}
	variables := e.meetings(f.set)
	e.phis(f.results, variables, j.ways, false)
	e.add(weightPhi, variables*min(j.ways, 2))
	e.step(j.depths + 2*(j.depths-j.ways*j.shallowest) + j.ways*j.ways/8)
	e.cost.Nanoseconds += stepTime * j.ways * min(j.bounds, 1<<20)
	e.depth, e.bounds = j.shallowest, j.bounds
	e.block()
	e.chain = 0
}
