package fuse

import "fmt"

// Module is a core module to merge.
type Module struct {
	Name string // for errors
	Bin  []byte
	// Source returns where an import comes from, by its position among all imports. It is called for functions only if they are used.
	Source func(i int) (Source, error)
}

// Source is where an import comes from.
type Source struct {
	Kind         Kind
	Module       int    // FromModule: of the modules to merge. That of a table, memory or global must be an earlier one
	Index        uint32 // FromModule: in the index space of that module
	Host, Member string // FromHost: names of the import
}

// Kind is the kind of a source.
type Kind byte

// Kinds of sources.
const (
	FromModule Kind = iota
	FromHost        // a function: an import of the fused module
	Traps           // a function that always traps
	Nothing         // a function without results that does nothing
	Ignored         // a table that nothing reads: active segments for it are left out, and other uses are refused
)

// Export is an export of the fused module.
type Export struct {
	Name   string
	Sort   byte // as in the binary format
	Module int
	Index  uint32
}

// Error is the reason for refusing modules.
type Error struct {
	Unsupported bool   // valid, but not supported
	Module      string // may be empty
	Detail      string
}

func (e *Error) Error() string {
	if e.Module == "" {
		return e.Detail
	}
	return e.Module + ": " + e.Detail
}

// fuser merges modules.
type fuser struct {
	members    []*member
	types      []string          // of the fused module, encoded
	typeOf     map[string]uint32 // index by encoding
	hosts      []hostImport
	hostOf     map[hostImport]uint32
	made       []synthesised
	madeOf     map[synthesised]uint32
	memory     *limits // nil for none
	tables     []table
	globals    []global
	declared   []callee // referred to by code
	isDeclared map[callee]bool
	starts     []callee

	defined uint32 // number of functions that the modules define
}

// hostImport is a function that the fused module imports.
type hostImport struct {
	module, name, typ string
}

// synthesised is a function that is not of a module.
type synthesised struct {
	kind Kind
	typ  string
}

// callee is a function after all imports have been followed. One of the fields besides kind is used.
type callee struct {
	kind   Kind
	number uint32 // FromModule: among the defined functions of all modules; FromHost: among hosts; others: among made
}

// Fuse merges modules in the order of their instantiation. It calls exports once, when it has asked for the sources of all
// functions that are used. Its errors are of the type *Error, or of Source.
func Fuse(modules []Module, exports func() []Export) ([]byte, error) {
	f := &fuser{
		typeOf:     make(map[string]uint32),
		hostOf:     make(map[hostImport]uint32),
		madeOf:     make(map[synthesised]uint32),
		isDeclared: make(map[callee]bool),
	}
	for i := range modules {
		m, err := read(&modules[i])
		if err != nil {
			return nil, err
		}
		m.functionBase = f.defined
		f.defined += uint32(len(m.functions) - len(m.functionImports))
		f.members = append(f.members, m)
	}
	for _, step := range []func() error{f.link, f.checkOrder, f.use} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	exported := exports()
	if _, err := f.exportSection(exported); err != nil { // may use imports
		return nil, err
	}
	return f.write(exported)
}

// checkOrder refuses active segments after a start function.
func (f *fuser) checkOrder() error {
	var started *member
	for _, m := range f.members {
		if started != nil && m.active {
			return unsupported(m, "writes into the memory or a table when it is instantiated, after the start function of %s: "+
				"link with a tool that initialises in the last module", started.name)
		}
		if m.start >= 0 {
			started = m
		}
	}
	return nil
}

// use follows the functions that the modules use.
func (f *fuser) use() error {
	for _, m := range f.members {
		if err := f.useMember(m); err != nil {
			return err
		}
	}
	for _, g := range f.globals {
		if g.value.op == opRefFunc {
			if _, err := f.function(g.value.owner, uint32(g.value.bits)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fuser) useMember(m *member) error {
	visit := func(s space, _, _ int, index uint32) error {
		if s != spaceFunction && s != spaceReference {
			return f.check(m, s, index)
		}
		c, err := f.function(m, index)
		if s == spaceReference && err == nil {
			f.declare(c)
		}
		return err
	}
	for _, b := range m.bodies {
		if err := b.walk(visit); err != nil {
			return err
		}
	}
	for i := range m.elements {
		if err := f.useSegment(m, &m.elements[i]); err != nil {
			return err
		}
	}
	if m.start >= 0 {
		c, err := f.function(m, uint32(m.start))
		if err != nil {
			return err
		}
		f.starts = append(f.starts, c)
	}
	return nil
}

// declare records a function that code refers to.
func (f *fuser) declare(c callee) {
	if !f.isDeclared[c] {
		f.isDeclared[c] = true
		f.declared = append(f.declared, c)
	}
}

func (f *fuser) useSegment(m *member, s *segment) error {
	if s.active() && m.tables[s.table] == ignored {
		return nil
	}
	return s.each(func(v value) error {
		if v.op != opRefFunc {
			return nil
		}
		_, err := f.function(v.owner, uint32(v.bits))
		return err
	})
}

// maxSteps limits the modules that one import is passed through.
const maxSteps = 64

// function follows a function of a module to its definition.
func (f *fuser) function(m *member, index uint32) (callee, error) {
	if int64(index) >= int64(len(m.functions)) {
		return callee{}, invalid(m, "function %d does not exist, there are %d", index, len(m.functions))
	}
	imports := uint32(len(m.functionImports))
	if index >= imports {
		return callee{FromModule, m.functionBase + index - imports}, nil
	}
	if c, ok := m.followed[index]; ok {
		return c, nil
	}
	c, err := f.follow(m, index, maxSteps)
	if err == nil {
		m.followed[index] = c
	}
	return c, err
}

func (f *fuser) follow(m *member, index uint32, steps int) (callee, error) {
	typ, imports := m.functions[index], uint32(len(m.functionImports))
	if index >= imports {
		return callee{FromModule, m.functionBase + index - imports}, nil
	}
	i := m.functionImports[index]
	s, err := m.source(i)
	if err != nil {
		return callee{}, err
	}
	switch s.Kind {
	case FromHost:
		return callee{FromHost, number(&f.hosts, f.hostOf, hostImport{s.Host, s.Member, typ})}, nil
	case FromModule:
		owner, err := f.owner(m, i, s)
		if err != nil {
			return callee{}, err
		}
		if int64(s.Index) >= int64(len(owner.functions)) || owner.functions[s.Index] != typ {
			return callee{}, invalid(m, "import %s has another type than the function that it is linked to", m.imports[i].text())
		}
		if steps == 0 {
			return callee{}, unsupported(m, "a function is passed on more than %d times", maxSteps)
		}
		return f.follow(owner, s.Index, steps-1)
	case Nothing:
		if typ[len(typ)-1] != 0 {
			return callee{}, invalid(m, "import %s has results", m.imports[i].text())
		}
	case Traps:
	default:
		return callee{}, invalid(m, "import %s is a function", m.imports[i].text())
	}
	return callee{s.Kind, number(&f.made, f.madeOf, synthesised{s.Kind, typ})}, nil
}

// owner returns the module of a source.
func (f *fuser) owner(m *member, i int, s Source) (*member, error) {
	if s.Module < 0 || s.Module >= len(f.members) {
		return nil, invalid(m, "import %s has a source that does not exist", m.imports[i].text())
	}
	return f.members[s.Module], nil
}

// number returns the position of v in a list. It is added if it is new.
func number[T comparable](list *[]T, of map[T]uint32, v T) uint32 {
	n, ok := of[v]
	if !ok {
		n = uint32(len(*list))
		of[v] = n
		*list = append(*list, v)
	}
	return n
}

func invalid(m *member, format string, args ...any) error {
	return &Error{Module: m.name, Detail: fmt.Sprintf(format, args...)}
}

func unsupported(m *member, format string, args ...any) error {
	return &Error{Unsupported: true, Module: m.name, Detail: fmt.Sprintf(format, args...)}
}
