package component

// wit-component makes lowered functions that need the guest's memory reachable in two steps, because the guest is not there
// yet when its imports are made: the guest imports trampolines of a shim, which call through a table
// that a fixup module fills after the guest. Other tools may do the same with other names.

// maxShimBytes is the largest core module that is read as a shim or a fixup. One of 1,000 functions has some 20 KiB.
const maxShimBytes = 1 << 20

// shim has the table slots of a module that consists of trampolines.
type shim struct {
	slots []uint32 // by function
	table uint32   // table index of all of them
}

// shimOf reads a module as a shim. It returns nil if the module is not one.
func (d *decoder) shimOf(m *module) *shim {
	if s, ok := d.shims[m]; ok {
		return s
	}
	s := d.readShim(m)
	d.shims[m] = s
	return s
}

func (d *decoder) readShim(m *module) *shim {
	if m.to-m.from > maxShimBytes || len(m.imports) > 0 || m.start >= 0 ||
		m.has(coreSectionMemory, coreSectionGlobal, coreSectionElement, coreSectionData) || !m.has(coreSectionTable, coreSectionCode) {
		return nil
	}
	types := m.section(d, coreSectionFunction)
	code := m.section(d, coreSectionCode)
	n := types.count("functions")
	if n == 0 || code.count("functions") != n {
		return nil
	}
	s := &shim{slots: make([]uint32, n)}
	for i := range n {
		typ := types.u32()
		body := code.sub(int(code.u32()))
		if code.err != nil || types.err != nil || int64(typ) >= int64(len(m.types)) {
			return nil
		}
		slot, table, ok := m.trampoline(body, typ)
		if !ok || i > 0 && table != s.table {
			return nil
		}
		s.slots[i], s.table = slot, table
	}
	return s
}

// trampoline reads a function that passes its parameters on to the function in a slot of a table, which must have its type.
func (m *module) trampoline(r *reader, typ uint32) (slot, table uint32, ok bool) {
	if r.u32() != 0 { // locals
		return 0, 0, false
	}
	for i := range m.params(r.bin, typ) {
		if r.byte() != 0x20 || r.u32() != uint32(i) { // local.get
			return 0, 0, false
		}
	}
	if r.byte() != 0x41 { // i32.const
		return 0, 0, false
	}
	c := r.u32From33()
	if r.byte() != 0x11 { // call_indirect
		return 0, 0, false
	}
	called := r.u32()
	table = r.u32()
	if r.byte() != 0x0b || r.err != nil || r.pos != r.end || c < 0 || !m.sameType(r.bin, called, typ) {
		return 0, 0, false
	}
	return uint32(c), table, true
}

// params returns the number of parameters of a type.
func (m *module) params(bin []byte, typ uint32) int {
	t := m.types[typ]
	r := &reader{bin: bin, pos: t.from + 1, end: t.to}
	return int(r.u32())
}

func (m *module) sameType(bin []byte, a, b uint32) bool {
	if int64(a) >= int64(len(m.types)) {
		return false
	}
	x, y := m.types[a], m.types[b]
	return a == b || string(bin[x.from:x.to]) == string(bin[y.from:y.to])
}

// filled is a function in a table of a shim.
type filled struct {
	by     *coreInstance // the fixup
	source *coreImport   // of the fixup
}

// tableKey is a table that the module of an instance defines.
type tableKey struct {
	instance *coreInstance
	index    uint32
}

// fillTables evaluates the element segments of all modules that import a table of a shim. Later ones win.
func (d *decoder) fillTables() error {
	d.tables = make(map[tableKey]map[uint32]filled)
	d.fixups = make(map[*coreInstance]bool)
	for _, in := range d.coreInstances {
		if in.module == nil {
			continue
		}
		for table, i := range in.module.bySort[coreSortTable] {
			im := &in.module.imports[i]
			owner := in.argument(im).from
			s := d.shimOf(owner.module)
			export := owner.module.exports[in.argument(im).name]
			if s == nil || export.sort != coreSortTable || export.index != s.table {
				continue
			}
			if err := d.fill(in, tableKey{owner, s.table}, uint32(table)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill evaluates the element segments of a fixup for the table of a shim. Those for other tables are left to the program.
func (d *decoder) fill(in *coreInstance, key tableKey, table uint32) error {
	m := in.module
	d.fixups[in] = len(m.bySort[coreSortTable]) == 1 && m.to-m.from <= maxShimBytes &&
		!m.has(coreSectionTable, coreSectionMemory, coreSectionGlobal, coreSectionCode, coreSectionData)
	if d.tables[key] == nil {
		d.tables[key] = make(map[uint32]filled)
	}
	r := m.section(d, coreSectionElement)
	if r.pos == r.end {
		return nil
	}
	for n := r.count("element segments"); n > 0 && r.err == nil; n-- {
		at := r.pos
		flags, filledTable := r.u32(), uint32(0)
		if flags == 2 {
			filledTable = r.u32()
		}
		if r.err == nil && flags != 0 && flags != 2 || r.byte() != 0x41 {
			return unsupportedAt(at, "%s fills a table in a form that is not recognised: build with current versions of the tools", m)
		}
		slot := r.u32From33()
		if end := r.byte(); end != 0x0b || flags == 2 && r.byte() != 0 || slot < 0 {
			return invalid(at, "element segment of %s", m)
		}
		for range r.count("elements") {
			im := m.imported(r.u32())
			if filledTable != table {
				continue
			}
			if r.err == nil && im == nil {
				return invalid(at, "element segment of %s with a function that it does not import", m)
			}
			d.tables[key][uint32(slot)] = filled{in, im}
			slot++
		}
	}
	return r.err
}
