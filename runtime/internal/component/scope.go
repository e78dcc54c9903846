package component

// The sorts of definitions in a component.
const (
	sortCore      = 0x00
	sortFunc      = 0x01
	sortValue     = 0x02
	sortType      = 0x03
	sortComponent = 0x04
	sortInstance  = 0x05
)

// The sorts of core definitions. The first ones are also the kinds of a core module's imports and exports.
const (
	coreSortFunc     = 0x00
	coreSortTable    = 0x01
	coreSortMemory   = 0x02
	coreSortGlobal   = 0x03
	coreSortTag      = 0x04
	coreSortType     = 0x10
	coreSortModule   = 0x11
	coreSortInstance = 0x12
)

var coreSortNames = map[byte]string{
	coreSortFunc:   "function",
	coreSortTable:  "table",
	coreSortMemory: "memory",
	coreSortGlobal: "global",
	coreSortTag:    "tag",
}

// scope has the index spaces of a component, or of an instance or component type, under evaluation.
type scope struct {
	outer *scope // nil for the root

	core          [coreSortTag + 1][]*coreItem // by sort
	coreTypes     int
	modules       []*module
	coreInstances []*coreInstance

	funcs      []*function
	types      []*Type
	components []*nested
	instances  []*instance

	imports []string        // in order; only of a component
	exports []namedItem     // in order
	seen    map[string]bool // names of exports
}

// coreItem is a core function, table, memory, global or tag. One of the fields is set.
type coreItem struct {
	from    *coreInstance // of the export name
	name    string
	lowered *lowering
	dropped *Type // the resource of resource.drop
	builtin *builtin
}

// lowering is canon lower.
type lowering struct {
	function *function
	options  options
}

// coreInstance is a core instance: of a module, or a bundle of exports.
type coreInstance struct {
	index   int // among all of the component
	at      int // offset of the definition
	module  *module
	args    map[string]*coreInstance
	exports map[string]coreExport // without a module
}

type coreExport struct {
	sort byte
	item *coreItem
}

// function is a function of the component level: imported, or lifted.
type function struct {
	owner string // interface that it is imported from, or rootInterface
	name  string
	typ   *Type
	lift  *lift // nil if imported
}

// rootInterface is the module of functions that a component imports by themselves.
const rootInterface = "$root"

// lift is canon lift.
type lift struct {
	core    *coreItem
	options options
}

// instance is an instance of the component level.
type instance struct {
	exports []namedItem
	byName  map[string]item
}

func newInstance(exports []namedItem) *instance {
	in := &instance{exports: exports, byName: make(map[string]item, len(exports))}
	for _, e := range exports {
		in.byName[e.name] = e.item
	}
	return in
}

// item is a definition of the component level. One field besides sort is set.
type item struct {
	sort      byte
	function  *function
	typ       *Type
	component *nested
	instance  *instance
	module    *module
}

type namedItem struct {
	name string
	item item
}

// nested is a component in a component. It is evaluated for each instance.
type nested struct {
	from, to int
	outer    *scope
}

func at[T any](r *reader, list []T, index uint32, what string) (v T) {
	if r.err == nil && int64(index) >= int64(len(list)) {
		r.fail(invalid(r.pos, "%s %d does not exist here, there are %d", what, index, len(list)))
	}
	if r.err != nil {
		return v
	}
	return list[index]
}

// item returns a definition by its sort and index.
func (s *scope) item(r *reader, sort byte, index uint32) item {
	it := item{sort: sort}
	switch sort {
	case sortFunc:
		it.function = at(r, s.funcs, index, "function")
	case sortType:
		it.typ = at(r, s.types, index, "type")
	case sortComponent:
		it.component = at(r, s.components, index, "component")
	case sortInstance:
		it.instance = at(r, s.instances, index, "instance")
	case sortCore:
		it.module = at(r, s.modules, index, "core module")
	default:
		r.fail(unsupportedAt(r.pos, "definitions of the sort %#02x (values) are not supported", sort))
	}
	return it
}

// define adds a definition to its index space.
func (s *scope) define(it item) {
	switch it.sort {
	case sortFunc:
		s.funcs = append(s.funcs, it.function)
	case sortType:
		s.types = append(s.types, it.typ)
	case sortComponent:
		s.components = append(s.components, it.component)
	case sortInstance:
		s.instances = append(s.instances, it.instance)
	case sortCore:
		s.modules = append(s.modules, it.module)
	}
}

// export records an export.
func (s *scope) export(r *reader, name string, it item) {
	if s.seen[name] {
		r.fail(invalid(r.pos, "second export of the name %s", quoted(name)))
		return
	}
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	s.seen[name] = true
	s.exports = append(s.exports, namedItem{name, it})
}

// sort reads a sort. That of a core module has two bytes, and is returned as sortCore.
func (r *reader) sort() byte {
	at := r.pos
	sort := r.byte()
	if sort == sortCore {
		if core := r.byte(); core != coreSortModule {
			r.fail(unsupportedAt(at, "core definitions of the sort %#02x are not supported here", core))
		}
	}
	return sort
}
