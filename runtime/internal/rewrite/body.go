package rewrite

// bodyWriter writes function bodies, one after the other. It copies the
// original bytes and replaces or inserts instructions where a pass requires it.
type bodyWriter struct {
	w   *writer
	bin []byte // of the body

	out    code
	copied int // offset in bin up to which the bytes were copied or replaced

	body  *body
	calls bool   // the function calls other functions
	deep  bool   // the function accounts for call depth
	left  uint32 // local variable: bytes of stack left below this frame; only if deep and calls

	labels    []label // open blocks of the original
	depth     int     // number of open blocks in the new code
	relabeled bool    // label depths differ from the original

	path     int   // largest cost since the last fuel check, over all paths to this point
	peak     int   // largest path so far in the innermost open loop, or in the function
	entry    blank // of the check for the function as a whole
	refunds  []refund
	dead     bool // the code is unreachable
	dispatch dispatchFinder
}

// codeEntries returns the contents of the code section: the guest's functions, then the injected ones.
func (w *writer) codeEntries(info *Info) ([]byte, error) {
	b := &bodyWriter{w: w}
	entries := make([]byte, 0, w.m.codeBytes+w.m.codeBytes/8)
	estimate := &estimator{w: w}
	var err error
	if info.Cost, err = w.costOfModule(); err != nil {
		return nil, err
	}
	for i := range w.m.bodies {
		if w.o.Interrupted != nil {
			if err := w.o.Interrupted(); err != nil {
				return nil, err
			}
		}
		b.write(i)
		function := w.m.importedFuncs + i
		c := estimate.function(w.m.signatureOf(uint32(function)), b.out)
		if err := w.addCost(&info.Cost, function, len(b.out), c); err != nil {
			return nil, err
		}
		entries = append(appendU32(entries, uint32(len(b.out))), b.out...)
	}
	w.addWhole(&info.Cost, len(entries))
	for _, h := range w.helpers {
		entries = append(appendU32(entries, uint32(len(h.body))), h.body...)
	}
	return append(appendU32(nil, uint32(len(w.m.bodies)+len(w.helpers))), entries...), nil
}

// write writes the new body of a defined function to out.
func (b *bodyWriter) write(i int) {
	m := b.w.m
	b.body = &m.bodies[i]
	b.bin = b.body.bin
	sum := &b.body.summary
	b.calls, b.deep = len(sum.calls) > 0 || sum.indirect, b.w.deep[i]
	b.left = uint32(len(m.signatureOf(uint32(m.importedFuncs+i)).Params) + b.body.locals)
	b.out, b.copied = b.out[:0], b.body.code.from
	b.labels, b.depth, b.relabeled = append(b.labels[:0], label{}), 1, false
	b.path, b.peak, b.entry, b.dead, b.dispatch = 0, 0, 0, false, dispatchFinder{}
	b.refunds = b.refunds[:0]
	b.locals()
	b.enter()
	r := &reader{bin: b.bin, pos: b.body.code.from, end: b.body.code.to}
	var in instr
	for r.pos < r.end {
		r.next(&in)
		b.instruction(r, &in)
	}
	b.flush(r.end)
	b.fillIn(b.entry, b.peak)
	b.repay()
}

// locals copies the declarations of local variables and appends the injected one.
func (b *bodyWriter) locals() {
	groups := b.body.groups
	if b.deep && b.calls {
		groups = append(groups[:len(groups):len(groups)], localGroup{1, I64})
	}
	b.out = appendU32(b.out, uint32(len(groups)))
	for _, g := range groups {
		b.out = append(appendU32(b.out, g.n), byte(g.typ))
	}
}

// enter writes the checks at the function's entry.
func (b *bodyWriter) enter() {
	sum, c := &b.body.summary, &b.out
	leaf := sum.loops == 0 && !b.calls && sum.cost <= leafCost
	fuel := !leaf && !sum.leadLoop // a loop at the very beginning takes the fuel itself
	switch {
	case b.deep && b.calls && fuel:
		// One branch for both checks: left | fuel is negative if either is.
		b.leaveStack()
		c.localTee(b.left)
		b.entry = b.takeFuel(1)
		c.op(opI64Or)
		b.ifNegative()
		c.localGet(b.left)
		c.call(b.w.reenter)
		c.op(opEnd)
		return
	case b.deep:
		b.leaveStack()
		if b.calls {
			c.localTee(b.left)
		}
		b.ifNegative()
		c.call(b.w.overflow)
		c.op(opUnreachable, opEnd) // unreachable: the code after it has one predecessor, so values stay in registers
	}
	if fuel {
		b.entry = b.checkFuel(1)
	}
}

func (b *bodyWriter) ifNegative() {
	b.out.i64(0)
	b.out.op(opI64LtS)
	b.out.block(opIf, emptyBlock)
}

// flush copies the original up to offset to.
func (b *bodyWriter) flush(to int) {
	b.out = append(b.out, b.bin[b.copied:to]...)
	b.copied = to
}

// replace drops the instruction that r has just read. The caller writes its replacement.
func (b *bodyWriter) replace(r *reader, in *instr) {
	b.flush(in.at)
	b.copied = r.pos
}

func (b *bodyWriter) instruction(r *reader, in *instr) {
	b.findDispatch(r, in)
	b.walk(in)
	switch in.op {
	case opBlock, opIf, opElse, opLoop, opEnd:
		b.structure(r, in)
	case opBr, opBrIf:
		b.branch(r, in)
	case opBrTable:
		b.branchTable(r, in)
	case opReturn, opUnreachable:
		b.dead = true
	case opCall, opReturnCall:
		b.call(r, in)
	case opCallIndirect, opReturnCallIndirect:
		b.callIndirect(in)
	case opRefFunc:
		b.replace(r, in)
		b.out.globalGet(b.w.references + uint32(b.w.m.refOrder[in.x]))
	case opMemoryGrow, opMemoryCopy, opMemoryFill, opMemoryInit:
		b.replace(r, in)
		b.out.call(b.w.memoryHelper(in))
	case opTableGrow, opTableFill, opTableCopy, opTableInit:
		b.flush(in.at)
		b.checkFuel(b.w.tableUnits())
	}
}

// call shifts the callee's index and passes the remaining stack to the callee.
func (b *bodyWriter) call(r *reader, in *instr) {
	m := b.w.m
	b.replace(r, in)
	tail := in.op == opReturnCall
	if f := int(in.x) - m.importedFuncs; f >= 0 && b.w.deep[f] {
		b.passDepth(tail, m.signatureOf(in.x))
	}
	if !b.accessContext(in.x, tail) {
		b.out.index(byte(in.op), b.w.shift(in.x))
	}
	b.dead = b.dead || tail
}

func (b *bodyWriter) callIndirect(in *instr) {
	m := b.w.m
	tail := in.op == opReturnCallIndirect
	if b.w.deep[len(m.bodies)] {
		b.flush(in.at)
		b.passDepth(tail, m.types[in.x])
	}
	b.dead = b.dead || tail
}
