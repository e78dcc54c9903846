package rewrite

// Compilers without structured control flow (mainly Go's) emit a function as one loop that begins with a jump
// table. A jump sets a local variable to the number of the target block and branches to the loop's header:
//
//	loop $l  block ... block  local.get $pc  br_table ...  end ... end
//	... i32.const 7  local.set $pc  br $l ...
//
// A forward jump needs neither the fuel check at the header nor the table. If block 7 is
// still open, br $l becomes a direct branch to it. This saves more time than all checks cost.

// jumpTable is the table at the beginning of a loop.
type jumpTable struct {
	pc      uint32 // local variable that selects the target
	targets []jumpTarget
}

// jumpTarget is a label: its index in the open labels, and its id.
type jumpTarget struct{ place, id int }

// dispatchFinder recognises the two sequences as instructions are read.
type dispatchFinder struct {
	head  headStage
	loop  int    // index of the loop's label
	local uint32 // operand of local.get

	jump  jumpStage
	value uint32 // the constant
	pc    uint32 // local variable that was set to the constant
}

type headStage byte

const (
	headNone headStage = iota
	headBlocks
	headLocal
)

type jumpStage byte

const (
	jumpNone jumpStage = iota
	jumpConst
	jumpSet
)

// findDispatch must be called with each instruction, before its label, if any, is opened.
func (b *bodyWriter) findDispatch(r *reader, in *instr) {
	f := &b.dispatch
	switch {
	case in.op == opLoop && (in.blockType < 0 || len(b.w.m.types[in.blockType].Params) == 0):
		f.head, f.loop = headBlocks, len(b.labels)
	case in.op == opBlock && f.head == headBlocks:
	case in.op == opLocalGet && f.head == headBlocks:
		f.head, f.local = headLocal, in.x
	case in.op == opBrTable && f.head == headLocal:
		b.labels[f.loop].jumps = b.readJumpTable(r, in)
		f.head = headNone
	default:
		f.head = headNone
	}
	switch {
	case in.op == opI32Const:
		operand := reader{bin: b.bin, pos: in.operands, end: r.pos}
		f.jump, f.value = jumpConst, uint32(operand.signed(32))
	case in.op == opLocalSet && f.jump == jumpConst:
		f.jump, f.pc = jumpSet, in.x
	case in.op == opBr && f.jump == jumpSet: // shortcut reads this state
	default:
		f.jump = jumpNone
	}
}

func (b *bodyWriter) readJumpTable(r *reader, in *instr) *jumpTable {
	j := &jumpTable{pc: b.dispatch.local, targets: make([]jumpTarget, 0, in.x+1)}
	t := reader{bin: b.bin, pos: in.operands, end: r.pos}
	t.u32()
	for t.more() {
		place := len(b.labels) - 1 - int(t.u32())
		j.targets = append(j.targets, jumpTarget{place, b.labels[place].id})
	}
	return j
}

// shortcut returns the original depth of the label that a branch eventually reaches.
func (b *bodyWriter) shortcut(in *instr) uint32 {
	f := &b.dispatch
	stage := f.jump
	f.jump = jumpNone
	l := &b.labels[len(b.labels)-1-int(in.x)]
	if stage != jumpSet || in.op != opBr || l.jumps == nil || l.jumps.pc != f.pc {
		return in.x
	}
	t := l.jumps.targets[min(int64(f.value), int64(len(l.jumps.targets)-1))]
	if t.place >= len(b.labels) || b.labels[t.place].id != t.id {
		return in.x // the target is a backward jump
	}
	return uint32(len(b.labels) - 1 - t.place)
}
