package rewrite

// Go's compiler emits each backward jump, too, as a jump through the table of a function's only loop (dispatch.go). So the
// shortest loop of a program passes the table, and the merge of all variables of the function, in each iteration. If the code
// of a loop is short, a copy of it becomes a loop of WebAssembly at the place of the backward jump:
//
//	end           ;; of block 7
//	  ...body...
//	  local.get $more
//	  if
//	    i32.const 7  local.set $pc  br $l
//	  end
//
// becomes
//
//	end
//	  ...body...
//	  local.get $more
//	  if
//	    i32.const 7  local.set $pc
//	    loop $own  ...body...  local.get $more  if  i32.const 7  local.set $pc  br $own  end  end
//	  end
//
// The first iteration runs the original. Whatever else the copy jumps to is as before: the original stays, and all that the table
// selects is in it. The result is a function like any other: it is read, estimated and written as if the guest had it.

const (
	// maxLoopBytes is the largest loop that is copied. In larger ones, a jump through the table matters less.
	maxLoopBytes = 256
	// maxHeadBlocks bounds the blocks that end in a copied loop.
	maxHeadBlocks = 64
)

// loopFinder reads a valid function body and writes one with loops of their own.
type loopFinder struct {
	bin    []byte
	out    []byte
	copied int // offset in bin up to which the original is in out
	labels []headLabel
	tables []*headTable // reused
	used   int          // number of tables of the function
	heads  dispatchFinder
	room   int // bytes that copies may still add
}

// headLabel is an open block.
type headLabel struct {
	at    int  // offset of the instruction that opened it, which identifies it
	plain bool // without parameters and results
	head  int  // of a block in front of a table: index of its loop's label plus one
	table *headTable
}

// headTable is the table of a dispatch loop.
type headTable struct {
	jumpTable
	first  int   // index of the label of the first block in front of the table
	starts []int // by these blocks: offset of the code behind it; 0 while it is open
}

// start returns the offset of the code that a jump leads to. ok is false if that is ahead.
func (t *headTable) start(to jumpTarget) (at int, ok bool) {
	if to.place < t.first {
		return 0, false
	}
	at = t.starts[to.place-t.first]
	return at, at > 0
}

// find returns the code with short loops of their own, or nil if there are none. The code must have been scanned without errors.
func (f *loopFinder) find(bin []byte, code span) []byte {
	f.bin, f.out, f.copied = bin, nil, code.from
	f.labels = append(f.labels[:0], headLabel{})
	f.heads, f.used = dispatchFinder{}, 0
	f.room = code.to - code.from
	r := &reader{bin: bin, pos: code.from, end: code.to}
	var in instr
	for r.pos < r.end {
		r.next(&in)
		if f.heads.follow(r, &in, len(f.labels)) {
			f.table(r, &in)
		}
		switch in.op {
		case opBlock, opLoop, opIf:
			f.open(&in)
		case opEnd:
			f.end(r)
		case opBr:
			f.branch(r, &in)
		}
	}
	if f.out == nil {
		return nil
	}
	return append(f.out, bin[f.copied:code.to]...)
}

// table notes the table of a loop and the blocks in front of it. All of these must be without parameters and results, so that the
// operand stack is the same at all of their ends.
func (f *loopFinder) table(r *reader, in *instr) {
	loop := f.heads.loop
	for _, l := range f.labels[loop:] {
		if !l.plain {
			return
		}
	}
	t := f.newTable()
	t.first = loop + 1
	t.read(r, in, f.heads.local, len(f.labels), func(place int) int { return f.labels[place].at })
	f.labels[loop].table = t
	for i := t.first; i < len(f.labels); i++ {
		f.labels[i].head = t.first
		t.starts = append(t.starts, 0)
	}
}

func (f *loopFinder) newTable() *headTable {
	if f.used == len(f.tables) {
		f.tables = append(f.tables, &headTable{})
	}
	t := f.tables[f.used]
	f.used++
	t.starts = t.starts[:0]
	return t
}

func (f *loopFinder) open(in *instr) {
	f.labels = append(f.labels, headLabel{at: in.at, plain: in.blockType == emptyBlock-0x80})
}

func (f *loopFinder) end(r *reader) {
	last := len(f.labels) - 1
	if l := &f.labels[last]; l.head > 0 {
		t := f.labels[l.head-1].table
		t.starts[last-t.first] = r.pos
	}
	f.labels = f.labels[:last]
}

// branch puts a copy of a loop in the place of the jump that closes it.
func (f *loopFinder) branch(r *reader, in *instr) {
	t := f.labels[len(f.labels)-1-int(in.x)].table
	if t == nil {
		return
	}
	to, ok := t.target(f.heads.jump)
	if !ok {
		return
	}
	start, ended := t.start(to)
	size := in.at - start
	if !ended || size > maxLoopBytes || size > f.room {
		return
	}
	c := loopCopy{
		finder: f,
		table:  t,
		first:  to,
		start:  start,
		end:    in.at,
		open:   len(f.labels),
	}
	loop := c.write(r)
	if loop == nil {
		return
	}
	f.out = append(append(f.out, f.bin[f.copied:in.at]...), loop...)
	f.copied = r.pos
	f.room -= len(loop)
}

// loopCopy copies the code of a loop. Labels are counted as at the jump that closes the loop: those of the original below it, and
// copies of the blocks that were in front of the table and end in the loop.
type loopCopy struct {
	finder     *loopFinder
	table      *headTable
	first      jumpTarget // block in front of the loop's code
	start, end int        // of the code, which ends with the assignment of the jump
	open       int        // number of labels at the jump

	out   code
	inner []bool // blocks opened in the code, and not closed: whether they are plain
	base  int    // number of labels below these, at this instruction
	last  int    // the same at the jump
	jump  constantJump
}

// write returns the loop, or nil if the code cannot be copied. r is behind the jump.
func (c *loopCopy) write(r *reader) []byte {
	if !c.measure() || !c.leaves(r) {
		return nil
	}
	c.out.block(opLoop, emptyBlock)
	for range c.first.place - c.last {
		c.out.block(opBlock, emptyBlock)
	}
	c.copyCode()
	c.out.br(uint32(len(c.inner)))
	for range c.inner {
		c.out.op(opEnd)
	}
	c.out.op(opEnd)
	if len(c.inner) > 0 {
		c.out.br(0) // where the jump was, any values may be on the stack
	} else {
		c.out.op(opUnreachable)
	}
	return c.out
}

// each calls visit for each instruction of the code, and follows its blocks. A visit that returns false ends it.
func (c *loopCopy) each(visit func(r *reader, in *instr) bool) bool {
	r := &reader{bin: c.finder.bin, pos: c.start, end: c.end}
	c.inner, c.base, c.jump = c.inner[:0], c.first.place, constantJump{}
	var in instr
	for r.pos < r.end {
		r.next(&in)
		c.jump.follow(r, &in)
		if !visit(r, &in) {
			return false
		}
		switch in.op {
		case opBlock, opIf:
			c.inner = append(c.inner, in.blockType == emptyBlock-0x80)
		case opEnd:
			if n := len(c.inner); n > 0 {
				c.inner = c.inner[:n-1]
			} else {
				c.base--
			}
		}
	}
	return true
}

// measure reads the code, and reports whether it is a short loop without calls and loops of its own.
func (c *loopCopy) measure() bool {
	ok := c.each(func(_ *reader, in *instr) bool {
		switch in.op {
		case opLoop, opBrTable, opCall, opCallIndirect, opReturnCall, opReturnCallIndirect:
			return false
		case opBr:
			return !c.jumpsBack(in)
		}
		return true
	})
	c.last = c.base
	return ok && c.first.place-c.last <= maxHeadBlocks
}

// jumpsBack reports whether a branch is a jump to code that has passed, other than the beginning of the loop.
func (c *loopCopy) jumpsBack(in *instr) bool {
	to, ok := c.dispatched(in)
	return ok && to.id != c.first.id && to.place >= c.base
}

// dispatched returns what a branch through the table selects.
func (c *loopCopy) dispatched(in *instr) (to jumpTarget, ok bool) {
	label := c.base + len(c.inner) - 1 - int(in.x)
	if label < 0 || label >= c.base {
		return jumpTarget{}, false
	}
	labels := c.finder.labels
	if label >= len(labels) || labels[label].table != c.table {
		return jumpTarget{}, false
	}
	return c.table.target(c.jump)
}

// leaves reports whether the end of the loop leads to where the jump is not taken: out of at most one block, which ends
// behind the jump.
func (c *loopCopy) leaves(r *reader) bool {
	if c.base+len(c.inner) != c.open {
		return false
	}
	switch len(c.inner) {
	case 0:
		return true
	case 1:
		return c.inner[0] && r.pos < r.end && r.bin[r.pos] == opEnd
	}
	return false
}

// copyCode writes the code, with the labels that it has in the loop.
func (c *loopCopy) copyCode() {
	open := uint32(len(c.inner)) // blocks of the code at the jump
	bin, copied := c.finder.bin, c.start
	c.each(func(r *reader, in *instr) bool {
		if in.op != opBr && in.op != opBrIf {
			return true
		}
		to := in.x
		below := c.base - 1 - (int(in.x) - len(c.inner)) // place of a label that is not in the code
		if int(in.x) >= len(c.inner) && below < c.last {
			to += 1 + open
		}
		if target, ok := c.dispatched(in); ok {
			switch {
			case target.id == c.first.id:
				to = uint32(len(c.inner) + c.base - c.last)
			case target.place >= c.last && target.place < c.base:
				to = uint32(len(c.inner) + c.base - 1 - target.place)
			}
		}
		if to != in.x {
			c.out = append(c.out, bin[copied:in.at]...)
			c.out.index(byte(in.op), to)
			copied = r.pos
		}
		return true
	})
	c.out = append(c.out, bin[copied:c.end]...)
}
