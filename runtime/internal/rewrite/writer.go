package rewrite

import "strconv"

// writer holds the state that the passes share while they write the new module.
type writer struct {
	m *module
	o Options

	types     []Signature // appended types
	yield     uint32      // function index of the injected import
	yieldType uint32
	deep      []bool   // by body: the function accounts for depth; the last one stands for indirect calls
	exports   []export // appended exports, with indexes of the new module

	fuel, depth, refused uint32                // global indexes
	mutableGlobals       int                   // including the injected ones
	references           uint32                // index of the first global that holds a function reference, see refs.go
	tableMaxima          []uint32              // by table
	context              map[uint32]slotAccess // by function index; see context.go

	helpers     []helper
	firstHelper uint32
	refuel      uint32            // helper: refills the fuel global
	again       uint32            // helper (units): refills the fuel global for a check that takes its units again
	overflow    uint32            // helper: reports a stack overflow
	reenter     uint32            // helper (d): overflow if d is negative, then refuel
	memory      map[uint64]uint32 // helpers for memory instructions, see memoryHelper
}

func newWriter(m *module, o Options) *writer {
	n := uint32(len(m.globals))
	w := &writer{
		m:           m,
		o:           o,
		yield:       uint32(m.importedFuncs),
		fuel:        n,
		depth:       n + 1,
		refused:     n + 2,
		references:  n + injectedGlobals,
		firstHelper: uint32(len(m.funcs)) + 1,
		memory:      map[uint64]uint32{},
	}
	w.mutableGlobals = injectedGlobals
	for _, g := range m.globals {
		if g.mutable {
			w.mutableGlobals++
		}
	}
	if w.context = m.contextImports(o.ContextModule); w.context != nil {
		w.mutableGlobals += contextSlots
	}
	w.deep = m.deepFunctions()
	w.yieldType = w.typeOf(yieldSignature)
	w.addColdPaths()
	return w
}

// shift maps a function index of the guest's module to the new one.
func (w *writer) shift(function uint32) uint32 {
	if function >= w.yield {
		return function + 1
	}
	return function
}

// typeOf returns the index of a function type for injected items, and appends the type on first use.
func (w *writer) typeOf(s Signature) uint32 {
	base := uint32(len(w.m.types))
	for i, t := range w.types {
		if string(typeBytes(t.Params)) == string(typeBytes(s.Params)) && string(typeBytes(t.Results)) == string(typeBytes(s.Results)) {
			return base + uint32(i)
		}
	}
	w.types = append(w.types, s)
	return base + uint32(len(w.types)-1)
}

// newType returns a type of the new module by its index. It is empty if there is none.
func (w *writer) newType(index uint32) Signature {
	n := uint32(len(w.m.types))
	switch {
	case index < n:
		return w.m.types[index]
	case index-n < uint32(len(w.types)):
		return w.types[index-n]
	}
	return Signature{}
}

func (w *writer) newSignature(function uint32) Signature {
	switch {
	case function < w.yield:
		return w.m.signatureOf(function)
	case function == w.yield:
		return yieldSignature
	case function < w.firstHelper:
		return w.m.signatureOf(function - 1)
	case function-w.firstHelper < uint32(len(w.helpers)):
		return w.newType(w.helpers[function-w.firstHelper].typ)
	}
	return Signature{}
}

// newBlock returns the numbers of parameters and results of a block of the new module.
func (w *writer) newBlock(blockType int64) (params, results int64) {
	switch {
	case blockType >= 0:
		s := w.newType(uint32(blockType))
		return int64(len(s.Params)), int64(len(s.Results))
	case blockType == emptyBlock-0x80:
		return 0, 0
	}
	return 0, 1
}

func typeBytes(types []ValueType) []byte {
	out := make([]byte, len(types))
	for i, t := range types {
		out[i] = byte(t)
	}
	return out
}

// nameExports chooses unused names for the injected exports and stores them in info.
func (w *writer) nameExports(info *Info) {
	used := make(map[string]bool, len(w.m.exports))
	for _, e := range w.m.exports {
		used[e.name] = true
	}
	add := func(name string, kind Kind, index uint32) string {
		name = "vespo:" + name
		for used[name] {
			name += "'"
		}
		used[name] = true
		w.exports = append(w.exports, export{name, kind, index})
		return name
	}
	info.FuelExport = add("fuel", KindGlobal, w.fuel)
	info.DepthExport = add("depth", KindGlobal, w.depth)
	info.RefusedGrowExport = add("refused-grow", KindGlobal, w.refused)
	if w.m.start >= 0 {
		info.StartExport = add("start", KindFunction, w.shift(uint32(w.m.start)))
	}
	next := 0
	for i, g := range w.m.globals {
		if i >= w.m.importedGlobals && g.mutable && !g.typ.reference() && g.typ != V128 {
			info.MutableGlobals[next].ExportName = add("global-"+strconv.Itoa(i), KindGlobal, uint32(i))
			next++
		}
	}
	if w.context != nil {
		for slot := range contextSlots {
			name := add("context-"+strconv.Itoa(slot), KindGlobal, w.contextGlobal(slot))
			info.MutableGlobals = append(info.MutableGlobals, Global{ExportName: name, Type: I32, OfTask: true})
		}
	}
}

// module writes all sections. Function bodies come first,
// because writing them determines which helpers are needed.
func (w *writer) module(info *Info) ([]byte, error) {
	bodies, err := w.codeEntries(info)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(w.m.bin)+len(w.m.bin)/8)
	out = append(out, preambleModule...)
	out = appendSection(out, sectionType, w.typeSection())
	out = appendSection(out, sectionImport, w.importSection())
	out = appendSection(out, sectionFunction, w.functionSection())
	if len(w.m.tables) > w.m.importedTables {
		out = appendSection(out, sectionTable, w.tableSection())
	}
	if w.m.memory != nil && !w.m.memory.Imported {
		out = appendSection(out, sectionMemory, w.memoryLimits().append([]byte{1}))
	}
	out = appendSection(out, sectionGlobal, w.globalSection())
	out = appendSection(out, sectionExport, w.exportSection())
	if w.m.elements.to > w.m.elements.from {
		out = appendSection(out, sectionElement, w.elementSection())
	}
	separate := w.separates()
	if w.m.dataCount >= 0 && !separate {
		out = appendSection(out, sectionDataCount, appendU32(nil, uint32(w.m.dataCount)))
	}
	out = appendSection(out, sectionCode, bodies)
	if w.m.hasData && !separate {
		out = appendSection(out, sectionData, w.m.bytes(w.m.data))
	}
	return w.appendNames(out), nil
}

// separates reports whether the new module is without data and the size of its memory.
func (w *writer) separates() bool { return w.o.Separate && w.m.separate != nil }

// memoryLimits returns the limits of the memory in the new module. The host sets the initial size if that is
// separate, and enforces the maximum.
func (w *writer) memoryLimits() limits {
	if w.separates() {
		return limits{}
	}
	return limits{min: w.m.memory.MinPages}
}

func (m *module) bytes(s span) []byte { return m.bin[s.from:s.to] }
