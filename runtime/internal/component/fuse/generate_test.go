package fuse

import (
	"fmt"
	"math/rand/v2"
)

// builder writes modules for tests. Its function types are () -> (), (i32) -> (i32) and () -> (i32), in an order that rotates.
type builder struct {
	rotate    uint32
	imports   []im
	memory    bool
	tables    []uint32 // sizes
	globals   []bool   // mutable ones
	functions [][]byte // code
	types     []uint32 // of functions; () -> () if there are none
	start     int      // a function index, from 1; 0 for none
	elements  [][]byte
	datas     [][]byte
	exports   []Export // besides all definitions
}

type im struct {
	module, name string
	desc         []byte // with the sort
}

const (
	typeNone = iota
	typeUnary
	typeValue
)

func (b *builder) typ(t uint32) uint32 { return (t + b.rotate) % 3 }

func (b *builder) imported(sort byte) (n uint32) {
	for _, i := range b.imports {
		if i.desc[0] == sort {
			n++
		}
	}
	return n
}

func vector(items [][]byte) []byte {
	out := appendU32(nil, uint32(len(items)))
	for _, i := range items {
		out = append(out, i...)
	}
	return out
}

func (b *builder) bytes() []byte {
	all := [3][]byte{{0x60, 0, 0}, {0x60, 1, 0x7f, 1, 0x7f}, {0x60, 0, 1, 0x7f}}
	var types, imports, functions, tables, globals, exports, code [][]byte
	for i := range uint32(3) {
		types = append(types, all[(i+3-b.rotate)%3])
	}
	for _, i := range b.imports {
		imports = append(imports, append(appendName(appendName(nil, i.module), i.name), i.desc...))
	}
	export := func(name string, sort byte, index uint32) {
		exports = append(exports, appendU32(append(appendName(nil, name), sort), index))
	}
	for i, f := range b.functions {
		t := uint32(typeNone)
		if b.types != nil {
			t = b.types[i]
		}
		functions = append(functions, appendU32(nil, b.typ(t)))
		code = append(code, append(appendU32(nil, uint32(len(f)+1)), append([]byte{0}, f...)...))
		export(fmt.Sprintf("f%d", i), sortFunction, b.imported(sortFunction)+uint32(i))
	}
	for i, size := range b.tables {
		tables = append(tables, appendU32([]byte{0x70, 0}, size))
		export(fmt.Sprintf("t%d", i), sortTable, b.imported(sortTable)+uint32(i))
	}
	for i, mutable := range b.globals {
		g := appendSigned([]byte{0x7f, 0, opI32Const}, int64(64*(i+1)))
		if mutable {
			g[1] = 1
		}
		globals = append(globals, append(g, opEnd))
		export(fmt.Sprintf("g%d", i), sortGlobal, b.imported(sortGlobal)+uint32(i))
	}
	out := append([]byte(nil), preamble...)
	out = section(out, sectionType, vector(types))
	out = section(out, sectionImport, vector(imports))
	out = section(out, sectionFunction, vector(functions))
	out = section(out, sectionTable, vector(tables))
	if b.memory {
		out = section(out, sectionMemory, []byte{1, 0, 1})
		export("memory", sortMemory, 0)
	}
	for _, e := range b.exports {
		export(e.Name, e.Sort, e.Index)
	}
	out = section(out, sectionGlobal, vector(globals))
	out = section(out, sectionExport, vector(exports))
	if b.start > 0 {
		index := appendU32(nil, uint32(b.start-1))
		out = append(append(out, sectionStart, byte(len(index))), index...)
	}
	out = section(out, sectionElement, vector(b.elements))
	if len(b.datas) > 0 {
		out = section(out, sectionDataCount, appendU32(nil, uint32(len(b.datas))))
	}
	out = section(out, sectionCode, vector(code))
	return section(out, sectionData, vector(b.datas))
}

// generator makes programs of modules that share a memory, two tables and globals.
type generator struct {
	*rand.Rand
	b       *builder
	modules []linked
	unary   []im // functions (i32) -> (i32) of modules so far
}

// generate returns the modules of a program, and functions to call.
func generate(random *rand.Rand) (modules []linked, calls [][2]string) {
	g := &generator{Rand: random}
	count := 2 + g.IntN(4)
	starts := g.IntN(count + 1) // the first module that may have a start function; those after it have no active segments
	for i := range count {
		name := fmt.Sprintf("m%d", i)
		g.b = &builder{rotate: uint32(g.IntN(3))}
		g.border(i)
		if i <= starts {
			g.segments()
		}
		g.code(i)
		if i >= starts {
			g.b.start = int(g.b.imported(sortFunction)) + len(g.b.functions)
		}
		for n, t := range g.b.types {
			if t == typeUnary {
				f := im{name, fmt.Sprintf("f%d", n), nil}
				g.unary = append(g.unary, f)
				calls = append(calls, [2]string{f.module, f.name})
			}
		}
		g.modules = append(g.modules, linked{name, g.b.bytes()})
	}
	return g.modules, append(calls, calls...)
}

// border adds imports, tables and globals.
func (g *generator) border(i int) {
	unary := byte(g.b.typ(typeUnary))
	if i == 0 {
		g.b.memory, g.b.tables, g.b.globals = true, []uint32{8, 6}, []bool{true, false, true}
	} else {
		shared := []im{
			{"m0", "memory", []byte{sortMemory, 0, byte(g.IntN(2))}},
			{"m0", "t0", []byte{sortTable, 0x70, 0, byte(g.IntN(9))}},
			{"m0", "t1", []byte{sortTable, 0x70, 0, 6}},
			{"m0", "g0", []byte{sortGlobal, 0x7f, 1}},
			{"m0", "g1", []byte{sortGlobal, 0x7f, 0}},
		}
		g.b.imports = shared
		if g.IntN(2) == 0 {
			g.b.tables = []uint32{3}
		}
		g.b.globals = []bool{g.IntN(2) == 0, true}
		for range g.IntN(4) {
			f := g.unary[g.IntN(len(g.unary))]
			g.b.exports = append(g.b.exports, Export{fmt.Sprintf("again%d", len(g.b.exports)), sortFunction, 0, g.b.imported(sortFunction)})
			g.b.imports = append(g.b.imports, im{f.module, f.name, []byte{sortFunction, unary}})
		}
		if i > 1 && g.IntN(2) == 0 {
			g.b.imports = append(g.b.imports, im{"m0", "g2", []byte{sortGlobal, 0x7f, 1}})
		}
	}
	g.b.imports = append(g.b.imports, im{"host", "f", []byte{sortFunction, unary}})
}

// code adds functions. The first ones call only the host: they may be in tables. The last one may be a start function.
func (g *generator) code(i int) {
	imports := g.b.imported(sortFunction)
	leafs := 1 + g.IntN(3)
	for n := range leafs + 1 + g.IntN(4) {
		value := []byte{0x20, 0} // local.get 0
		for range g.IntN(5) {
			value = g.expression(value, n < leafs, imports+uint32(n), imports)
		}
		g.b.functions = append(g.b.functions, append(value, opEnd))
		g.b.types = append(g.b.types, typeUnary)
	}
	last := uint32(len(g.b.functions)) - 1
	call := appendU32(appendSigned([]byte{opI32Const}, int64(i)), 0)[:2]
	g.b.functions = append(g.b.functions, append(appendU32(append(call, opCall), imports+last), 0x1a, opEnd))
	g.b.types = append(g.b.types, typeNone)
}

// expression appends code that changes the i32 on the stack.
func (g *generator) expression(out []byte, leaf bool, function, imports uint32) []byte {
	globals := g.b.imported(sortGlobal)
	mutable := uint32(0) // of m0, or its import
	switch k := g.IntN(11); {
	case k == 0:
		return append(appendSigned(append(out, opI32Const), int64(g.IntN(1000)-500)), 0x6a)
	case k == 1: // store and load a byte
		at := appendSigned([]byte{opI32Const}, int64(g.IntN(200)))
		return append(append(append(append(out, 0x1a), at...), 0x2d, 0), byte(g.IntN(100)))
	case k == 2: // global.set, global.get
		return append(appendU32(append(out, 0x24), mutable), append(appendU32([]byte{opGlobalGet}, mutable), 0x23, 1, 0x6a)...)
	case k == 3:
		last := globals + uint32(len(g.b.globals)) - 1 // always mutable
		return append(appendU32(append(appendU32(append(out, opGlobalGet), last), 0x6a, 0x24), last), append([]byte{opGlobalGet}, appendU32(nil, last)...)...)
	case k == 4: // a block with a function type
		out = append(appendSigned(append(out, 0x02), int64(g.b.typ(typeUnary))), opI32Const, 3, 0x6a)
		return append(out, opEnd)
	case k == 5: // store: address 96 + parameter modulo 8
		return append(out, opI32Const, 7, 0x71, 0x20, 0, 0x3a, 0, 96, 0x20, 0)
	case k == 6: // the host
		return appendU32(append(out, opCall), imports-1)
	case k == 7: // a function in a table
		return append(appendU32(append(out, opI32Const, byte(g.IntN(6)), opRefFunc), imports), 0x26, byte(g.IntN(2)))
	case k == 8: // passive segments
		for i, d := range g.b.datas {
			if d[0] == 1 {
				out = append(out, opI32Const, byte(g.IntN(100)), opI32Const, 1, opI32Const, 3, 0xfc, 8, byte(i), 0)
			}
		}
		for i, e := range g.b.elements {
			if e[0] == 1 {
				out = append(out, opI32Const, byte(g.IntN(6)), opI32Const, 0, opI32Const, 1, 0xfc, 12, byte(i), 0)
			}
		}
		return out
	case leaf:
		return out
	case k == 9 && function > 0:
		return appendU32(append(out, opCall), uint32(g.IntN(int(function))))
	}
	slot, table := byte(g.IntN(6)), uint32(g.IntN(int(g.b.imported(sortTable))+len(g.b.tables)))
	return appendU32(appendU32(append(out, opI32Const, slot, 0x11), g.b.typ(typeUnary)), table)
}

// segments adds element and data segments of several forms. They overlap those of other modules.
func (g *generator) segments() {
	imports := g.b.imported(sortFunction)
	base := byte(1) // the immutable global of m0, or its import
	for range g.IntN(4) {
		f := byte(imports) // the first leaf
		tables := g.b.imported(sortTable) + uint32(len(g.b.tables))
		offset := byte(g.IntN(4))
		switch table := byte(g.IntN(int(tables))); g.IntN(4) {
		case 0:
			g.b.elements = append(g.b.elements, []byte{0, opI32Const, offset, opEnd, 2, f, f})
		case 1:
			g.b.elements = append(g.b.elements, []byte{2, table, opI32Const, offset % 2, opEnd, 0, 2, f, byte(imports - 1)})
		case 2:
			g.b.elements = append(g.b.elements, []byte{4, opI32Const, offset, opEnd, 2, opRefFunc, f, opEnd, opRefNull, 0x70, opEnd})
		case 3:
			g.b.elements = append(g.b.elements, []byte{1, 0, 1, f})
		}
	}
	for range g.IntN(4) {
		text := []byte{4, byte(g.IntN(256)), byte(g.IntN(256)), byte(g.IntN(256)), byte(g.IntN(256))}
		switch {
		case g.b.memory || g.IntN(2) == 0:
			g.b.datas = append(g.b.datas, append([]byte{0, opI32Const, byte(g.IntN(60)), opEnd}, text...))
		case g.IntN(4) == 0:
			g.b.datas = append(g.b.datas, append([]byte{1}, text...))
		default:
			g.b.datas = append(g.b.datas, append([]byte{0, opGlobalGet, base, opEnd}, text...))
		}
	}
}
