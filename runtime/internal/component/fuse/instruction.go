package fuse

// space is an index space that code refers to.
type space byte

const (
	spaceFunction  space = iota
	spaceReference       // a function, by ref.func
	spaceTable
	spaceGlobal
	spaceType
	spaceBlock // a type, as the type of a block
	spaceElement
	spaceData
)

// visitor is called for each index in code. It is encoded at [from, to) of the module.
type visitor func(s space, from, to int, index uint32) error

// body is a function's code, with its declarations of local variables.
type body struct {
	m        *member
	from, to int
}

// walk visits the indexes in a body.
func (b body) walk(visit visitor) error {
	r := &reader{m: b.m, bin: b.m.bin, pos: b.from, end: b.to}
	for range r.count("local variables") {
		r.u32()
		if t := r.byte(); r.err == nil && !valueType(t) {
			r.unsupported("local variables of the type %#02x are not supported", t)
		}
	}
	w := walker{r, visit}
	for r.more() {
		w.instruction()
	}
	return r.err
}

type walker struct {
	*reader
	visit visitor
}

func (w walker) index(s space) {
	from := w.pos
	i := w.u32()
	if w.err == nil {
		w.check(w.visit(s, from, w.pos, i))
	}
}

func (w walker) check(err error) {
	if err != nil {
		w.fail(err)
	}
}

// instruction reads an instruction.
func (w walker) instruction() {
	switch op := w.byte(); {
	case op == 0x00, op == 0x01, op == 0x05, op == opEnd, op == 0x0f, op == 0x1a, op == 0x1b, op == 0xd1, op >= 0x45 && op <= 0xc4:
	case op >= 0x02 && op <= 0x04: // block, loop, if
		w.blockType()
	case op == 0x0c, op == 0x0d, op >= 0x20 && op <= 0x22: // br, br_if, locals
		w.u32()
	case op == 0x0e: // br_table
		for range w.count("branch targets") + 1 {
			w.u32()
		}
	case op == opCall, op == 0x12:
		w.index(spaceFunction)
	case op == 0x11, op == 0x13: // call_indirect
		w.index(spaceType)
		w.index(spaceTable)
	case op == 0x1c: // select
		w.skip(w.count("types"))
	case op == opGlobalGet, op == 0x24:
		w.index(spaceGlobal)
	case op == 0x25, op == 0x26:
		w.index(spaceTable)
	case op >= 0x28 && op <= 0x3e:
		w.memoryArgument()
	case op == 0x3f, op == 0x40:
		w.memory()
	case op == opI32Const:
		w.signed(5)
	case op == opI64Const:
		w.signed(10)
	case op == opF32Const:
		w.skip(4)
	case op == opF64Const:
		w.skip(8)
	case op == opRefNull:
		w.referenceType()
	case op == opRefFunc:
		w.index(spaceReference)
	case op == 0xfc:
		w.misc()
	case op == 0xfd:
		w.vector()
	case w.err == nil:
		w.unsupported("the instruction %#02x (of exceptions, threads or garbage collection) is not supported", op)
	}
}

func (w walker) blockType() {
	if w.more() && (w.bin[w.pos] == 0x40 || valueType(w.bin[w.pos])) {
		w.pos++
		return
	}
	if w.index(spaceBlock); w.err == nil && w.bin[w.pos-1]&0x40 != 0 {
		w.invalid("unknown type of a block")
	}
}

func (w walker) memoryArgument() {
	if align := w.u32(); align > 4 {
		w.unsupported("a memory index or an alignment of 2^%d is not supported", align)
	}
	w.u32()
}

func (w walker) memory() {
	if w.byte() != 0 {
		w.unsupported("instructions with a memory index are not supported")
	}
}

func (r *reader) referenceType() byte {
	t := r.byte()
	if r.err == nil && t != 0x70 && t != 0x6f {
		r.unsupported("references of the type %#02x are not supported", t)
	}
	return t
}

// misc reads an instruction with the prefix 0xfc.
func (w walker) misc() {
	switch op := w.u32(); op {
	case 0, 1, 2, 3, 4, 5, 6, 7:
	case 8: // memory.init
		w.index(spaceData)
		w.memory()
	case 9: // data.drop
		w.index(spaceData)
	case 10: // memory.copy
		w.memory()
		w.memory()
	case 11: // memory.fill
		w.memory()
	case 12: // table.init
		w.index(spaceElement)
		w.index(spaceTable)
	case 13: // elem.drop
		w.index(spaceElement)
	case 14: // table.copy
		w.index(spaceTable)
		w.index(spaceTable)
	case 15, 16, 17:
		w.index(spaceTable)
	default:
		w.unsupported("the instruction 0xfc %d is not supported", op)
	}
}

// vector reads an instruction with the prefix 0xfd.
func (w walker) vector() {
	switch op := w.u32(); {
	case op <= 0x0b, op == 0x5c, op == 0x5d:
		w.memoryArgument()
	case op == opV128Const, op == 0x0d:
		w.skip(16)
	case op >= 0x15 && op <= 0x22:
		w.skip(1)
	case op >= 0x54 && op <= 0x5b:
		w.memoryArgument()
		w.skip(1)
	case op > 0xff:
		w.unsupported("the instruction 0xfd %d is not supported", op)
	}
}

func valueType(b byte) bool { return b >= 0x7b && b <= 0x7f || b == 0x70 || b == 0x6f }
