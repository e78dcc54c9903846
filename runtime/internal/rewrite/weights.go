package rewrite

// weight is the compilation cost of an instruction: bytes of machine code, and
// bytes of memory while its function is compiled. Both are measured (amd64,
// wazero 1.12.0), including the constants and moves for its operands and results.
type weight struct{ code, memory int64 }

// Weights of instructions and of the compiler's control flow.
var (
	weightMove    = weight{6, 120} // local variables, drop
	weightConst   = weight{10, 400}
	weightVector  = weight{26, 700} // v128.const: 16 bytes besides the code
	weightSimple  = weight{16, 800}
	weightGlobal  = weight{8, 700}
	weightBranch  = weight{16, 900} // compare and jump
	weightBlock   = weight{4, 2200}
	weightValue   = weight{16, 450} // a parameter, argument or result passed by a call, a return or an edge between blocks
	weightPhi     = weight{16, 450} // a local variable that differs at a merge, for one of the paths
	weightCall    = weight{30, 3200}
	weightInvoke  = weight{230, 14_000} // call_indirect
	weightLoad    = weight{66, 4400}
	weightStore   = weight{76, 5000}
	weightDivide  = weight{160, 6300}
	weightFloat   = weight{60, 3200} // minimum, maximum and conversions that need several instructions
	weightTrunc   = weight{200, 8300}
	weightSIMD    = weight{34, 2200}
	weightSIMDRow = weight{80, 4300} // vector instructions without a machine instruction of their own
	weightTable   = weight{76, 4600} // table.get, table.set
	weightGrow    = weight{80, 8000}
	weightBulk    = weight{330, 48_000} // table.init, table.copy, table.fill
)

// Costs of functions, types and globals, and of the compiler's analyses.
const (
	functionCode   = 80
	functionMemory = 400  // kept until the module is complete
	functionTime   = 8000 // ns
	localTime      = 60
	globalTime     = 30  // for each global in each function
	reloadTime     = 700 // for each mutable global at each call
	reloadMemory   = 220
	typeTime       = 2000 // for each parameter and result of each type: the entry from the host
	typeMemory     = 120
	widestMemory   = 8000 // the same for the widest type
	typeCode       = 12
	targetCode     = 12   // for an entry of a jump table
	stepTime       = 10   // for one block, in the dominator tree or in the search for a definition
	searchTime     = 2000 // for a variable that is looked up across a merge
	searchMemory   = 170
	liveTime       = 40 // for a value that lives in a block
	liveMemory     = 16
	boundTime      = 30 // for an address known to be in bounds in a block
	boundMemory    = 16
	phiTime        = 2 // for a pair of values of one path at a merge
	byteTime       = 5 // for a byte of memory
)

// heavyVectors are the vector instructions that compile to a sequence of machine instructions.
var heavyVectors = bitSet(0x0d, 0x52, 0x62, 0x6b, 0x6c, 0x6d, 0x7f, 0x9d, 0x9f, 0xab, 0xac, 0xad, 0xbd, 0xbf, 0xc0, 0xcb, 0xcc, 0xcd, 0xd5,
	0xdc, 0xdd, 0xde, 0xdf, 0xe8, 0xe9, 0xf4, 0xf5, 0xf8, 0xf9, 0xfb, 0xfc, 0xfd, 0xff)

// weightOf returns the weight of an instruction that neither branches nor calls.
func weightOf(op uint16) weight {
	switch op >> 8 {
	case prefixMisc:
		switch op {
		case opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableFill:
			return weightBulk
		case opTableGrow:
			return weightGrow
		case opDataDrop, opElemDrop, opTableSize:
			return weightFloat
		}
		return weightTrunc
	case prefixSIMD:
		return vectorWeight(op)
	}
	switch {
	case op == opNop:
		return weight{}
	case op == opDrop || op >= opLocalGet && op <= opLocalTee:
		return weightMove
	case op == opGlobalGet || op == opGlobalSet || op == opMemorySize:
		return weightGlobal
	case op >= opI32Const && op <= opF64Const || op == opRefNull:
		return weightConst
	case op == opTableGet || op == opTableSet:
		return weightTable
	case op >= opI32Load && op < opI32Store:
		return weightLoad
	case op >= opI32Store && op <= opI64Store32:
		return weightStore
	case op == opMemoryGrow || op == opRefFunc:
		return weightGrow
	case op >= opI32DivS && op <= opI32RemU, op >= opI64DivS && op <= opI64RemU:
		return weightDivide
	case op >= opI32TruncF32S && op <= opI32TruncF64U, op >= opI64TruncF32S && op <= opI64TruncF64U:
		return weightTrunc
	case op >= opF32Eq && op <= opF64Ge, op >= opF32Abs && op <= opF64Copysign, op > opI64TruncF64U && op <= opF64ConvertI64U:
		return weightFloat
	}
	return weightSimple
}

func vectorWeight(op uint16) weight {
	switch n := byte(op); {
	case op == opV128Const:
		return weightVector
	case op == opV128Store, op >= opV128Store8Lane && op <= opV128Store64Lane:
		return weightStore.plus(weightSimple)
	case op >= opV128Load && op < opV128Store, op >= opV128Load8Lane && op <= opV128Load64Zero:
		return weightLoad.plus(weightSIMD)
	case heavyVectors[n]:
		return weightSIMDRow
	}
	return weightSIMD
}

func (w weight) plus(v weight) weight { return weight{w.code + v.code, w.memory + v.memory} }
