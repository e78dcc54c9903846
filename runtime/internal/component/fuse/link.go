package fuse

import "math"

// ignored is the number of a table that nothing reads.
const ignored = math.MaxUint32

// link gives numbers to tables, globals and segments, in the order of the modules, and evaluates their constants.
func (f *fuser) link() error {
	elements, datas := uint32(0), uint32(0)
	for at, m := range f.members {
		m.elementBase, m.dataBase = elements, datas
		for i := range m.imports {
			if err := f.linkImport(at, i); err != nil {
				return err
			}
		}
		if m.memory != nil {
			if f.memory != nil {
				return unsupported(m, "has a memory of its own, besides that of another module: several memories are not supported")
			}
			f.memory = m.memory
		}
		for _, t := range m.ownTables {
			m.tables = append(m.tables, uint32(len(f.tables)))
			f.tables = append(f.tables, t)
		}
		for _, part := range []struct {
			id   byte
			read func(*reader)
		}{{sectionGlobal, f.readGlobals}, {sectionElement, m.readElements}, {sectionData, f.readData}} {
			if err := m.part(part.id, part.read); err != nil {
				return err
			}
		}
		elements += uint32(len(m.elements))
		datas += uint32(len(m.datas))
	}
	return nil
}

// linkImport finds the source of a table, a memory or a global.
func (f *fuser) linkImport(at, i int) error {
	m := f.members[at]
	im := &m.imports[i]
	if im.sort == sortFunction {
		return nil
	}
	s, err := m.source(i)
	if err != nil {
		return err
	}
	if s.Kind == Ignored && im.sort == sortTable {
		m.tables = append(m.tables, ignored)
		return nil
	}
	if s.Kind != FromModule || s.Module < 0 || s.Module >= at {
		return unsupported(m, "import %s is a memory, a table or a global that no earlier module of the program has", im.text())
	}
	owner, fits := f.members[s.Module], false
	switch im.sort {
	case sortTable:
		if fits = int64(s.Index) < int64(len(owner.tables)); fits {
			n := owner.tables[s.Index]
			fits = n != ignored && f.tables[n].typ == im.table.typ && f.tables[n].limits.fit(im.table.limits)
			m.tables = append(m.tables, n)
		}
	case sortMemory:
		fits = s.Index == 0 && f.memory != nil && f.memory.fit(im.limits)
	case sortGlobal:
		if fits = int64(s.Index) < int64(len(owner.globals)); fits {
			g := owner.globals[s.Index]
			fits = g.typ == im.global.typ && g.mutable == im.global.mutable
			m.globals = append(m.globals, g)
			m.globalIndex = append(m.globalIndex, owner.globalIndex[s.Index])
		}
	}
	if !fits {
		return invalid(m, "import %s has another type than what it is linked to", im.text())
	}
	return nil
}

func (f *fuser) readGlobals(r *reader) {
	m := r.m
	for n := r.count("globals"); n > 0 && r.err == nil; n-- {
		g := r.global()
		g.value = r.constant()
		m.globals = append(m.globals, g)
		m.globalIndex = append(m.globalIndex, uint32(len(f.globals)))
		f.globals = append(f.globals, g)
	}
}

// readElements reads element segments. Bits of their flags: 0: not active; 1: explicit table, or declarative; 2: the
// elements are expressions.
func (m *member) readElements(r *reader) {
	for n := r.count("element segments"); n > 0 && r.err == nil; n-- {
		s := segment{flags: r.u32(), kind: 0x70}
		if r.err == nil && s.flags > 7 {
			r.invalid("unknown form %d of an element segment", s.flags)
		}
		if s.active() {
			if s.flags&2 != 0 {
				s.table = r.u32()
			}
			if r.err == nil && int64(s.table) >= int64(len(m.tables)) {
				r.invalid("element segment for table %d, there are %d", s.table, len(m.tables))
			}
			s.offset = r.offset()
		}
		switch {
		case s.flags&3 == 0:
		case s.flags&4 != 0:
			s.kind = r.referenceType()
		default:
			if kind := r.byte(); r.err == nil && kind != 0 {
				r.invalid("element kind is not a function")
			}
		}
		s.items = body{m, r.pos, r.end}
		count := s.read(r, func(value) error { return nil })
		s.items.to = r.pos
		m.active = m.active || r.err == nil && s.active() && count > 0 && m.tables[s.table] != ignored
		m.elements = append(m.elements, s)
	}
}

// offset reads the offset of an active segment.
func (r *reader) offset() value {
	v := r.constant()
	if r.err == nil && v.op != opI32Const {
		r.invalid("offset of a segment that is no i32")
	}
	return v
}

// read reads the elements of a segment and returns their number.
func (s *segment) read(r *reader, do func(value) error) int {
	n := r.count("elements")
	for range n {
		v := value{op: opRefFunc, owner: r.m}
		if s.flags&4 != 0 {
			v = r.constant()
		} else {
			v.bits = uint64(r.u32())
		}
		if r.err == nil {
			if err := do(v); err != nil {
				r.fail(err)
			}
		}
		if r.err != nil {
			break
		}
	}
	return n
}

// each calls do for each element.
func (s *segment) each(do func(value) error) error {
	r := &reader{m: s.items.m, bin: s.items.m.bin, pos: s.items.from, end: s.items.to}
	s.read(r, do)
	return r.err
}

func (f *fuser) readData(r *reader) {
	m := r.m
	for n := r.count("data segments"); n > 0 && r.err == nil; n-- {
		flags := r.u32()
		if r.err == nil && (flags > 2 || flags == 2 && r.u32() != 0) {
			r.unsupported("data segments with a memory index are not supported")
		}
		d := data{passive: flags == 1}
		if !d.passive {
			d.offset = r.offset()
		}
		d.bytes = r.bytes(r.count("bytes of a data segment"))
		m.active = m.active || !d.passive && len(d.bytes) > 0
		m.datas = append(m.datas, d)
	}
}
