package fuse

// index returns the number of a function in the fused module: imports, functions of the modules, synthesised ones.
func (f *fuser) index(c callee) uint32 {
	switch c.kind {
	case FromHost:
		return c.number
	case FromModule:
		return uint32(len(f.hosts)) + c.number
	}
	return uint32(len(f.hosts)) + f.defined + c.number
}

// typ returns the number of a type in the fused module.
func (f *fuser) typ(encoded string) uint32 { return number(&f.types, f.typeOf, encoded) }

// check checks an index other than that of a function.
func (f *fuser) check(m *member, s space, index uint32) error {
	_, err := f.renumber(m, s, index)
	return err
}

// renumber returns the index in the fused module for an index in a module.
func (f *fuser) renumber(m *member, s space, index uint32) (uint32, error) {
	what, have := "", 0
	switch s {
	case spaceFunction, spaceReference:
		c, err := f.function(m, index)
		return f.index(c), err
	case spaceTable:
		if what, have = "table", len(m.tables); int64(index) < int64(have) {
			if m.tables[index] == ignored {
				return 0, unsupported(m, "uses a table of trampolines for something else than to fill it")
			}
			return m.tables[index], nil
		}
	case spaceGlobal:
		if what, have = "global", len(m.globals); int64(index) < int64(have) {
			return m.globalIndex[index], nil
		}
	case spaceType, spaceBlock:
		if what, have = "type", len(m.types); int64(index) < int64(have) {
			return f.typ(m.types[index]), nil
		}
	case spaceElement:
		if what, have = "element segment", len(m.elements); int64(index) < int64(have) {
			return m.elementBase + index, nil
		}
	case spaceData:
		if what, have = "data segment", len(m.datas); int64(index) < int64(have) {
			return m.dataBase + index, nil
		}
	}
	return 0, invalid(m, "%s %d does not exist, there are %d", what, index, have)
}

// write returns the fused module.
func (f *fuser) write(exports []Export) ([]byte, error) {
	exported, err1 := f.exportSection(exports)
	globals, err2 := f.globalSection()
	elements, err3 := f.elementSection()
	start := f.startFunction()
	code, err4 := f.codeSection(start)
	data, err5 := f.dataSection()
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return nil, err
		}
	}
	functions, imports := f.functionSection(start != nil), f.importSection()
	size := 0
	for _, m := range f.members {
		size += len(m.bin)
	}
	out := append(make([]byte, 0, size+size/2), preamble...)
	out = section(out, sectionType, f.typeSection()) // last: the others add types
	out = section(out, sectionImport, imports)
	out = section(out, sectionFunction, functions)
	out = section(out, sectionTable, f.tableSection())
	if f.memory != nil {
		out = section(out, sectionMemory, f.memory.append([]byte{1}))
	}
	out = section(out, sectionGlobal, globals)
	out = section(out, sectionExport, exported)
	if start != nil {
		out = section(out, sectionStart, appendU32(nil, uint32(len(f.hosts)+len(f.made))+f.defined))
	}
	out = section(out, sectionElement, elements)
	if n, ok := f.dataCount(); ok {
		out = section(out, sectionDataCount, appendU32(nil, n))
	}
	out = section(out, sectionCode, code)
	return section(out, sectionData, data), nil
}

// startFunction returns the body of the function that calls the start functions, or nil.
func (f *fuser) startFunction() []byte {
	if len(f.starts) == 0 {
		return nil
	}
	out := []byte{0}
	for _, c := range f.starts {
		out = appendU32(append(out, opCall), f.index(c))
	}
	return append(out, opEnd)
}

func (f *fuser) typeSection() []byte {
	out := appendU32(nil, uint32(len(f.types)))
	for _, t := range f.types {
		out = append(out, t...)
	}
	return out
}

func (f *fuser) importSection() []byte {
	out := appendU32(nil, uint32(len(f.hosts)))
	for _, h := range f.hosts {
		out = append(appendName(appendName(out, h.module), h.name), sortFunction)
		out = appendU32(out, f.typ(h.typ))
	}
	return out
}

func (f *fuser) functionSection(start bool) []byte {
	n := f.defined + uint32(len(f.made))
	if start {
		n++
	}
	out := appendU32(nil, n)
	for _, m := range f.members {
		for _, t := range m.functions[len(m.functionImports):] {
			out = appendU32(out, f.typ(t))
		}
	}
	for _, s := range f.made {
		out = appendU32(out, f.typ(s.typ))
	}
	if start {
		out = appendU32(out, f.typ("\x60\x00\x00"))
	}
	return out
}

func (f *fuser) tableSection() []byte {
	out := appendU32(nil, uint32(len(f.tables)))
	for _, t := range f.tables {
		out = t.limits.append(append(out, t.typ))
	}
	return out
}

func (f *fuser) globalSection() (out []byte, err error) {
	out = appendU32(nil, uint32(len(f.globals)))
	for _, g := range f.globals {
		mutable := byte(0)
		if g.mutable {
			mutable = 1
		}
		if out, err = f.constant(append(out, g.typ, mutable), g.value); err != nil {
			return nil, err
		}
		out = append(out, opEnd)
	}
	return out, nil
}

func (f *fuser) exportSection(exports []Export) ([]byte, error) {
	out := appendU32(nil, uint32(len(exports)))
	for _, e := range exports {
		if e.Module < 0 || e.Module >= len(f.members) {
			return nil, &Error{Detail: "export of a module that does not exist"}
		}
		m, index := f.members[e.Module], uint32(0)
		out = append(appendName(out, e.Name), e.Sort)
		var err error
		switch e.Sort {
		case sortFunction:
			index, err = f.renumber(m, spaceFunction, e.Index)
		case sortTable:
			index, err = f.renumber(m, spaceTable, e.Index)
		case sortGlobal:
			index, err = f.renumber(m, spaceGlobal, e.Index)
		case sortMemory:
			if e.Index != 0 || f.memory == nil {
				err = invalid(m, "memory %d does not exist", e.Index)
			}
		default:
			err = unsupported(m, "exports of the kind %d (tags) are not supported", e.Sort)
		}
		if err != nil {
			return nil, err
		}
		out = appendU32(out, index)
	}
	return out, nil
}
