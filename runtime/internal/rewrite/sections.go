package rewrite

// Limits of the WebAssembly JavaScript interface, which all browsers enforce and no toolchain
// exceeds. Without them a small module could make wazero's compiler allocate without bound.
const (
	maxParams        = 1000 // and results
	maxLocals        = 50_000
	maxFunctionBytes = 7_654_321
	maxBranchTargets = 65_520
	maxEntries       = 1_000_000 // imports, functions, globals, exports
	maxTypes         = 10_000    // wazero keeps the types of all modules for good; large programs have a few hundred
	maxTypeValues    = 100_000   // parameters and results of all types; large programs have a few thousand
	maxTables        = 100_000
	maxSegments      = 1_000_000
	maxElements      = 10_000_000
	maxNameBytes     = 100_000
	maxPages         = 65536
)

func (m *module) readTypes(r *reader) {
	n := r.count("types", maxTypes)
	m.typeRaw = span{r.pos, r.end}
	values := 0
	for range n {
		at := r.pos
		s := r.signature()
		if values += len(s.Params) + len(s.Results); r.err == nil && values > maxTypeValues {
			r.fail(at, ErrLimit, "more than %d parameters and results in all types together", maxTypeValues)
		}
		if r.err != nil {
			return
		}
		m.types = append(m.types, s)
	}
}

// typeIndex reads the index of a function type.
func (m *module) typeIndex(r *reader) uint32 {
	at := r.pos
	i := r.u32()
	if r.err == nil && int(i) >= len(m.types) {
		r.fail(at, ErrInvalid, "type %d does not exist, there are %d", i, len(m.types))
		return 0
	}
	return i
}

func (m *module) readImports(r *reader) {
	n := r.count("imports", maxEntries)
	m.importRaw = span{r.pos, r.end}
	for range n {
		imp := Import{Module: r.name("import module"), Name: r.name("import name")}
		at := r.pos
		imp.Kind = Kind(r.byte())
		switch {
		case r.err != nil:
		case imp.Kind == KindFunction:
			if t := m.typeIndex(r); r.err == nil {
				m.funcs = append(m.funcs, t)
				imp.Signature = m.types[t]
			}
			m.importedFuncs++
		case imp.Kind == KindTable:
			m.tables = append(m.tables, r.table())
			m.importedTables++
		case imp.Kind == KindMemory:
			m.memoryRaw.from = r.pos
			m.addMemory(r, true)
			m.memoryRaw.to = r.pos
		case imp.Kind == KindGlobal:
			m.globals = append(m.globals, r.globalType())
			m.importedGlobals++
		case imp.Kind == 4:
			r.unsupported(at, featureExceptions, "imported tag %q.%q", imp.Module, imp.Name)
		default:
			r.fail(at, ErrInvalid, "import %q.%q is of unknown kind %d", imp.Module, imp.Name, imp.Kind)
		}
		if r.err != nil {
			return
		}
		m.imports = append(m.imports, imp)
	}
}

func (m *module) readFunctions(r *reader) {
	for range r.count("functions", maxEntries) {
		m.funcs = append(m.funcs, m.typeIndex(r))
	}
}

func (r *reader) table() tableType {
	t := tableType{at: r.pos}
	if r.more() && r.bin[r.pos] == 0x40 {
		r.unsupported(r.pos, featureFuncRefs, "table with an initial value")
	}
	t.elem, t.limits = r.refType(), r.limits()
	if r.err == nil && t.limits.shared {
		r.unsupported(t.at, featureThreads, "shared table")
	}
	return t
}

func (m *module) readTables(r *reader) {
	for range r.count("tables", maxTables) {
		m.tables = append(m.tables, r.table())
	}
}

func (m *module) addMemory(r *reader, imported bool) {
	at := r.pos
	l := r.limits()
	switch {
	case r.err != nil:
	case m.memory != nil:
		r.unsupported(at, featureMultiMem, "second memory")
	case l.min > maxPages || l.max > maxPages:
		r.fail(at, ErrInvalid, "memory of more than %d pages", maxPages)
	}
	m.memory = &Memory{MinPages: l.min, MaxPages: l.max, HasMax: l.hasMax, Shared: l.shared, Imported: imported}
}

func (m *module) readMemories(r *reader) {
	for range r.count("memories", maxEntries) {
		m.addMemory(r, false)
	}
}

func (r *reader) globalType() globalType {
	g := globalType{typ: r.valueType()}
	at := r.pos
	switch b := r.byte(); {
	case b == 1:
		g.mutable = true
	case b&2 != 0:
		r.unsupported(at, featureThreads, "shared global")
	case b != 0:
		r.fail(at, ErrInvalid, "mutability of a global is %d", b)
	}
	return g
}

func (m *module) readGlobals(r *reader) {
	for range r.count("globals", maxEntries) {
		g := r.globalType()
		g.init.from = r.pos
		m.constExpr(r, m.referAll)
		g.init.to = r.pos
		if r.err != nil {
			return
		}
		m.globals = append(m.globals, g)
	}
}

func (m *module) readExports(r *reader) {
	n := r.count("exports", maxEntries)
	seen := make(map[string]bool)
	for range n {
		at := r.pos
		e := export{name: r.name("export name"), kind: Kind(r.byte()), index: r.u32()}
		if r.err != nil {
			return
		}
		if seen[e.name] {
			r.fail(at, ErrInvalid, "second export of the name %q", e.name)
			return
		}
		seen[e.name] = true
		m.checkExport(r, at, e)
		m.exports = append(m.exports, e)
	}
}

func (m *module) checkExport(r *reader, at int, e export) {
	var have int
	switch e.kind {
	case KindFunction:
		have = len(m.funcs)
	case KindTable:
		have = len(m.tables)
	case KindMemory:
		if m.memory != nil {
			if have = 1; m.memory.ExportName == "" {
				m.memory.ExportName = e.name
			}
		}
	case KindGlobal:
		have = len(m.globals)
	case 4:
		r.unsupported(at, featureExceptions, "export %q of a tag", e.name)
		return
	default:
		r.fail(at, ErrInvalid, "export %q is of unknown kind %d", e.name, e.kind)
		return
	}
	if int64(e.index) >= int64(have) {
		r.fail(at, ErrInvalid, "export %q names %s %d, there are %d", e.name, e.kind, e.index, have)
	} else if e.kind == KindFunction {
		m.refer(e.index)
	}
}

func (m *module) readStart(r *reader) {
	i, ok := m.funcIndex(r)
	if !ok {
		return
	}
	if s := m.signatureOf(i); len(s.Params)+len(s.Results) > 0 {
		r.fail(r.pos, ErrInvalid, "start function %d has the signature %s", i, s)
		return
	}
	m.start = int(i)
}

// funcIndex reads the index of an existing function.
func (m *module) funcIndex(r *reader) (uint32, bool) {
	at := r.pos
	i := r.u32()
	if r.err == nil && int64(i) >= int64(len(m.funcs)) {
		r.fail(at, ErrInvalid, "function %d does not exist, there are %d", i, len(m.funcs))
	}
	return i, r.err == nil
}

// refer records that indirect calls may reach the function.
func (m *module) refer(function uint32) {
	if m.referenced == nil {
		m.referenced = make([]bool, len(m.funcs))
	}
	m.referenced[function] = true
}

func (m *module) readData(r *reader) {
	at := r.pos
	n := r.count("data segments", maxSegments)
	m.data, m.hasData, m.dataSegments = span{at, r.end}, true, n
	if r.err == nil && m.dataCount >= 0 && n != m.dataCount {
		r.fail(at, ErrInvalid, "%d data segments, %d announced", n, m.dataCount)
	}
	for range n {
		at := r.pos
		flags := r.u32()
		switch {
		case r.err != nil:
		case flags > 2:
			r.fail(at, ErrInvalid, "unknown form %d of a data segment", flags)
		case flags == 2 && r.u32() != 0:
			r.unsupported(at, featureMultiMem, "data segment for another memory")
		}
		if flags != 1 {
			if m.memory == nil {
				r.fail(at, ErrInvalid, "data segment for a memory, but there is none")
			}
			m.oddData = m.oddData || !r.plainOffset()
			m.constExpr(r, func(at, _ int, _ uint32) {
				r.fail(at, ErrInvalid, "the offset of a data segment is not an integer")
			})
		} else {
			m.oddData = true
		}
		size := r.count("bytes of data", r.end)
		r.skip(size)
		if r.err != nil {
			return
		}
		m.dataBytes += size
	}
}
