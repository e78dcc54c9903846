package rewrite

import "math/rand/v2"

// generator generates valid modules that terminate. Functions and
// loops decrement a counter in a global and trap when it reaches zero.
type generator struct {
	*rand.Rand
	b      *moduleBuilder
	sigs   []Signature
	types  []uint32 // type index of sigs
	labels [][]ValueType
	locals []ValueType
	self   Signature
	size   int // remaining instructions to generate
	funcs  int
}

const (
	genGas = 0 // global index of the counter
)

var numberTypes = []ValueType{I32, I64, F32, F64}

// generate returns a module with a few functions named "f0",
// "f1" and so on. All globals and the memory are exported.
func generate(seed uint64) (bin []byte, sigs []Signature) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), b: newModule()}
	g.b.memory = []byte{0, 1}
	g.b.global(I32, true, code{opI32Const, 0xf4, 3})
	for _, t := range numberTypes {
		g.b.global(t, true, constant(t, 7))
	}
	g.funcs = 2 + g.IntN(5)
	for range g.funcs {
		g.sigs = append(g.sigs, Signature{g.list(4), g.list(2)})
	}
	for i, s := range g.sigs {
		g.types = append(g.types, uint32(len(g.b.types)))
		g.b.export("f"+string(rune('0'+i)), g.b.function(s, nil, nil))
	}
	g.b.tables = [][]byte{{byte(FuncRef), 0, byte(g.funcs)}}
	elements := []byte{0, opI32Const, 0, opEnd, byte(g.funcs)}
	for i, s := range g.sigs {
		g.function(i, s)
		elements = append(elements, byte(g.IntN(g.funcs)))
	}
	g.b.elements = [][]byte{elements}
	g.b.exports = append(g.b.exports, export{"memory", KindMemory, 0})
	for i := range g.b.globals {
		g.b.exports = append(g.b.exports, export{"g" + string(rune('0'+i)), KindGlobal, uint32(i)})
	}
	return g.b.bytes(), g.sigs
}

func constant(t ValueType, v byte) code {
	switch t {
	case I32:
		return code{opI32Const, v & 0x3f}
	case I64:
		return code{opI64Const, v & 0x3f}
	case F32:
		return code{opF32Const, 0, 0, v, 0x40}
	}
	return code{opF64Const, 0, 0, 0, 0, 0, 0, v, 0x40}
}

func (g *generator) list(n int) []ValueType {
	types := make([]ValueType, g.IntN(n+1))
	for i := range types {
		types[i] = g.typ()
	}
	return types
}

func (g *generator) typ() ValueType { return numberTypes[g.IntN(len(numberTypes))] }

func (g *generator) function(i int, s Signature) {
	extra := []ValueType{I32, I32, I64, F32, F64}
	g.self, g.size = s, 150
	g.locals = append(append([]ValueType(nil), s.Params...), extra...)
	g.labels = [][]ValueType{s.Results}
	var c code
	if g.IntN(3) == 0 { // a loop at the very beginning
		c.block(opLoop, emptyBlock)
		g.inside(&c, nil, func() { g.gas(&c); g.statement(&c, 3) })
	} else {
		g.gas(&c)
	}
	for range 1 + g.IntN(4) {
		g.statement(&c, 4)
	}
	g.values(&c, s.Results, 3)
	f := &g.b.funcs[i]
	for _, t := range extra {
		f.locals = append(f.locals, localGroup{1, t})
	}
	f.body = c
}

// gas decrements the counter and traps at zero.
func (g *generator) gas(c *code) {
	c.globalGet(genGas)
	c.op(opI32Eqz)
	c.block(opIf, emptyBlock)
	c.op(opUnreachable, opEnd)
	c.globalGet(genGas)
	c.i32(1)
	c.op(opI32Sub)
	c.globalSet(genGas)
}

func (g *generator) values(c *code, types []ValueType, depth int) {
	for _, t := range types {
		g.value(c, t, depth)
	}
}

func (g *generator) local(t ValueType) uint32 {
	for {
		if i := g.IntN(len(g.locals)); g.locals[i] == t {
			return uint32(i)
		}
	}
}

// value pushes one value of a type.
func (g *generator) value(c *code, t ValueType, depth int) {
	if g.size--; depth == 0 || g.size < 0 {
		*c = append(*c, constant(t, byte(g.IntN(64)))...)
		return
	}
	at := byte(0) // number of the type
	for numberTypes[at] != t {
		at++
	}
	switch g.IntN(9) {
	case 0, 1:
		c.localGet(g.local(t))
	case 2:
		c.globalGet(1 + uint32(at))
	case 3:
		g.value(c, I32, depth-1)
		c.op(0x28+at, 0, byte(g.IntN(64))) // load
	case 4, 5:
		g.value(c, t, depth-1)
		g.value(c, t, depth-1)
		c.op([...]byte{opI32Add, opI64Sub, 0x92, 0xa2}[at])
	case 6:
		g.value(c, t, depth-1)
		c.localTee(g.local(t))
	case 7:
		g.valueBlock(c, t, depth-1)
	case 8:
		g.value(c, t, depth-1)
		g.value(c, t, depth-1)
		g.value(c, I32, depth-1)
		c.op(opSelect)
	}
}

// valueBlock pushes one value from a block, loop or if, sometimes with a branch out of it.
func (g *generator) valueBlock(c *code, t ValueType, depth int) {
	switch g.IntN(4) {
	case 0:
		c.block(opBlock, byte(t))
		g.inside(c, []ValueType{t}, func() {
			g.value(c, t, depth)
			g.value(c, I32, depth)
			c.brIf(0)
		})
	case 1: // a loop with a parameter
		g.value(c, t, depth)
		c.block(opLoop, byte(g.b.typ(Signature{[]ValueType{t}, []ValueType{t}})))
		g.inside(c, []ValueType{t}, func() {
			c.localSet(g.local(t))
			g.gas(c)
			g.statement(c, depth)
			g.value(c, t, depth)
			g.value(c, I32, depth)
			c.brIf(0)
		})
	case 2:
		c.block(opLoop, byte(t))
		g.inside(c, nil, func() {
			g.gas(c)
			g.statement(c, depth)
			g.value(c, I32, depth)
			c.brIf(0)
			g.value(c, t, depth)
		})
	case 3:
		g.value(c, I32, depth)
		c.block(opIf, byte(t))
		g.inside(c, []ValueType{t}, func() {
			g.value(c, t, depth)
			c.op(opElse)
			g.value(c, t, depth)
		})
	}
}

// inside generates within a label of the given types.
func (g *generator) inside(c *code, label []ValueType, f func()) {
	g.labels = append(g.labels, label)
	f()
	g.labels = g.labels[:len(g.labels)-1]
	c.op(opEnd)
}

// statement leaves the operand stack unchanged.
func (g *generator) statement(c *code, depth int) {
	if g.size--; depth == 0 || g.size < 0 {
		return
	}
	depth--
	switch g.IntN(13) {
	case 0, 1:
		t := g.typ()
		g.value(c, t, depth)
		c.localSet(g.local(t))
	case 2:
		i := g.IntN(len(numberTypes))
		g.value(c, numberTypes[i], depth)
		c.globalSet(1 + uint32(i))
	case 3:
		i := g.IntN(len(numberTypes))
		g.value(c, I32, depth)
		g.value(c, numberTypes[i], depth)
		c.op(0x36+byte(i), 0, byte(g.IntN(64))) // store
	case 4:
		c.block(opBlock, emptyBlock)
		g.inside(c, nil, func() { g.statement(c, depth); g.statement(c, depth) })
	case 5:
		c.block(opLoop, emptyBlock)
		g.inside(c, nil, func() { g.gas(c); g.statement(c, depth); g.statement(c, depth) })
	case 6:
		g.value(c, I32, depth)
		c.block(opIf, emptyBlock)
		g.inside(c, nil, func() { g.statement(c, depth); c.op(opElse); g.statement(c, depth) })
	case 7, 8:
		g.call(c, depth)
	case 9:
		g.branch(c, depth)
	case 10:
		g.memory(c, depth)
	case 11:
		g.dispatch(c, depth)
	case 12:
		*c = append(*c, prefixSIMD, 12, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, prefixSIMD, 0xa1, 1, prefixSIMD, 27, 2)
		c.localSet(g.local(I32))
	}
}

func (g *generator) call(c *code, depth int) {
	i := g.IntN(g.funcs)
	s := g.sigs[i]
	g.values(c, s.Params, depth)
	if g.IntN(4) == 0 && string(typeBytes(s.Results)) == string(typeBytes(g.self.Results)) {
		c.block(opBlock, emptyBlock) // dead code follows
		g.values(c, s.Params, 0)
		c.index(opReturnCall, uint32(i))
		c.op(opEnd)
	}
	if g.IntN(3) == 0 {
		g.value(c, I32, 1)
		c.op(opCallIndirect, byte(g.types[i]), 0)
	} else {
		c.call(uint32(i))
	}
	for range s.Results {
		c.op(opDrop)
	}
}

func (g *generator) branch(c *code, depth int) {
	to := g.IntN(len(g.labels))
	types := g.labels[len(g.labels)-1-to]
	switch g.IntN(3) {
	case 0:
		g.value(c, I32, depth)
		c.block(opIf, emptyBlock)
		g.inside(c, nil, func() {
			g.values(c, types, depth)
			c.br(uint32(to) + 1)
		})
	case 1:
		g.values(c, types, depth)
		g.value(c, I32, depth)
		c.brIf(uint32(to))
		for range types {
			c.op(opDrop)
		}
	case 2:
		c.block(opBlock, emptyBlock)
		g.inside(c, nil, func() {
			c.block(opBlock, emptyBlock)
			g.value(c, I32, 1)
			c.op(opBrTable, 2, 0, 1, 0, opEnd)
			g.statement(c, depth)
		})
	}
}

func (g *generator) memory(c *code, depth int) {
	g.value(c, I32, depth)
	switch g.IntN(4) {
	case 0:
		c.op(opMemoryGrow, 0)
		c.localSet(g.local(I32))
	case 1:
		c.op(opDrop, opMemorySize, 0)
		c.localSet(g.local(I32))
	case 2:
		g.value(c, I32, depth)
		c.i32(int32(g.IntN(70_000)))
		c.op(prefixMisc, 10, 0, 0)
	case 3:
		g.value(c, I32, depth)
		c.i32(int32(g.IntN(70_000)))
		c.op(prefixMisc, 11, 0)
	}
}

// dispatch generates a function's body in the form of Go's
// compiler: one loop, a jump table, jumps in both directions.
func (g *generator) dispatch(c *code, depth int) {
	pc := g.local(I32)
	n := 2 + g.IntN(4)
	c.block(opBlock, emptyBlock)
	c.block(opLoop, emptyBlock)
	g.labels = append(g.labels, nil, nil)
	for range n {
		c.block(opBlock, emptyBlock)
		g.labels = append(g.labels, nil)
	}
	c.localGet(pc)
	c.op(opBrTable, byte(n))
	for range n + 1 {
		c.op(byte(g.IntN(n)))
	}
	for i := range n {
		c.op(opEnd)
		g.labels = g.labels[:len(g.labels)-1]
		g.gas(c)
		g.statement(c, depth)
		jump := func(loop int) {
			c.i32(int32(g.IntN(n + 2)))
			if g.IntN(8) == 0 {
				c.localSet(g.local(I32)) // possibly not the variable that the table reads
			} else {
				c.localSet(pc)
			}
			c.br(uint32(loop))
		}
		if g.IntN(2) == 0 { // new blocks at the depths of blocks already closed
			g.value(c, I32, 1)
			c.block(opIf, emptyBlock)
			c.block(opBlock, emptyBlock)
			jump(n - 1 - i + 2)
			c.op(opEnd, opEnd)
		}
		if g.IntN(2) == 0 {
			jump(n - 1 - i)
		}
	}
	g.labels = g.labels[:len(g.labels)-2]
	c.op(opEnd, opEnd)
}
