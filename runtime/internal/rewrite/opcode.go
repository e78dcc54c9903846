package rewrite

// Opcodes that the passes use. Prefixed instructions are prefix<<8 | number.
const (
	opUnreachable        = 0x00
	opNop                = 0x01
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCall         = 0x12
	opReturnCallIndirect = 0x13
	opDrop               = 0x1a
	opSelect             = 0x1b
	opSelectTyped        = 0x1c
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opTableGet           = 0x25
	opTableSet           = 0x26
	opI32Load            = 0x28
	opI32Store           = 0x36
	opI64Store32         = 0x3e
	opMemorySize         = 0x3f
	opMemoryGrow         = 0x40
	opI32Const           = 0x41
	opI64Const           = 0x42
	opF32Const           = 0x43
	opF64Const           = 0x44
	opI32Eqz             = 0x45
	opI32Eq              = 0x46
	opI32LtU             = 0x49
	opI32LeU             = 0x4d
	opI64Eqz             = 0x50
	opI64LtS             = 0x53
	opI64GtU             = 0x56
	opI32Add             = 0x6a
	opI32Sub             = 0x6b
	opI32Mul             = 0x6c
	opI32DivS            = 0x6d
	opI32RemU            = 0x70
	opI32Or              = 0x72
	opI64Add             = 0x7c
	opI64Sub             = 0x7d
	opI64Mul             = 0x7e
	opI64DivS            = 0x7f
	opI64RemU            = 0x82
	opI64Or              = 0x84
	opI64Shl             = 0x86
	opF32Eq              = 0x5b
	opF64Ge              = 0x66
	opF32Abs             = 0x8b
	opF32Sqrt            = 0x91
	opF32Div             = 0x95
	opF64Sqrt            = 0x9f
	opF64Div             = 0xa3
	opF64Copysign        = 0xa6
	opI32TruncF32S       = 0xa8
	opI32TruncF64U       = 0xab
	opI64ExtendI32U      = 0xad
	opI64TruncF32S       = 0xae
	opI64TruncF64U       = 0xb1
	opF64ConvertI64U     = 0xba
	opI64Extend32S       = 0xc4
	opRefNull            = 0xd0
	opRefIsNull          = 0xd1
	opRefFunc            = 0xd2

	prefixMisc = 0xfc
	prefixSIMD = 0xfd

	opMemoryInit = prefixMisc<<8 | 8
	opDataDrop   = prefixMisc<<8 | 9
	opMemoryCopy = prefixMisc<<8 | 10
	opMemoryFill = prefixMisc<<8 | 11
	opTableInit  = prefixMisc<<8 | 12
	opElemDrop   = prefixMisc<<8 | 13
	opTableCopy  = prefixMisc<<8 | 14
	opTableGrow  = prefixMisc<<8 | 15
	opTableSize  = prefixMisc<<8 | 16
	opTableFill  = prefixMisc<<8 | 17

	opV128Load       = prefixSIMD << 8
	opV128Store      = prefixSIMD<<8 | 11
	opV128Const      = prefixSIMD<<8 | 12
	opV128Load8Lane  = prefixSIMD<<8 | 84
	opV128Load64Zero = prefixSIMD<<8 | 93

	opV128Store8Lane  = prefixSIMD<<8 | 88
	opV128Store64Lane = prefixSIMD<<8 | 91

	emptyBlock = 0x40
)

// immediate is the kind of operands after an opcode.
type immediate byte

const (
	immInvalid immediate = iota // no such instruction
	immNone
	immBlock
	immLabel
	immBrTable
	immFunc
	immIndirect // type index, table index
	immLocal
	immGlobal
	immTable
	immMemory // memory.size, memory.grow: a zero byte
	immMemArg // alignment, offset
	immI32
	immI64
	imm4
	imm8
	immSelect
	immRefType
	immMemInit   // data index, zero byte
	immData      // data index
	immMemCopy   // two zero bytes
	immTableInit // element index, table index
	immElem
	immTableCopy // two table indexes
	imm16        // v128.const, i8x16.shuffle
	immLane
	immMemLane
)

// immediates is the table of the one-byte instructions,
// miscImmediates of prefix 0xfc, simdImmediates of 0xfd.
var (
	immediates     = oneByteImmediates()
	miscImmediates = [...]immediate{
		immNone, immNone, immNone, immNone, immNone, immNone, immNone, immNone, // saturating truncations
		immMemInit, immData, immMemCopy, immMemory, immTableInit, immElem, immTableCopy, immTable, immTable, immTable,
	}
	simdImmediates = simdTable()
)

func oneByteImmediates() (t [256]immediate) {
	set := func(imm immediate, ops ...byte) {
		for _, op := range ops {
			t[op] = imm
		}
	}
	span := func(imm immediate, from, to byte) {
		for op := int(from); op <= int(to); op++ {
			t[op] = imm
		}
	}
	set(immNone, opUnreachable, opNop, opElse, opEnd, opReturn, opDrop, opSelect, opRefIsNull)
	span(immBlock, opBlock, opIf)
	set(immLabel, opBr, opBrIf)
	set(immBrTable, opBrTable)
	set(immFunc, opCall, opReturnCall, opRefFunc)
	set(immIndirect, opCallIndirect, opReturnCallIndirect)
	set(immSelect, opSelectTyped)
	span(immLocal, opLocalGet, opLocalTee)
	span(immGlobal, opGlobalGet, opGlobalSet)
	span(immTable, opTableGet, opTableSet)
	span(immMemArg, opI32Load, opI64Store32)
	span(immMemory, opMemorySize, opMemoryGrow)
	set(immI32, opI32Const)
	set(immI64, opI64Const)
	set(imm4, opF32Const)
	set(imm8, opF64Const)
	span(immNone, opI32Eqz, opI64Extend32S)
	set(immRefType, opRefNull)
	return t
}

func simdTable() (t [256]immediate) {
	for op := range t {
		t[op] = immNone
	}
	for op := range t {
		switch {
		case op <= 0x0b || op == 0x5c || op == 0x5d:
			t[op] = immMemArg
		case op == 0x0c || op == 0x0d:
			t[op] = imm16
		case op >= 0x15 && op <= 0x22:
			t[op] = immLane
		case op >= 0x54 && op <= 0x5b:
			t[op] = immMemLane
		}
	}
	for _, op := range []byte{ // holes in the numbering
		0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee,
	} {
		t[op] = immInvalid
	}
	return t
}

// unknownFeature returns the proposal that an opcode outside of the tables belongs to, or "".
func unknownFeature(op byte) string {
	switch op {
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		return featureExceptions
	case 0x14, 0x15, 0xd4, 0xd5, 0xd6:
		return featureFuncRefs
	case 0xd3, 0xfb:
		return featureGC
	case 0xfe:
		return featureThreads
	}
	return ""
}
