package rewrite

// effect is the change of the operand stack by an instruction: the numbers of values popped and pushed.
type effect struct{ takes, leaves int8 }

// Effects that instructions share.
var (
	effectNone   = effect{}
	effectPush   = effect{0, 1}
	effectDrop   = effect{1, 0}
	effectUnary  = effect{1, 1}
	effectBinary = effect{2, 1}
	effectStore  = effect{2, 0}
	effectSelect = effect{3, 1}
	effectThree  = effect{3, 0}
)

// effects is the table of the one-byte instructions whose effect does not depend on types.
var effects = oneByteEffects()

// simdUnary are the vector instructions with one operand that are outside of the ranges in effectOf.
var simdUnary = bitSet(0x4d, 0x53, 0x5e, 0x5f, 0x60, 0x61, 0x62, 0x63, 0x64, 0x67, 0x68, 0x69, 0x6a, 0x74, 0x75, 0x7a,
	0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x83, 0x84, 0x87, 0x88, 0x89, 0x8a, 0x94, 0xa0, 0xa1, 0xa3, 0xa4, 0xa7, 0xa8, 0xa9, 0xaa,
	0xc0, 0xc1, 0xc3, 0xc4, 0xc7, 0xc8, 0xc9, 0xca, 0xe0, 0xe1, 0xe3, 0xec, 0xed, 0xef,
	0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
	0x15, 0x16, 0x18, 0x19, 0x1b, 0x1d, 0x1f, 0x21) // last line: extract a lane

func bitSet(members ...byte) (set [256]bool) {
	for _, m := range members {
		set[m] = true
	}
	return set
}

func oneByteEffects() (t [256]effect) {
	span := func(e effect, from, to int) {
		for op := from; op <= to; op++ {
			t[op] = e
		}
	}
	t[opDrop], t[opSelect], t[opSelectTyped] = effectDrop, effectSelect, effectSelect
	t[opLocalGet], t[opLocalSet], t[opLocalTee] = effectPush, effectDrop, effectUnary
	t[opGlobalGet], t[opGlobalSet] = effectPush, effectDrop
	t[opTableGet], t[opTableSet] = effectUnary, effectStore
	span(effectUnary, opI32Load, 0x35)
	span(effectStore, 0x36, opI64Store32)
	t[opMemorySize], t[opMemoryGrow] = effectPush, effectUnary
	span(effectPush, opI32Const, opF64Const)
	span(effectBinary, opI32Eqz, 0xa6) // comparisons and arithmetic, with these exceptions:
	t[opI32Eqz], t[opI64Eqz] = effectUnary, effectUnary
	span(effectUnary, 0x67, 0x69) // i32.clz, ctz, popcnt
	span(effectUnary, 0x79, 0x7b) // i64.clz, ctz, popcnt
	span(effectUnary, 0x8b, opF32Sqrt)
	span(effectUnary, 0x99, opF64Sqrt)
	span(effectUnary, 0xa7, opI64Extend32S) // conversions
	t[opRefNull], t[opRefIsNull], t[opRefFunc] = effectPush, effectUnary, effectPush
	return t
}

// effectOf returns the effect of an instruction other than structured control, a branch or a call.
func effectOf(op uint16) effect {
	switch op >> 8 {
	case 0:
		return effects[op]
	case prefixMisc:
		return miscEffect(op)
	}
	n := byte(op)
	switch {
	case op == opV128Const:
		return effectPush
	case n <= 0x0a, n >= 0x0f && n <= 0x14, n == 0x5c, n == 0x5d, simdUnary[n]: // loads, splats
		return effectUnary
	case n == 0x0b, n >= 0x58 && n <= 0x5b: // stores
		return effectStore
	case n == 0x52: // v128.bitselect
		return effectSelect
	}
	return effectBinary
}

func miscEffect(op uint16) effect {
	switch op {
	case opDataDrop, opElemDrop:
		return effectNone
	case opTableSize:
		return effectPush
	case opTableGrow:
		return effectBinary
	case opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableFill:
		return effectThree
	}
	return effectUnary // saturating truncations
}
