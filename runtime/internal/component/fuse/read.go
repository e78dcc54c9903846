package fuse

import (
	"bytes"
	"fmt"
)

var preamble = []byte("\x00asm\x01\x00\x00\x00")

// Sections of a module.
const (
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
)

// Sorts of imports and exports.
const (
	sortFunction = 0x00
	sortTable    = 0x01
	sortMemory   = 0x02
	sortGlobal   = 0x03
)

// member is a module to merge, as it is read.
type member struct {
	name     string
	bin      []byte
	source   func(i int) (Source, error)
	sections map[byte]*reader

	types           []string // encoded
	imports         []imported
	functions       []string // types; those of imports first
	functionImports []int    // by function, the position among the imports
	tables          []uint32 // of the fused module, or ignored; those of imports first, when they are linked
	ownTables       []table
	memory          *limits // nil for none of its own
	globals         []global
	globalIndex     []uint32 // of the fused module
	elements        []segment
	bodies          []body
	datas           []data
	dataCount       bool
	start           int  // -1 for none
	active          bool // has active segments with contents

	followed                            map[uint32]callee
	functionBase, elementBase, dataBase uint32
}

// imported is an import of a module.
type imported struct {
	module, name string
	sort         byte
	typ          string // of a function
	table        table
	limits       limits // of a memory
	global       global
}

func (i *imported) text() string { return fmt.Sprintf("%.100q.%.100q", i.module, i.name) }

type table struct {
	typ    byte
	limits limits
}

// limits of a table or a memory.
type limits struct {
	min, max uint32
	bounded  bool
}

// fit reports whether a definition with these limits can be imported with others.
func (l limits) fit(want limits) bool {
	return l.min >= want.min && (!want.bounded || l.bounded && l.max <= want.max)
}

func (l limits) append(out []byte) []byte {
	if l.bounded {
		return appendU32(appendU32(append(out, 1), l.min), l.max)
	}
	return appendU32(append(out, 0), l.min)
}

type global struct {
	typ     byte
	mutable bool
	value   value
}

// segment is an element segment.
type segment struct {
	flags  uint32
	table  uint32 // of the module
	offset value  // active segments
	kind   byte   // with expressions, the type of references
	items  body   // the elements
}

func (s *segment) active() bool { return s.flags&1 == 0 }

// data is a data segment.
type data struct {
	passive bool
	offset  value
	bytes   []byte
}

// read reads a module up to what depends on others.
func read(in *Module) (*member, error) {
	m := &member{
		name:     in.Name,
		bin:      in.Bin,
		source:   in.Source,
		sections: make(map[byte]*reader),
		start:    -1,
		followed: make(map[uint32]callee),
	}
	if !bytes.HasPrefix(in.Bin, preamble) {
		return nil, invalid(m, "does not begin with the preamble of version 1")
	}
	r := &reader{m: m, bin: in.Bin, pos: len(preamble), end: len(in.Bin)}
	for r.more() {
		id := r.byte()
		body := r.sub(int(r.u32()))
		switch {
		case r.err != nil || id == 0:
		case id > sectionDataCount:
			r.unsupported("section %d (tags) is not supported", id)
		case m.sections[id] != nil:
			r.invalid("second section %d", id)
		default:
			m.sections[id] = body
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	for _, part := range []struct {
		id   byte
		read func(*reader)
	}{
		{sectionType, m.readTypes},
		{sectionImport, m.readImports},
		{sectionFunction, m.readFunctions},
		{sectionTable, m.readTables},
		{sectionMemory, m.readMemories},
		{sectionStart, func(r *reader) { m.start = int(r.u32()) }},
		{sectionDataCount, func(r *reader) { r.u32(); m.dataCount = true }},
		{sectionCode, m.readCode},
	} {
		if err := m.part(part.id, part.read); err != nil {
			return nil, err
		}
	}
	if len(m.bodies) != len(m.functions)-len(m.functionImports) {
		return nil, invalid(m, "%d function bodies for %d functions", len(m.bodies), len(m.functions)-len(m.functionImports))
	}
	return m, nil
}

// part reads a section, if the module has it.
func (m *member) part(id byte, read func(*reader)) error {
	r := m.sections[id]
	if r == nil {
		return nil
	}
	read(r)
	r.done(fmt.Sprintf("section %d", id))
	return r.err
}

func (m *member) readTypes(r *reader) {
	for n := r.count("types"); n > 0 && r.err == nil; n-- {
		from := r.pos
		if form := r.byte(); r.err == nil && form != 0x60 {
			r.unsupported("types of the form %#02x (garbage collection) are not supported", form)
		}
		for range 2 {
			for _, t := range r.bytes(r.count("value types")) {
				if !valueType(t) {
					r.unsupported("values of the type %#02x are not supported", t)
				}
			}
		}
		m.types = append(m.types, string(r.bin[from:r.pos]))
	}
}

// typeAt reads the index of a function type.
func (m *member) typeAt(r *reader) string {
	i := r.u32()
	if r.err == nil && int64(i) >= int64(len(m.types)) {
		r.invalid("type %d does not exist, there are %d", i, len(m.types))
	}
	if r.err != nil {
		return ""
	}
	return m.types[i]
}

func (m *member) readImports(r *reader) {
	for n := r.count("imports"); n > 0 && r.err == nil; n-- {
		i := imported{module: r.name(), name: r.name(), sort: r.byte()}
		switch i.sort {
		case sortFunction:
			i.typ = m.typeAt(r)
			m.functionImports = append(m.functionImports, len(m.imports))
			m.functions = append(m.functions, i.typ)
		case sortTable:
			i.table = r.table()
		case sortMemory:
			i.limits = r.limits()
		case sortGlobal:
			i.global = r.global()
		default:
			r.unsupported("imports of the kind %d (tags) are not supported", i.sort)
		}
		m.imports = append(m.imports, i)
	}
}

func (r *reader) table() table { return table{r.referenceType(), r.limits()} }

func (r *reader) limits() (l limits) {
	switch flags := r.byte(); {
	case r.err != nil:
	case flags > 1:
		r.unsupported("shared memories and 64-bit memories and tables are not supported")
	default:
		l.min, l.bounded = r.u32(), flags == 1
		if l.bounded {
			l.max = r.u32()
		}
	}
	return l
}

func (r *reader) global() global {
	g := global{typ: r.byte()}
	if r.err == nil && !valueType(g.typ) {
		r.unsupported("globals of the type %#02x are not supported", g.typ)
	}
	mutable := r.byte()
	if r.err == nil && mutable > 1 {
		r.unsupported("shared globals are not supported")
	}
	g.mutable = mutable == 1
	return g
}

func (m *member) readFunctions(r *reader) {
	for n := r.count("functions"); n > 0 && r.err == nil; n-- {
		m.functions = append(m.functions, m.typeAt(r))
	}
}

func (m *member) readTables(r *reader) {
	for n := r.count("tables"); n > 0 && r.err == nil; n-- {
		m.ownTables = append(m.ownTables, r.table())
	}
}

func (m *member) readMemories(r *reader) {
	for n := r.count("memories"); n > 0 && r.err == nil; n-- {
		if m.memory != nil {
			r.unsupported("several memories are not supported")
		}
		l := r.limits()
		m.memory = &l
	}
}

func (m *member) readCode(r *reader) {
	for n := r.count("function bodies"); n > 0 && r.err == nil; n-- {
		b := r.sub(int(r.u32()))
		m.bodies = append(m.bodies, body{m, b.pos, b.end})
	}
}
