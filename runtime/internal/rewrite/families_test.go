package rewrite

import "bytes"

// family is a kind of module that costs the compiler more than
// its size suggests. n is its size, in units of the family.
type family struct {
	name   string
	sizes  []int // sizes to compare with the compiler, ascending; the first compiles quickly
	module func(n int) []byte
}

func repeat(n int, c ...byte) code { return bytes.Repeat(c, n) }

func index(op byte, i int) code { return appendU32(code{op}, uint32(i)) }

func concat(parts ...code) (all code) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func many(n int, t ValueType) []ValueType {
	list := make([]ValueType, n)
	for i := range list {
		list[i] = t
	}
	return list
}

// single returns a module of one exported function without parameters and results,
// with a memory, a table of one element, and the given types from index 1.
func single(locals int, body code, types ...Signature) []byte {
	b := newModule()
	b.memory = []byte{0, 1}
	b.tables = [][]byte{{byte(FuncRef), 0, 1}}
	f := builtFunc{typ: b.typ(Signature{}), body: body}
	if locals > 0 {
		f.locals = []localGroup{{uint32(locals), I32}}
	}
	b.funcs = append(b.funcs, f)
	b.export("f", 0)
	for _, t := range types {
		b.typ(t)
	}
	return b.bytes()
}

// brTable branches to one block of results. The targets are all the same, or each one block further out.
func brTable(targets, results int, apart bool) []byte {
	depth := 1
	if apart {
		depth = targets + 1
	}
	var body code
	blockType := appendSigned(nil, 1)
	if results == 0 {
		blockType = []byte{emptyBlock}
	}
	for range depth {
		body.block(opBlock, blockType...)
	}
	body = append(body, repeat(results, opI32Const, 1)...)
	body.i32(0)
	body = append(body, index(opBrTable, targets)...)
	for i := range targets + 1 {
		body = appendU32(body, uint32(i%depth))
	}
	for range depth {
		body.op(opEnd)
	}
	body = append(body, repeat(results, opDrop)...)
	return single(0, body, Signature{Results: many(results, I32)})
}

// families are the modules that the estimate is tested with.
var families = []family{
	{"br_table to one block", []int{2000, 24_576}, func(n int) []byte { return brTable(n, 0, false) }},
	{"br_table to one block with 100 results", []int{200, 1000}, func(n int) []byte { return brTable(n, 100, false) }},
	{"br_table to one block with 1000 results", []int{100, 300}, func(n int) []byte { return brTable(n, 1000, false) }},
	{"br_table to many blocks", []int{2000, 24_576}, func(n int) []byte { return brTable(n, 0, true) }},
	{"br_table to many blocks with 100 results", []int{50, 200}, func(n int) []byte { return brTable(n, 100, true) }},
	{"loads", []int{5000, 40_000}, func(n int) []byte {
		return single(0, concat(code{opI32Const, 1}, repeat(n, opI32Load, 0, 0), code{opDrop}))
	}},
	{"loads of one address", []int{5000, 40_000}, func(n int) []byte {
		return single(1, repeat(n, opLocalGet, 0, opI32Load, 0, 0, opDrop))
	}},
	{"stores", []int{5000, 40_000}, func(n int) []byte {
		return single(0, repeat(n, opI32Const, 1, opI32Const, 1, opI32Store, 0, 0))
	}},
	{"call_indirect", []int{1000, 10_000}, func(n int) []byte {
		return single(0, repeat(n, opI32Const, 0, opCallIndirect, 0, 0))
	}},
	{"call_indirect with 20 parameters and results", []int{100, 1000}, func(n int) []byte {
		return single(0, concat(repeat(20, opI32Const, 1), repeat(n, opI32Const, 0, opCallIndirect, 1, 0), repeat(20, opDrop)),
			Signature{many(20, I32), many(20, I32)})
	}},
	{"call_indirect with 1000 parameters and results", []int{10, 50}, func(n int) []byte {
		return single(0, concat(repeat(1000, opI32Const, 1), repeat(n, opI32Const, 0, opCallIndirect, 1, 0), repeat(1000, opDrop)),
			Signature{many(1000, I32), many(1000, I32)})
	}},
	{"calls", []int{2000, 20_000}, func(n int) []byte { return single(0, repeat(n, opCall, 0)) }},
	{"calls with 1000 parameters and results", []int{10, 50}, func(n int) []byte {
		b := newModule()
		s := Signature{many(1000, I64), many(1000, I64)}
		f := b.function(s, nil, code{opUnreachable})
		b.export("f", b.function(Signature{}, nil, concat(repeat(1000, opI64Const, 1), bytes.Repeat(index(opCall, int(f)), n), repeat(1000, opDrop))))
		return b.bytes()
	}},
	{"returns of 1000 results", []int{10, 50}, func(n int) []byte {
		b := newModule()
		b.export("f", b.function(Signature{Results: many(1000, I64)}, nil,
			concat(bytes.Repeat(concat(code{opI32Const, 0, opIf, emptyBlock}, repeat(1000, opI64Const, 1), code{opReturn, opEnd}), n), repeat(1000, opI64Const, 1))))
		return b.bytes()
	}},
	{"functions of 1000 parameters and results", []int{20, 200}, func(n int) []byte {
		b := newModule()
		t := b.typ(Signature{many(1000, I64), many(1000, I64)})
		var body code
		for i := range 1000 {
			body.localGet(uint32(i))
		}
		for range n {
			b.funcs = append(b.funcs, builtFunc{typ: t, body: body})
		}
		return b.bytes()
	}},
	{"types of 1000 parameters and results", []int{5, 50}, func(n int) []byte {
		b := newModule()
		b.export("f", b.function(Signature{}, nil, nil))
		for range n {
			b.typ(Signature{many(1000, I64), many(1000, I64)})
		}
		return b.bytes()
	}},
	{"tiny functions", []int{2000, 20_000}, func(n int) []byte {
		b := newModule()
		t := b.typ(Signature{})
		for range n {
			b.funcs = append(b.funcs, builtFunc{typ: t})
		}
		return b.bytes()
	}},
	{"functions beside globals", []int{300, 1000}, func(n int) []byte {
		b := newModule()
		t := b.typ(Signature{})
		for range n {
			b.funcs = append(b.funcs, builtFunc{typ: t})
			b.global(I32, true, code{opI32Const, 1})
		}
		return b.bytes()
	}},
	{"calls beside mutable globals", []int{100, 500}, func(n int) []byte {
		b := newModule()
		b.function(Signature{}, nil, nil)
		for range n {
			b.global(I32, true, code{opI32Const, 1})
		}
		b.export("f", b.function(Signature{}, nil, repeat(n, opCall, 0)))
		return b.bytes()
	}},
	{"blocks", []int{2000, 20_000}, func(n int) []byte { return single(0, repeat(n, opBlock, emptyBlock, opEnd)) }},
	{"nested blocks", []int{2000, 20_000}, func(n int) []byte {
		return single(0, concat(repeat(n, opBlock, emptyBlock), repeat(n, opEnd)))
	}},
	{"nested blocks with 100 results", []int{100, 1000}, func(n int) []byte {
		return single(0, concat(bytes.Repeat(code{opBlock, 1}, n), repeat(100, opI32Const, 1), repeat(n, opEnd), repeat(100, opDrop)),
			Signature{Results: many(100, I32)})
	}},
	{"ifs", []int{2000, 10_000}, func(n int) []byte { return single(0, repeat(n, opI32Const, 1, opIf, emptyBlock, opEnd)) }},
	{"nested ifs", []int{500, 5000}, func(n int) []byte {
		return single(0, concat(repeat(n, opI32Const, 1, opIf, emptyBlock), repeat(n, opEnd)))
	}},
	{"ifs with 100 results", []int{50, 200}, func(n int) []byte {
		return single(0, bytes.Repeat(concat(code{opI32Const, 1, opIf, 1}, repeat(100, opI32Const, 1), code{opElse}, repeat(100, opI32Const, 2), code{opEnd}, repeat(100, opDrop)), n),
			Signature{Results: many(100, I32)})
	}},
	{"br_ifs to one block", []int{2000, 20_000}, func(n int) []byte {
		return single(0, concat(code{opBlock, emptyBlock}, repeat(n, opI32Const, 0, opBrIf, 0), code{opEnd}))
	}},
	{"br_ifs with 100 results", []int{100, 500}, func(n int) []byte {
		return single(0, concat(code{opBlock, 1}, repeat(100, opI32Const, 1), repeat(n, opI32Const, 0, opBrIf, 0), code{opEnd}, repeat(100, opDrop)),
			Signature{Results: many(100, I32)})
	}},
	{"uses far from a definition", []int{1000, 5000}, func(n int) []byte { // n br_ifs and 2n uses below
		return single(1, concat(code{opBlock, emptyBlock}, repeat(n, opI32Const, 0, opBrIf, 0), repeat(2*n, opLocalGet, 0, opDrop), code{opEnd}))
	}},
	{"loads far from a definition", []int{1000, 5000}, func(n int) []byte {
		return single(1, concat(code{opBlock, emptyBlock, opLocalGet, 0, opI32Load, 0, 0, opDrop}, repeat(n, opI32Const, 0, opBrIf, 0),
			repeat(n, opLocalGet, 0, opI32Load, 0, 0, opDrop), code{opEnd}))
	}},
	{"bounds in many blocks", []int{300, 2000}, func(n int) []byte { // each load has another address and its own block
		return single(1, concat(code{opBlock, emptyBlock}, repeat(n, opLocalGet, 0, opI32Const, 1, opI32Add, opI32Load, 0, 0, opBrIf, 0), code{opEnd}))
	}},
	{"loops", []int{300, 1000}, func(n int) []byte { return single(0, repeat(n, opLoop, emptyBlock, opEnd)) }},
	{"loops that go round", []int{300, 1000}, func(n int) []byte {
		return single(0, repeat(n, opLoop, emptyBlock, opI32Const, 0, opBrIf, 0, opEnd))
	}},
	{"nested loops", []int{100, 500}, func(n int) []byte {
		return single(0, concat(repeat(n, opLoop, emptyBlock), repeat(n, opEnd)))
	}},
	{"nested loops that go round", []int{100, 500}, func(n int) []byte {
		return single(0, concat(repeat(n, opLoop, emptyBlock), repeat(n, opI32Const, 0, opBrIf, 0, opEnd)))
	}},
	{"nested loops with 50 variables", []int{50, 200}, func(n int) []byte {
		var use code
		for i := range 50 {
			use.localGet(uint32(i))
			use.i32(1)
			use.op(opI32Add)
			use.localSet(uint32(i))
		}
		return single(50, concat(repeat(n, opLoop, emptyBlock), use, repeat(n, opI32Const, 0, opBrIf, 0, opEnd)))
	}},
	{"loops with 100 parameters", []int{20, 100}, func(n int) []byte {
		return single(0, concat(repeat(100, opI32Const, 1), repeat(n, opLoop, 1, opI32Const, 0, opBrIf, 0, opEnd), repeat(100, opDrop)),
			Signature{many(100, I32), many(100, I32)})
	}},
	{"loops of their own", []int{20, 100}, func(n int) []byte { // n loops that are copied, each of which sets many variables
		c := dispatchHead(n, 0)
		for i := range n {
			c.op(opEnd)
			for j := range 40 {
				c = append(c, code{opI32Const, 0, opI32Load, 0, 0}...)
				c.localSet(uint32(1 + (i+j)%50))
			}
			c.localGet(0)
			c.block(opIf, emptyBlock)
			c.i32(int32(i))
			c.localSet(0)
			c.br(uint32(n - i))
			c.op(opEnd)
		}
		c.op(opEnd)
		return single(51, c)
	}},
	{"variables that meet", []int{100, 1000}, func(n int) []byte { // n variables at the ends of 10 ifs
		var sets, gets code
		for i := range n {
			sets.i32(int32(i))
			sets.localSet(uint32(i))
			gets.localGet(uint32(i))
			gets.op(opDrop)
		}
		return single(n, concat(bytes.Repeat(concat(code{opI32Const, 1, opIf, emptyBlock}, sets, code{opEnd}), 10), gets))
	}},
	{"variables that live in many blocks", []int{100, 500}, func(n int) []byte { // n variables over 4n blocks
		var sets, gets code
		for i := range n {
			sets = append(sets, code{opI32Const, 0, opI32Load, 0, 0}...)
			sets.localSet(uint32(i))
			gets.i32(0)
			gets.localGet(uint32(i))
			gets.op(opI32Store, 0, 0)
		}
		return single(n, concat(sets, repeat(4*n, opI32Const, 1, opIf, emptyBlock, opEnd), gets))
	}},
	{"operands that live in many blocks", []int{100, 500}, func(n int) []byte {
		return single(0, concat(repeat(n, opI32Const, 0, opI32Load, 0, 0), repeat(4*n, opI32Const, 1, opIf, emptyBlock, opEnd), repeat(n, opDrop)))
	}},
	{"constants", []int{10_000, 100_000}, func(n int) []byte { return single(0, repeat(n, opI32Const, 1, opDrop)) }},
	{"sums", []int{10_000, 100_000}, func(n int) []byte {
		return single(1, concat(code{opLocalGet, 0}, repeat(n, opI32Const, 1, opI32Add), code{opLocalSet, 0}))
	}},
	{"selects", []int{5000, 50_000}, func(n int) []byte {
		return single(1, concat(code{opLocalGet, 0}, repeat(n, opI32Const, 1, opLocalGet, 0, opSelect), code{opLocalSet, 0}))
	}},
	{"divisions", []int{5000, 30_000}, func(n int) []byte {
		return single(1, concat(code{opLocalGet, 0}, repeat(n, opI32Const, 7, opI32DivS), code{opLocalSet, 0}))
	}},
	{"vectors", []int{5000, 30_000}, func(n int) []byte {
		v := concat(code{prefixSIMD, 12}, make(code, 16))
		return single(0, concat(code{opI32Const, 0}, v, bytes.Repeat(concat(v, code{prefixSIMD, 0xd5, 1}), n), code{prefixSIMD, 11, 0, 0}))
	}},
	{"table.copy", []int{500, 5000}, func(n int) []byte {
		return single(0, repeat(n, opI32Const, 0, opI32Const, 0, opI32Const, 0, prefixMisc, 14, 0, 0))
	}},
	{"locals", []int{100, 500}, func(n int) []byte { // n functions of 1000 variables each
		b := newModule()
		t := b.typ(Signature{})
		for range n {
			b.funcs = append(b.funcs, builtFunc{typ: t, locals: []localGroup{{1000, I32}}})
		}
		return b.bytes()
	}},
}
