package rewrite

import "slices"

// summary holds the properties of a function body that the passes need before they write it.
type summary struct {
	calls      []uint32 // functions that it calls directly, including tail calls
	indirect   bool     // has call_indirect or return_call_indirect
	loops      int
	cost       int  // static cost of all instructions, see cost.go
	leadLoop   bool // a loop is entered before any branch or call
	frameBytes int  // estimated size of the compiled frame, see frame.go
}

// scanner reads function bodies. It checks every index against
// the module's definitions and fills in the summaries.
type scanner struct {
	m      *module
	frames []openBlock // reused
	calls  []uint32    // reused; of the current function
	dead   bool        // the instruction is unreachable
	size   frameEstimator
	loops  loopFinder
}

// openBlock is a block that is not closed yet.
type openBlock struct {
	op       uint16
	set      int // length of the estimator's list of set variables at the start
	lastJump int // length of that list at the last jump to the end of the block

	base, params, results int // of the operand stack: height below the parameters, numbers of values
}

func (m *module) readCode(r *reader) {
	n := r.count("function bodies", maxEntries)
	if want := len(m.funcs) - m.importedFuncs; r.err == nil && n != want {
		r.fail(r.pos, ErrInvalid, "%d function bodies, %d functions", n, want)
		return
	}
	m.codeBytes = r.remaining()
	m.bodies = make([]body, n)
	s := &scanner{m: m, size: frameEstimator{m: m, budget: limitMerges.budget(len(m.bin))}}
	localBudget := limitLocals.budget(len(m.bin))
	for i := range m.bodies {
		at := r.pos
		f := r.sub(r.count("bytes of a function body", maxFunctionBytes))
		b := &m.bodies[i]
		f.locals(b)
		if localBudget -= b.locals; f.err == nil && localBudget < 0 {
			f.fail(at, ErrLimit, "too many local variables in all functions together")
		}
		b.at, b.bin, b.code = f.pos, m.bin, span{f.pos, f.end}
		budget := s.size.budget
		s.scan(f, m.importedFuncs+i, b)
		if f.err != nil {
			r.err = f.err
			return
		}
		s.giveLoops(m.importedFuncs+i, b, budget)
	}
	m.leastBytes = max(limitMerges.leastBytes(limitMerges.of(len(m.bin))-int64(s.size.budget)),
		limitLocals.leastBytes(limitLocals.of(len(m.bin))-int64(localBudget)))
}

// giveLoops replaces a function that was scanned by one with loops of their own, unless that is too large. budget is what was
// left before the scan.
func (s *scanner) giveLoops(function int, b *body, budget int) {
	code := s.loops.find(b.bin, b.code)
	if code == nil {
		return
	}
	kept := s.size.budget
	s.size.budget = budget
	looped := *b
	looped.bin, looped.code, looped.summary = code, span{0, len(code)}, summary{}
	r := &reader{bin: code, end: len(code)}
	s.scan(r, function, &looped)
	if r.err != nil {
		s.size.budget = kept
		return
	}
	*b = looped
}

// locals reads the declarations of a function's local variables.
func (r *reader) locals(b *body) {
	n := r.count("groups of local variables", maxLocals)
	for range n {
		at := r.pos
		g := localGroup{n: r.u32(), typ: r.valueType()}
		if r.err != nil {
			return
		}
		if int64(b.locals)+int64(g.n) > maxLocals {
			r.fail(at, ErrLimit, "more than %d local variables", maxLocals)
			return
		}
		b.locals += int(g.n)
		b.groups = append(b.groups, g)
	}
}

// scan reads the instructions of a body and fills in its summary.
func (s *scanner) scan(r *reader, function int, b *body) {
	m, sum := s.m, &b.summary
	params := m.signatureOf(uint32(function)).Params
	locals := uint32(len(params) + b.locals)
	s.frames, s.dead = append(s.frames[:0], openBlock{op: opBlock}), false
	s.size.begin(int(locals), slices.Contains(params, V128) || slices.ContainsFunc(b.groups, localGroup.wide))
	s.calls = s.calls[:0]
	straight := true // no branch or call so far
	var in instr
	for len(s.frames) > 0 {
		if r.next(&in); r.err != nil {
			return
		}
		sum.cost += m.cost(&in)
		switch in.op {
		case opLocalGet, opLocalSet, opLocalTee:
			if in.x >= locals {
				r.fail(in.at, ErrInvalid, "local variable %d does not exist, there are %d", in.x, locals)
				return
			}
			s.size.add(&in)
		case opBlock, opLoop, opIf, opElse, opEnd:
			s.structure(r, &in)
			if in.op == opLoop {
				sum.loops++
				sum.leadLoop = sum.leadLoop || straight
			}
			straight = straight && (in.op == opBlock)
		case opBr, opBrIf, opBrTable, opReturn, opUnreachable:
			if in.op == opBrIf || in.op == opBrTable {
				s.size.operands(1, 0)
			}
			s.labels(r, &in)
			s.dead = s.dead || in.op != opBrIf
			straight = false
		case opCall, opReturnCall, opCallIndirect, opReturnCallIndirect:
			s.call(r, &in, sum)
			s.dead = s.dead || in.op == opReturnCall || in.op == opReturnCallIndirect
			straight = false
		default:
			s.other(r, &in, function)
		}
	}
	s.checkFrame(r, function)
	if r.err == nil && r.pos != r.end {
		r.fail(r.pos, ErrInvalid, "%d bytes after the end of a function", r.remaining())
	}
	sum.frameBytes = s.size.bytes()
	sum.calls = append([]uint32(nil), s.calls...) // not parts of one array: each time it grows, the old one would stay
}

// structure follows the nesting of blocks.
func (s *scanner) structure(r *reader, in *instr) {
	switch top := len(s.frames) - 1; in.op {
	case opElse:
		if s.frames[top].op != opIf {
			r.fail(in.at, ErrInvalid, "else without if")
			return
		}
		s.jump(top)
		s.frames[top].op, s.dead = opElse, false
		s.size.restart(s.frames[top].base, s.frames[top].params)
	case opEnd:
		s.jump(top)
		b := s.frames[top]
		if b.op == opLoop {
			b.lastJump = len(s.size.set) // all variables set in the loop merge at its header
		}
		s.size.meet(b.set, b.lastJump)
		s.size.restart(b.base, b.results)
		s.frames, s.dead = s.frames[:top], false
	default:
		if in.blockType >= int64(len(s.m.types)) {
			r.fail(in.at, ErrInvalid, "block of type %d, there are %d types", in.blockType, len(s.m.types))
			return
		}
		if in.op == opIf {
			s.size.operands(1, 0)
		}
		b := openBlock{op: in.op, set: len(s.size.set), lastJump: len(s.size.set)}
		b.params, b.results = s.m.blockArity(in.blockType)
		b.base = max(s.size.height-b.params, 0)
		if in.op == opLoop {
			s.size.restart(b.base, b.params)
		}
		s.frames = append(s.frames, b)
	}
}

// blockArity returns the numbers of parameters and results of a block.
func (m *module) blockArity(blockType int64) (params, results int) {
	switch {
	case blockType >= 0:
		t := &m.types[blockType]
		return len(t.Params), len(t.Results)
	case blockType == emptyBlock-0x80:
		return 0, 0
	}
	return 0, 1
}

// jump records a jump to the end of an open block.
func (s *scanner) jump(block int) {
	if !s.dead {
		s.frames[block].lastJump = len(s.size.set)
	}
}

func (s *scanner) checkFrame(r *reader, function int) {
	if r.err == nil && (s.size.bytes() > maxFrameBytes || s.size.budget < 0) {
		r.fail(r.pos, ErrLimit, "function %d has too many values for a stack frame", function)
	}
}

// labels checks the label depths of a branch.
func (s *scanner) labels(r *reader, in *instr) {
	check := func(depth uint32) {
		if int64(depth) >= int64(len(s.frames)) {
			r.fail(in.at, ErrInvalid, "branch to label %d, there are %d", depth, len(s.frames))
		}
		if r.err == nil {
			s.jump(len(s.frames) - 1 - int(depth))
		}
	}
	switch in.op {
	case opBr, opBrIf:
		check(in.x)
	case opBrTable:
		t := reader{bin: r.bin, pos: in.operands, end: r.pos}
		t.u32()
		for t.more() {
			check(t.u32())
		}
	}
}

func (s *scanner) call(r *reader, in *instr, sum *summary) {
	switch in.op {
	case opCall, opReturnCall:
		if int64(in.x) >= int64(len(s.m.funcs)) {
			r.fail(in.at, ErrInvalid, "call of function %d, there are %d", in.x, len(s.m.funcs))
			return
		}
		s.calls = append(s.calls, in.x)
		s.size.call(s.m.signatureOf(in.x))
	default:
		s.m.checkIndex(r, in, "type", in.x, len(s.m.types))
		s.m.checkIndex(r, in, "table", in.y, len(s.m.tables))
		sum.indirect = true
		if r.err == nil {
			s.size.operands(1, 0)
			s.size.call(s.m.types[in.x])
		}
	}
}

func (m *module) checkIndex(r *reader, in *instr, what string, index uint32, have int) {
	if r.err == nil && int64(index) >= int64(have) {
		r.fail(in.at, ErrInvalid, "%s %d does not exist, there are %d", what, index, have)
	}
}

// other checks the indexes of the remaining instructions.
func (s *scanner) other(r *reader, in *instr, function int) {
	m := s.m
	switch in.op {
	case opGlobalGet, opGlobalSet:
		m.checkIndex(r, in, "global", in.x, len(m.globals))
	case opTableGet, opTableSet, opTableGrow, opTableSize, opTableFill:
		m.checkIndex(r, in, "table", in.x, len(m.tables))
	case opTableCopy:
		m.checkIndex(r, in, "table", in.x, len(m.tables))
		m.checkIndex(r, in, "table", in.y, len(m.tables))
	case opTableInit:
		m.checkIndex(r, in, "element segment", in.x, m.elemCount)
		m.checkIndex(r, in, "table", in.y, len(m.tables))
	case opElemDrop:
		m.checkIndex(r, in, "element segment", in.x, m.elemCount)
	case opMemoryInit, opDataDrop:
		m.checkIndex(r, in, "data segment", in.x, max(m.dataCount, 0))
		m.usesSegments = true
	case opRefFunc:
		m.checkIndex(r, in, "function", in.x, len(m.funcs))
		if r.err == nil && (m.referenced == nil || !m.referenced[in.x]) {
			r.fail(in.at, ErrInvalid, "reference to function %d, which is neither exported nor in an element segment or global", in.x)
		}
		m.noteRefFunc(r, in.x)
	}
	if r.err == nil {
		m.noteState(in, function)
		s.size.add(in)
	}
}
