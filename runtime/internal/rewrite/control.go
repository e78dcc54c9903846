package rewrite

// label is an open block of the original code.
type label struct {
	id     int // offset of the instruction that opened it; identifies it
	opener uint16
	at     int // number of its block in the new code, counted from the outermost
	shape  loopShape
	fuel   blank // of a loop's check
	before int   // peak before a loop

	arrived int // largest cost of the paths that branch to its end, -1 for none
	skipped int // of an if: cost of the path around it
	jumps   *jumpTable
}

// loopShape is the form of a loop's fuel check.
type loopShape byte

const (
	notLoop    loopShape = iota
	coldLoop             // branches to a block after the body, which refuels and returns to the header
	inlineLoop           // refuels in an if at the header
)

// coldLoopBlocks is the number of blocks of a coldLoop, including the loop itself.
const coldLoopBlocks = 4

func (b *bodyWriter) structure(r *reader, in *instr) {
	switch in.op {
	case opBlock, opIf:
		b.labels = append(b.labels, label{id: in.at, opener: in.op, at: b.depth, arrived: -1, skipped: b.path})
		b.depth++
	case opElse:
		l := &b.labels[len(b.labels)-1]
		b.arrive(l)
		l.opener, b.path, b.dead = opElse, l.skipped, false
	case opLoop:
		b.loop(r, in)
	case opEnd:
		b.end(r)
	}
}

// loop opens a loop. The usual form is
//
//	block $exit (results)
//	  loop $l
//	    block $cold
//	      take fuel, br_if $cold
//	      block (results)
//	        ...body...
//	      end
//	      br $exit
//	    end
//	    call $again (units)
//	    br $l
//	  end
//	end
//
// The innermost block keeps invalid code invalid. Validation accepts any values on the stack before br $exit,
// so without the block a body that leaves too many values would become valid. An if with a call would be
// shorter. But the compiler reloads the base and length of the memory wherever control flow merges, which
// would be once per iteration. A loop with parameters cannot branch to $cold without them, so it uses the if.
func (b *bodyWriter) loop(r *reader, in *instr) {
	blockType := b.bin[in.operands:r.pos]
	b.replace(r, in)
	c, l := &b.out, label{id: in.at, opener: in.op, arrived: -1, before: b.peak}
	b.peak = 0
	if in.blockType >= 0 && len(b.w.m.types[in.blockType].Params) > 0 {
		c.block(opLoop, blockType...)
		l.at, l.shape = b.depth, inlineLoop
		b.depth++
		l.fuel = b.checkFuel(1)
	} else {
		c.block(opBlock, blockType...)
		c.block(opLoop, blockType...)
		c.block(opBlock, emptyBlock)
		l.fuel = b.takeFuel(1)
		c.i64(0)
		c.op(opI64LtS)
		c.brIf(0)
		c.block(opBlock, blockType...)
		l.at, l.shape = b.depth+1, coldLoop
		b.depth += coldLoopBlocks
		b.relabeled, b.path = true, 0
	}
	if b.body.summary.leadLoop && b.entry == 0 {
		b.entry = l.fuel
	}
	b.labels = append(b.labels, l)
}

// end closes a block and merges the paths that lead to its end.
func (b *bodyWriter) end(r *reader) {
	l := &b.labels[len(b.labels)-1]
	if l.opener == opIf {
		l.arrived = max(l.arrived, l.skipped)
	}
	b.arrive(l)
	b.path, b.dead = max(l.arrived, 0), l.arrived < 0
	if l.shape != notLoop {
		b.fillIn(l.fuel, b.peak)
		b.peak = max(b.peak, l.before)
	}
	if l.shape == coldLoop {
		b.flush(r.pos)
		c := &b.out
		c.br(2)
		c.op(opEnd)
		c.i64(1)
		b.refunds = append(b.refunds, refund{of: l.fuel, at: blank(len(*c) - 1)})
		c.call(b.w.again)
		c.br(0)
		c.op(opEnd, opEnd)
		b.depth -= coldLoopBlocks - 1
	}
	b.depth--
	b.labels = b.labels[:len(b.labels)-1]
}

// arrive records that the current path leads to the end of l.
func (b *bodyWriter) arrive(l *label) {
	if !b.dead {
		l.arrived = max(l.arrived, b.path)
	}
}

// target returns the new depth of a label and records that the current path leads there.
func (b *bodyWriter) target(depth uint32) uint32 {
	l := &b.labels[len(b.labels)-1-int(depth)]
	if l.shape == notLoop { // loops take their own fuel
		b.arrive(l)
	}
	return uint32(b.depth - 1 - l.at)
}

func (b *bodyWriter) branch(r *reader, in *instr) {
	to := b.target(b.shortcut(in))
	if to != in.x {
		b.replace(r, in)
		b.out.index(byte(in.op), to)
	}
	b.dead = b.dead || in.op == opBr
}

func (b *bodyWriter) branchTable(r *reader, in *instr) {
	if b.relabeled {
		b.replace(r, in)
		b.out.index(opBrTable, in.x)
	}
	t := reader{bin: b.bin, pos: in.operands, end: r.pos}
	t.u32()
	for t.more() {
		to := b.target(t.u32())
		if b.relabeled {
			b.out = appendU32(b.out, to)
		}
	}
	b.dead = true
}
