package rewrite

import "math"

// instr is one decoded instruction.
type instr struct {
	op        uint16 // one of the constants in opcode.go
	at        int    // offset of its first byte
	operands  int    // offset of the first byte after the opcode
	x, y      uint32 // indexes in the order of the encoding, or a label depth; for br_table, x is the number of targets
	blockType int64  // a type index, or negative as encoded
}

// next decodes one instruction. It does not check indexes.
func (r *reader) next(in *instr) {
	at := r.pos
	op := r.byte()
	*in = instr{op: uint16(op), at: at, operands: r.pos}
	imm := immediates[op]
	if imm == immInvalid {
		imm = r.prefixed(op, in)
	}
	switch imm {
	case immNone, immInvalid:
	case immLabel, immFunc, immLocal, immGlobal, immTable, immData, immElem:
		in.x = r.u32()
	case immI32:
		r.signed(32)
	case immI64:
		r.signed(64)
	case immMemArg:
		r.memArg()
	case immBlock:
		in.blockType = r.blockType()
	case immBrTable:
		in.x = uint32(r.count("branch targets", maxBranchTargets))
		for range in.x + 1 {
			r.u32()
		}
	case immIndirect, immTableInit, immTableCopy:
		in.x, in.y = r.u32(), r.u32()
	default:
		r.rareImmediate(imm, in)
	}
}

func (r *reader) rareImmediate(imm immediate, in *instr) {
	switch imm {
	case imm4:
		r.skip(4)
	case imm8:
		r.skip(8)
	case imm16:
		r.skip(16)
	case immLane:
		r.skip(1)
	case immMemLane:
		r.memArg()
		r.skip(1)
	case immMemory:
		r.zero(featureMultiMem, "memory index")
	case immMemInit:
		in.x = r.u32()
		r.zero(featureMultiMem, "memory index")
	case immMemCopy:
		r.zero(featureMultiMem, "memory index")
		r.zero(featureMultiMem, "memory index")
	case immSelect:
		if at := r.pos; r.byte() != 1 {
			r.fail(at, ErrInvalid, "select with a type takes exactly one type")
		}
		r.valueType()
	case immRefType:
		r.refType()
	}
}

// prefixed reads the number after a prefix byte. Padded numbers of vector instructions are
// refused: some decoders read only one byte of the number, and would see different instructions.
func (r *reader) prefixed(op byte, in *instr) immediate {
	if r.err != nil {
		return immInvalid
	}
	from := r.pos
	if op != prefixMisc && op != prefixSIMD {
		if feature := unknownFeature(op); feature != "" {
			r.unsupported(in.at, feature, "instruction %#02x", op)
		} else {
			r.fail(in.at, ErrInvalid, "unknown instruction %#02x", op)
		}
		return immInvalid
	}
	number := r.u32()
	if r.err == nil && op == prefixSIMD && number < 1<<(7*(r.pos-from-1)) && r.pos-from > 1 {
		r.fail(from, ErrInvalid, "instruction number is padded")
	}
	imm := immInvalid
	switch {
	case op == prefixMisc && int(number) < len(miscImmediates):
		imm = miscImmediates[number]
	case op == prefixSIMD && int(number) < len(simdImmediates):
		imm = simdImmediates[number]
	case op == prefixSIMD && number <= 0x12f:
		r.unsupported(in.at, featureRelaxed, "instruction 0xfd %#x", number)
	}
	if imm == immInvalid {
		r.fail(in.at, ErrInvalid, "unknown instruction %#02x %#x", op, number)
	}
	in.op, in.operands = uint16(op)<<8|uint16(number&math.MaxUint8), r.pos
	return imm
}

func (r *reader) memArg() {
	at := r.pos
	if align := r.u32(); align >= 64 {
		r.unsupported(at, featureMultiMem, "memory argument with a memory index")
	} else if align > 4 {
		r.fail(at, ErrInvalid, "alignment 2^%d is larger than any access", align)
	}
	r.u32()
}

// blockType reads the type of a block: a type index, or a negative number for no value or one value.
func (r *reader) blockType() int64 {
	at := r.pos
	t := r.signed(33)
	if t >= 0 || r.err != nil {
		return t
	}
	if r.pos-at > 1 {
		r.fail(at, ErrInvalid, "block type is padded")
		return 0
	}
	if t != emptyBlock-0x80 {
		r.pos = at
		r.valueType()
	}
	return t
}
