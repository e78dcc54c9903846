package rewrite

import "bytes"

type sectionID byte

const (
	sectionCustom sectionID = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
	sectionTag
)

func (id sectionID) String() string {
	if id > sectionTag {
		return "unknown"
	}
	return [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element",
		"code", "data", "data count", "tag"}[id]
}

// order returns the position of a section in a module. Each non-custom section occurs there at most once.
func (id sectionID) order() int {
	if id == sectionDataCount {
		return 2*int(sectionElement) + 1
	}
	return 2 * int(id)
}

// span is a range of bytes in the module.
type span struct{ from, to int }

// module is a decoded module. Parts that the passes copy unchanged are spans of bin.
type module struct {
	bin []byte

	types     []Signature
	imports   []Import
	importRaw span // the entries of the import section, without their count
	memoryRaw span // the limits of an imported memory

	importedFuncs, importedGlobals, importedTables int

	funcs   []uint32 // type index of each function, imported ones first
	tables  []tableType
	memory  *Memory
	globals []globalType
	exports []export
	start   int // function index, -1 for none

	elements     span // payload of the element section
	data         span // payload of the data section
	hasData      bool
	elemCount    int
	elementTotal int // in all segments
	dataSegments int
	oddData      bool // a data segment is passive, or its offset is not one constant
	usesSegments bool // an instruction refers to a data segment
	dataCount    int  // -1 without a data count section
	typeRaw      span
	bodies       []body
	funcNames    []nameEntry
	producers    []string
	referenced   []bool         // by function index: whether a reference can name the function
	refFuncs     []uint32       // functions named by ref.func in code, in order of appearance, without duplicates
	refOrder     map[uint32]int // index of each function in refFuncs
	fresh        freshUse
	writesMemory bool

	dataBytes, codeBytes int
	leastBytes           int       // size of the smallest module whose code may be this large
	separate             *Separate // nil if the code and the data cannot be separated
}

type tableType struct {
	at     int // offset of the entry
	elem   ValueType
	limits limits
}

type globalType struct {
	typ     ValueType
	mutable bool
	init    span // initial value with its end instruction; empty if imported
}

type export struct {
	name  string
	kind  Kind
	index uint32
}

// body is a function body: its local declarations and its instructions.
type body struct {
	groups  []localGroup
	locals  int    // number of declared locals
	at      int    // offset of the instructions in the module
	bin     []byte // has the instructions: the module, or code with loops of their own
	code    span   // instructions in bin, ending with end
	summary summary
}

type localGroup struct {
	n   uint32
	typ ValueType
}

func (g localGroup) wide() bool { return g.typ == V128 }

var (
	preambleModule    = []byte("\x00asm\x01\x00\x00\x00")
	preambleComponent = []byte("\x00asm\x0d\x00\x01\x00")
)

// decode reads a whole module: its structure, every instruction and every index.
func decode(bin []byte) (*module, error) {
	if err := checkPreamble(bin); err != nil {
		return nil, err
	}
	m := &module{bin: bin, start: -1, dataCount: -1}
	r := &reader{bin: bin, pos: len(preambleModule), end: len(bin)}
	last := 0
	var seen [sectionTag + 1]bool
	for r.more() {
		at := r.pos
		id := sectionID(r.byte())
		s := r.sub(int(r.u32()))
		if r.err != nil {
			break
		}
		if id == sectionCustom {
			r.err = m.custom(s)
			continue
		}
		m.checkOrder(r, at, id, &last)
		if r.err != nil {
			break
		}
		seen[id] = true
		m.section(id, s)
		if s.err == nil && s.pos != s.end {
			s.fail(s.pos, ErrInvalid, "%s section has %d bytes too many", id, s.remaining())
		}
		r.err = s.err
	}
	if r.err == nil && !seen[sectionCode] && len(m.funcs) > m.importedFuncs {
		r.fail(r.pos, ErrInvalid, "%d functions without a code section", len(m.funcs)-m.importedFuncs)
	}
	if r.err == nil && !seen[sectionData] && m.dataCount > 0 {
		r.fail(r.pos, ErrInvalid, "%d data segments announced, none follow", m.dataCount)
	}
	return m, r.err
}

func checkPreamble(bin []byte) error {
	switch n := min(len(bin), len(preambleModule)); {
	case n >= 4 && !bytes.Equal(bin[:4], preambleModule[:4]), n < 4 && !bytes.Equal(bin, preambleModule[:n]), n == 0:
		return &Error{Kind: ErrNotWasm, Detail: "the first bytes are not \\0asm"}
	case n < len(preambleModule):
		return &Error{Kind: ErrTruncated, Offset: n, Detail: "the preamble is incomplete"}
	case bytes.HasPrefix(bin, preambleComponent):
		return &Error{Kind: ErrComponent, Offset: 4}
	case !bytes.HasPrefix(bin, preambleModule):
		return &Error{Kind: ErrNotWasm, Offset: 4, Detail: "the version is not 1"}
	}
	return nil
}

func (m *module) checkOrder(r *reader, at int, id sectionID, last *int) {
	switch {
	case id == sectionTag:
		r.unsupported(at, featureExceptions, "tag section")
	case id > sectionTag:
		r.fail(at, ErrInvalid, "unknown section %d", id)
	case id.order() == *last:
		r.fail(at, ErrInvalid, "second %s section", id)
	case id.order() < *last:
		r.fail(at, ErrInvalid, "%s section is out of order", id)
	}
	*last = id.order()
}

func (m *module) section(id sectionID, s *reader) {
	switch id {
	case sectionType:
		m.readTypes(s)
	case sectionImport:
		m.readImports(s)
	case sectionFunction:
		m.readFunctions(s)
	case sectionTable:
		m.readTables(s)
	case sectionMemory:
		m.readMemories(s)
	case sectionGlobal:
		m.readGlobals(s)
	case sectionExport:
		m.readExports(s)
	case sectionStart:
		m.readStart(s)
	case sectionElement:
		m.readElements(s)
	case sectionDataCount:
		m.dataCount = int(s.u32())
	case sectionCode:
		m.readCode(s)
	case sectionData:
		m.readData(s)
	}
}
