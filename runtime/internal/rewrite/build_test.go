package rewrite

// moduleBuilder assembles small modules for the tests.
type moduleBuilder struct {
	types    []Signature
	imported []importedFunc
	funcs    []builtFunc
	globals  []code // type, mutability, initial value
	exports  []export
	memory   []byte // payload of the memory section's only entry
	tables   [][]byte
	elements [][]byte
	data     [][]byte // entries; passive ones need the data count section
	custom   []byte
}

type importedFunc struct {
	module, name string
	typ          uint32
}

type builtFunc struct {
	typ    uint32
	locals []localGroup
	body   code
}

func newModule() *moduleBuilder { return &moduleBuilder{} }

// signature parses letters such as "iI fF": i for i32, I for i64, f for f32, F for f64, v for v128.
func signature(params, results string) Signature {
	list := func(s string) (types []ValueType) {
		for _, c := range s {
			types = append(types, map[rune]ValueType{'i': I32, 'I': I64, 'f': F32, 'F': F64, 'v': V128, 'r': FuncRef}[c])
		}
		return types
	}
	return Signature{list(params), list(results)}
}

func (b *moduleBuilder) typ(s Signature) uint32 {
	b.types = append(b.types, s)
	return uint32(len(b.types) - 1)
}

// imports adds a function import. It must be called before function.
func (b *moduleBuilder) imports(module, name string, s Signature) uint32 {
	b.imported = append(b.imported, importedFunc{module, name, b.typ(s)})
	return uint32(len(b.imported) - 1)
}

// function adds a function. The body has no end instruction.
func (b *moduleBuilder) function(s Signature, locals []localGroup, body code) uint32 {
	b.funcs = append(b.funcs, builtFunc{b.typ(s), locals, body})
	return uint32(len(b.imported) + len(b.funcs) - 1)
}

func (b *moduleBuilder) export(name string, function uint32) {
	b.exports = append(b.exports, export{name, KindFunction, function})
}

func (b *moduleBuilder) global(t ValueType, mutable bool, init code) uint32 {
	m := byte(0)
	if mutable {
		m = 1
	}
	b.globals = append(b.globals, append(append(code{byte(t), m}, init...), opEnd))
	return uint32(len(b.globals) - 1)
}

func (b *moduleBuilder) bytes() []byte {
	out := append([]byte(nil), preambleModule...)
	section := func(id sectionID, entries [][]byte) {
		if len(entries) == 0 {
			return
		}
		body := appendU32(nil, uint32(len(entries)))
		for _, e := range entries {
			body = append(body, e...)
		}
		out = appendSection(out, id, body)
	}
	section(sectionType, b.typeEntries())
	section(sectionImport, b.importEntries())
	section(sectionFunction, b.functionEntries())
	section(sectionTable, b.tables)
	if b.memory != nil {
		section(sectionMemory, [][]byte{b.memory})
	}
	var globals, exports [][]byte
	for _, g := range b.globals {
		globals = append(globals, g)
	}
	section(sectionGlobal, globals)
	for _, e := range b.exports {
		exports = append(exports, e.append(nil))
	}
	section(sectionExport, exports)
	section(sectionElement, b.elements)
	if len(b.data) > 0 {
		out = appendSection(out, sectionDataCount, appendU32(nil, uint32(len(b.data))))
	}
	section(sectionCode, b.codeEntries())
	section(sectionData, b.data)
	return append(out, b.custom...)
}

func (b *moduleBuilder) typeEntries() (entries [][]byte) {
	for _, t := range b.types {
		e := append(appendU32([]byte{0x60}, uint32(len(t.Params))), typeBytes(t.Params)...)
		entries = append(entries, append(appendU32(e, uint32(len(t.Results))), typeBytes(t.Results)...))
	}
	return entries
}

func (b *moduleBuilder) importEntries() (entries [][]byte) {
	for _, i := range b.imported {
		e := append(appendName(appendName(nil, i.module), i.name), byte(KindFunction))
		entries = append(entries, appendU32(e, i.typ))
	}
	return entries
}

func (b *moduleBuilder) functionEntries() (entries [][]byte) {
	for _, f := range b.funcs {
		entries = append(entries, appendU32(nil, f.typ))
	}
	return entries
}

func (b *moduleBuilder) codeEntries() (entries [][]byte) {
	for _, f := range b.funcs {
		body := appendU32(nil, uint32(len(f.locals)))
		for _, g := range f.locals {
			body = append(appendU32(body, g.n), byte(g.typ))
		}
		body = append(append(body, f.body...), opEnd)
		entries = append(entries, append(appendU32(nil, uint32(len(body))), body...))
	}
	return entries
}

// nameSection builds a name section of function names.
func nameSection(names map[uint32]string) []byte {
	list := appendU32(nil, uint32(len(names)))
	for i := uint32(0); len(names) > 0; i++ {
		if name, ok := names[i]; ok {
			list = appendName(appendU32(list, i), name)
			delete(names, i)
		}
	}
	body := append(appendU32(append(appendName(nil, "name"), 1), uint32(len(list))), list...)
	return appendSection(nil, sectionCustom, body)
}
