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

// target returns what a jump to the loop selects. ok is false if that is not known.
func (t *jumpTable) target(j constantJump) (to jumpTarget, ok bool) {
	if t == nil || j.stage != jumpTaken || t.pc != j.pc {
		return jumpTarget{}, false
	}
	return t.targets[min(int64(j.value), int64(len(t.targets)-1))], true
}

// read reads the table of a br_table, by a variable. id returns the id of an open label; there are so many of these.
func (t *jumpTable) read(r *reader, in *instr, pc uint32, open int, id func(place int) int) {
	t.pc, t.targets = pc, t.targets[:0]
	targets := reader{bin: r.bin, pos: in.operands, end: r.pos}
	targets.u32()
	for targets.more() {
		place := open - 1 - int(targets.u32())
		t.targets = append(t.targets, jumpTarget{place, id(place)})
	}
}

// dispatchFinder recognises the two sequences as instructions are read.
type dispatchFinder struct {
	head  headStage
	loop  int    // index of the loop's label
	local uint32 // operand of local.get
	jump  constantJump
}

type headStage byte

const (
	headNone headStage = iota
	headBlocks
	headLocal
)

// constantJump is the assignment of a constant to a local variable, in front of a branch.
type constantJump struct {
	stage jumpStage
	value uint32 // the constant
	pc    uint32 // local variable that was set to it
}

type jumpStage byte

const (
	jumpNone jumpStage = iota
	jumpConst
	jumpSet
	jumpTaken
)

// follow must be called with each instruction, before its label, if any, is opened. It reports whether the instruction is
// the table of the loop f.loop, by the variable f.local.
func (f *dispatchFinder) follow(r *reader, in *instr, openLabels int) (table bool) {
	switch {
	case in.op == opLoop:
		f.head, f.loop = headBlocks, openLabels
	case in.op == opBlock && f.head == headBlocks:
	case in.op == opLocalGet && f.head == headBlocks:
		f.head, f.local = headLocal, in.x
	default:
		table = in.op == opBrTable && f.head == headLocal
		f.head = headNone
	}
	f.jump.follow(r, in)
	return table
}

// follow must be called with each instruction. The jump is known at its branch.
func (j *constantJump) follow(r *reader, in *instr) {
	switch {
	case in.op == opI32Const:
		operand := reader{bin: r.bin, pos: in.operands, end: r.pos}
		j.stage, j.value = jumpConst, uint32(operand.signed(32))
	case in.op == opLocalSet && j.stage == jumpConst:
		j.stage, j.pc = jumpSet, in.x
	case in.op == opBr && j.stage == jumpSet:
		j.stage = jumpTaken
	default:
		j.stage = jumpNone
	}
}

// findDispatch must be called with each instruction, before its label, if any, is opened.
func (b *bodyWriter) findDispatch(r *reader, in *instr) {
	f := &b.dispatch
	if f.follow(r, in, len(b.labels)) && b.labels[f.loop].shape == coldLoop { // a loop with parameters has another shape
		t := &jumpTable{targets: make([]jumpTarget, 0, in.x+1)}
		t.read(r, in, f.local, len(b.labels), func(place int) int { return b.labels[place].id })
		b.labels[f.loop].jumps = t
	}
}

// shortcut returns the original depth of the label that a branch eventually reaches.
func (b *bodyWriter) shortcut(in *instr) uint32 {
	l := &b.labels[len(b.labels)-1-int(in.x)]
	t, ok := l.jumps.target(b.dispatch.jump)
	if !ok || t.place >= len(b.labels) || b.labels[t.place].id != t.id {
		return in.x // the target is not known, or is a backward jump
	}
	return uint32(len(b.labels) - 1 - t.place)
}
