package rewrite

func (w *writer) typeSection() []byte {
	out := appendU32(nil, uint32(len(w.m.types)+len(w.types)))
	out = append(out, w.m.bytes(w.m.typeRaw)...)
	for _, t := range w.types {
		out = append(appendU32(append(out, 0x60), uint32(len(t.Params))), typeBytes(t.Params)...)
		out = append(appendU32(out, uint32(len(t.Results))), typeBytes(t.Results)...)
	}
	return out
}

// importSection copies the imports and appends the yield function, which becomes the
// last function import. The maximum of a memory is left out, as in the memory section.
func (w *writer) importSection() []byte {
	out := appendU32(nil, uint32(len(w.m.imports)+1))
	raw := w.m.importRaw
	if w.m.memory != nil && w.m.memory.Imported {
		out = append(out, w.m.bin[raw.from:w.m.memoryRaw.from]...)
		out = limits{min: w.m.memory.MinPages}.append(out)
		raw.from = w.m.memoryRaw.to
	}
	out = append(out, w.m.bytes(raw)...)
	out = appendName(appendName(out, w.o.YieldModule), w.o.YieldName)
	return appendU32(append(out, byte(KindFunction)), w.yieldType)
}

func (w *writer) functionSection() []byte {
	defined := w.m.funcs[w.m.importedFuncs:]
	out := appendU32(nil, uint32(len(defined)+len(w.helpers)))
	for _, t := range defined {
		out = appendU32(out, t)
	}
	for _, h := range w.helpers {
		out = appendU32(out, h.typ)
	}
	return out
}

// tableSection writes a maximum for every table, so that
// table.grow cannot allocate host memory without bound.
func (w *writer) tableSection() []byte {
	defined := w.m.tables[w.m.importedTables:]
	out := appendU32(nil, uint32(len(defined)))
	for i, t := range defined {
		l := t.limits
		l.hasMax, l.max = true, w.tableMaxima[w.m.importedTables+i]
		out = l.append(append(out, byte(t.elem)))
	}
	return out
}

func (w *writer) globalSection() []byte {
	defined := w.m.globals[w.m.importedGlobals:]
	contexts := 0
	if w.context != nil {
		contexts = contextSlots
	}
	out := appendU32(nil, uint32(len(defined)+injectedGlobals+len(w.m.refFuncs)+contexts))
	for _, g := range defined {
		mutable := byte(0)
		if g.mutable {
			mutable = 1
		}
		out = append(out, byte(g.typ), mutable)
		out = w.shifted(out, g.init, w.m.constExpr)
	}
	add := func(t ValueType, mutable byte, init func(*code)) {
		c := code(out)
		c.op(byte(t), mutable)
		init(&c)
		c.op(opEnd)
		out = c
	}
	add(I64, 1, func(c *code) { c.i64(w.o.FuelSlice) })
	add(I64, 1, func(c *code) { c.i64(w.o.StackBytes) })
	add(I32, 1, func(c *code) { c.i32(0) })
	for _, function := range w.m.refFuncs {
		add(FuncRef, 0, func(c *code) { c.index(opRefFunc, w.shift(function)) })
	}
	for range contexts {
		add(I32, 1, func(c *code) { c.i32(0) })
	}
	return out
}

func (w *writer) exportSection() []byte {
	out := appendU32(nil, uint32(len(w.m.exports)+len(w.exports)))
	for _, e := range w.m.exports {
		if e.kind == KindFunction {
			e.index = w.shift(e.index)
		}
		out = e.append(out)
	}
	for _, e := range w.exports {
		out = e.append(out)
	}
	return out
}

func (e export) append(out []byte) []byte {
	return appendU32(append(appendName(out, e.name), byte(e.kind)), e.index)
}

func (w *writer) elementSection() []byte {
	return w.shifted(nil, w.m.elements, w.m.walkElements)
}

// shifted copies a part of the module that walk reads, with the function indexes shifted.
func (w *writer) shifted(out []byte, s span, walk func(*reader, visitFunc)) []byte {
	r := &reader{bin: w.m.bin, pos: s.from, end: s.to}
	copied := s.from
	walk(r, func(at, end int, function uint32) {
		out = append(out, w.m.bin[copied:at]...)
		out = appendU32(out, w.shift(function))
		copied = end
	})
	return append(out, w.m.bin[copied:s.to]...)
}
