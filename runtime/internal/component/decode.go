package component

import "bytes"

// Limits of a component. Those in the comments are of the largest known components.
const (
	maxBytes         = 8 << 20 // evaluated, without core modules; JavaScript: 27 KiB
	maxDefinitions   = 100_000 // evaluated, and entries of core modules; JavaScript: 2,500
	maxDepth         = 20      // of components, and of types in types; 3
	maxCoreModules   = 100     // Python: 20
	maxCoreInstances = 1000    // Python: 60
	maxNamedBytes    = 8 << 20 // names for the host of imports and exports; JavaScript: 10 KiB
	maxStartCalls    = 100     // of a small module when it starts; 3
)

var preamble = []byte("\x00asm\x0d\x00\x01\x00")

// Is reports whether the bytes begin like a component.
func Is(bin []byte) bool { return bytes.HasPrefix(bin, preamble) }

// section numbers of a component.
const (
	sectionCustom = iota
	sectionCoreModule
	sectionCoreInstance
	sectionCoreType
	sectionComponent
	sectionInstance
	sectionAlias
	sectionType
	sectionCanon
	sectionStart
	sectionImport
	sectionExport
	sectionValue
)

var sectionNames = [...]string{"custom", "core module", "core instance", "core type", "component", "instance", "alias", "type", "canon", "start", "import", "export", "value"}

// decoder evaluates a component.
type decoder struct {
	bin           []byte
	budget        budget
	entries       budget // of core modules
	depth         int
	modules       map[int]*module // by offset
	coreInstances []*coreInstance // of all components, in the order of their instantiation

	shims    map[*module]*shim // nil for a module that is not one
	tables   map[tableKey]map[uint32]filled
	fixups   map[*coreInstance]bool // by instance that fills the table of a shim: whether it does nothing else
	stubs    map[*module][]bool     // by function: whether it traps; nil for a module that is not a stub
	adapters map[*module]bool
	named    int // bytes of names for the host
}

// Guest is the core module of a component.
type Guest struct {
	Module []byte // renamed as the package comment says
	World  World
}

// World lists what a component imports and exports, with the versions that it names, in its order.
type World struct {
	Imports, Exports []string
}

// Decode reads a component and returns its guest. Errors are of the type *Error.
func Decode(bin []byte) (*Guest, error) {
	if !Is(bin) {
		return nil, &Error{Kind: ErrTruncated, Detail: "the preamble is incomplete"}
	}
	d := &decoder{
		bin:      bin,
		budget:   budget{what: "definitions, in all instances of types and components together"},
		entries:  budget{what: "imports, exports, types and sections of all core modules together"},
		modules:  make(map[int]*module),
		shims:    make(map[*module]*shim),
		stubs:    make(map[*module][]bool),
		adapters: make(map[*module]bool),
	}
	root, err := d.component(len(preamble), len(bin), nil, nil)
	if err != nil {
		return nil, err
	}
	return d.guest(root)
}

// enter begins a nested evaluation. The caller must call leave if it returns true.
func (d *decoder) enter(r *reader) bool {
	if d.depth == maxDepth {
		r.fail(limit(r.pos, "more than %d components or types in one another", maxDepth))
		return false
	}
	d.depth++
	return true
}

func (d *decoder) leave() { d.depth-- }

// component evaluates the sections in [from, to), with these arguments for its imports. The root has none: its
// imports are of the host.
func (d *decoder) component(from, to int, outer *scope, args map[string]item) (*scope, error) {
	r := &reader{bin: d.bin, pos: from, end: to, budget: &d.budget}
	s := &scope{outer: outer}
	if !d.enter(r) {
		return nil, r.err
	}
	defer d.leave()
	for r.more() {
		at := r.pos
		r.charge(1)
		id := r.byte()
		body := r.sub(int(r.u32()))
		if r.err != nil {
			break
		}
		if id > sectionValue {
			return nil, invalid(at, "unknown section %d", id)
		}
		if d.section(s, id, at, body, args); body.err == nil {
			body.done(sectionNames[id] + " section")
		}
		r.err = body.err
	}
	return s, r.err
}

func (d *decoder) section(s *scope, id byte, at int, r *reader, args map[string]item) {
	switch id {
	case sectionCustom:
		r.name("section name")
		r.pos = r.end
		return
	case sectionCoreModule:
		d.coreModule(s, r)
		return
	case sectionComponent:
		if !bytes.HasPrefix(d.bin[r.pos:r.end], preamble) {
			r.fail(invalid(at, "nested component without a preamble"))
			return
		}
		s.components = append(s.components, &nested{r.pos + len(preamble), r.end, s})
		r.pos = r.end
		return
	case sectionStart, sectionValue:
		r.fail(unsupportedAt(at, "start functions and values of components are not supported: build without them"))
		return
	}
	r.chargeBytes(r.end - r.pos)
	for n := r.count("entries of the " + sectionNames[id] + " section"); n > 0 && r.err == nil; n-- {
		d.entry(s, id, r, args)
	}
}

// entry evaluates an entry of a section.
func (d *decoder) entry(s *scope, id byte, r *reader, args map[string]item) {
	switch id {
	case sectionCoreInstance:
		d.coreInstance(s, r)
	case sectionCoreType:
		s.coreType(r)
	case sectionInstance:
		d.instance(s, r)
	case sectionAlias:
		d.alias(s, r)
	case sectionType:
		d.typeDefinition(s, r)
	case sectionCanon:
		d.canon(s, r)
	case sectionImport:
		d.importEntry(s, r, args)
	case sectionExport:
		d.exportEntry(s, r)
	}
}

// importEntry evaluates an import. args is nil at the root.
func (d *decoder) importEntry(s *scope, r *reader, args map[string]item) {
	at, name := r.pos, r.externName()
	if args == nil {
		s.imports = append(s.imports, name)
		it := d.external(s, r, name, rootInterface)
		if it.sort == sortComponent || it.sort == sortCore {
			r.fail(unsupportedAt(at, "import %s is a component or a module: compose the component so that it imports interfaces only", quoted(name)))
		}
		s.define(it)
		return
	}
	// The description is read for its length. Tools check that the argument fits it.
	want := d.external(s, r, name, "")
	got, ok := args[name]
	if r.err == nil && (!ok || got.sort != want.sort) {
		r.fail(invalid(at, "nested component: import %s has no argument of its sort", quoted(name)))
		return
	}
	s.define(got)
}

func (d *decoder) exportEntry(s *scope, r *reader) {
	name := r.externName()
	it := s.item(r, r.sort(), r.u32())
	if r.flag("the mark of an export's type") {
		d.external(s, r, name, "")
	}
	if r.err != nil {
		return
	}
	s.export(r, name, it)
	s.define(it)
}
