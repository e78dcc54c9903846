package component

import (
	"bytes"
	"fmt"
)

var corePreamble = []byte("\x00asm\x01\x00\x00\x00")

// Sections of a core module.
const (
	coreSectionCustom   = 0
	coreSectionType     = 1
	coreSectionImport   = 2
	coreSectionFunction = 3
	coreSectionTable    = 4
	coreSectionMemory   = 5
	coreSectionGlobal   = 6
	coreSectionExport   = 7
	coreSectionStart    = 8
	coreSectionElement  = 9
	coreSectionCode     = 10
	coreSectionData     = 11
)

// module is a core module: its border is read, the rest is left to the rewriter.
type module struct {
	index    int // among all of the component
	from, to int
	sections []coreSection
	types    []span // function types; empty for others
	imports  []coreImport
	bySort   [coreSortTag + 1][]int // indexes of the imports of a sort
	exports  map[string]moduleExport
	start    int    // function index; -1 for none
	name     string // of the name section
}

type span struct{ from, to int }

type coreSection struct {
	id   byte
	body span
}

type coreImport struct {
	module, name string
	sort         byte
	desc         span // with the sort
}

type moduleExport struct {
	sort  byte
	index uint32
}

// coreModule evaluates a core module section.
func (d *decoder) coreModule(s *scope, r *reader) {
	m := d.modules[r.pos]
	if m == nil {
		if len(d.modules) == maxCoreModules {
			r.fail(limit(r.pos, "more than %d core modules", maxCoreModules))
			return
		}
		m = &module{index: len(d.modules), from: r.pos, to: r.end, start: -1, exports: make(map[string]moduleExport)}
		if err := d.readModule(m); err != nil {
			r.fail(err)
			return
		}
		d.modules[r.pos] = m
	}
	s.modules = append(s.modules, m)
	r.pos = r.end
}

// readModule reads the border of a core module. Its entries are charged to the decoder.
func (d *decoder) readModule(m *module) error {
	if !bytes.HasPrefix(d.bin[m.from:m.to], corePreamble) {
		return invalid(m.from, "core module %d does not begin with the preamble of version 1", m.index)
	}
	r := &reader{bin: d.bin, pos: m.from + len(corePreamble), end: m.to, budget: &d.entries}
	for r.more() {
		id := r.byte()
		body := r.sub(int(r.u32()))
		if r.err != nil {
			break
		}
		r.charge(1)
		m.sections = append(m.sections, coreSection{id, span{body.pos, body.end}})
		switch id {
		case coreSectionCustom:
			m.custom(body)
		case coreSectionType:
			m.readTypes(body)
		case coreSectionImport:
			m.readImports(body)
		case coreSectionExport:
			m.readExports(body)
		case coreSectionStart:
			m.start = int(body.u32())
		}
		if body.err != nil {
			return body.err
		}
	}
	return r.err
}

// custom reads the module's name, if there is one. Malformed contents of a custom section are ignored.
func (m *module) custom(r *reader) {
	if r.name("section name") != "name" || r.err != nil {
		return
	}
	names := *r
	if names.byte() == 0 {
		names.u32()
		if name := names.name("module name"); names.err == nil {
			m.name = name
		}
	}
}

// String returns a module's number and name, for errors.
func (m *module) String() string {
	if m.name == "" {
		return fmt.Sprintf("core module %d", m.index)
	}
	return fmt.Sprintf("core module %d (%s)", m.index, quoted(m.name))
}

func (m *module) readTypes(r *reader) {
	for n := r.count("types"); n > 0 && r.err == nil; n-- {
		t := span{from: r.pos}
		if r.byte() != 0x60 { // the rewriter says what it is
			return
		}
		for range 2 {
			r.skip(r.length("value types"))
		}
		t.to = r.pos
		m.types = append(m.types, t)
	}
}

func (m *module) readImports(r *reader) {
	for n := r.count("imports"); n > 0 && r.err == nil; n-- {
		im := coreImport{module: r.name("import module"), name: r.name("import name")}
		im.desc.from = r.pos
		im.sort = r.byte()
		r.importDescription(im.sort)
		im.desc.to = r.pos
		if r.err == nil {
			m.bySort[im.sort] = append(m.bySort[im.sort], len(m.imports))
		}
		m.imports = append(m.imports, im)
	}
}

func (r *reader) importDescription(sort byte) {
	pos := r.pos
	switch sort {
	case coreSortFunc:
		r.u32()
	case coreSortTable:
		r.byte()
		r.limits()
	case coreSortMemory:
		r.limits()
	case coreSortGlobal:
		r.byte()
		r.byte()
	case coreSortTag:
		r.byte()
		r.u32()
	default:
		r.fail(invalid(pos, "import of the unknown kind %d", sort))
	}
}

func (r *reader) limits() {
	pos := r.pos
	switch flags := r.byte(); {
	case r.err != nil:
	case flags > 3:
		r.fail(unsupportedAt(pos, "64-bit memories and tables are not supported: build for wasm32"))
	default:
		r.u32()
		if flags&1 != 0 {
			r.u32()
		}
	}
}

func (m *module) readExports(r *reader) {
	for n := r.count("exports"); n > 0 && r.err == nil; n-- {
		pos := r.pos
		name := r.name("export name")
		if _, twice := m.exports[name]; twice {
			r.fail(invalid(pos, "second export of the name %s", quoted(name)))
		}
		m.exports[name] = moduleExport{r.byte(), r.u32()}
	}
}

// section returns a reader of a section; it is empty if the module has none.
func (m *module) section(d *decoder, id byte) *reader {
	for _, s := range m.sections {
		if s.id == id {
			return &reader{bin: d.bin, pos: s.body.from, end: s.body.to, budget: &d.entries}
		}
	}
	return &reader{bin: d.bin, budget: &d.entries}
}

func (m *module) has(ids ...byte) bool {
	for _, s := range m.sections {
		if bytes.IndexByte(ids, s.id) >= 0 {
			return true
		}
	}
	return false
}

// imported returns the import of a function by its index, or nil if the module defines it.
func (m *module) imported(function uint32) *coreImport { return m.importOf(coreSortFunc, function) }

// importOf returns the import of a definition by its sort and index, or nil if the module defines it.
func (m *module) importOf(sort byte, index uint32) *coreImport {
	if int64(index) >= int64(len(m.bySort[sort])) {
		return nil
	}
	return &m.imports[m.bySort[sort][index]]
}

// argument returns what an instance has for an import of its module.
func (in *coreInstance) argument(im *coreImport) *coreItem {
	arg := in.args[im.module]
	if arg.module != nil {
		return &coreItem{from: arg, name: im.name}
	}
	return arg.exports[im.name].item
}
