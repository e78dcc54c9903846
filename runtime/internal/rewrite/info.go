package rewrite

// Info describes a module as built, and the names and figures that the host needs for the rewritten one.
type Info struct {
	Imports []Import // in the order of the module
	Exports []Export // the guest's own, in the order of the module; injected ones are not listed
	Memory  *Memory  // nil if the module has none

	// Start reports whether the module has a start section. Rewrite turns it
	// into the export StartExport, a function without parameters and results.
	// The host must call it once after instantiation, before anything else.
	Start bool

	// Resettable reports whether restoring linear memory and MutableGlobals resets an
	// instance. If not, FreshReason is the reason, for the developer of the module.
	Resettable  bool
	FreshReason string

	// WritesMemory reports whether the module has an instruction that changes linear memory
	// or its size. Without one, only host functions change it, and the host knows where.
	WritesMemory bool

	// MutableGlobals are the guest's mutable globals of number types, and those of context.set.
	// Rewrite exports them; Inspect leaves ExportName empty and the second ones out.
	MutableGlobals []Global

	// Names of injected exports, set by Rewrite: the fuel global (i64), the depth
	// global (i64, remaining bytes of call stack), the refused growth flag (i32,
	// 1 after a memory.grow returned -1), and the start function if there is one.
	FuelExport, DepthExport, RefusedGrowExport, StartExport string

	Component bool     // the module comes from a component; set by the caller, because this package reads core modules only
	Producers []string // language and tools from the producers section, such as "Go go1.26.1"

	Functions int // functions that the module defines
	CodeBytes int // size of all function bodies
	DataBytes int // size of all data segments

	Types []Signature // of the rewritten module; set by Rewrite

	InstanceBytes int // memory of the host for an instance, roughly: tables, globals, segments; set by Rewrite

	Cost       Cost // estimated cost of compiling; set by Rewrite
	LeastBytes int  // size of the smallest module that may have this code; set by Rewrite
}

// Import is one import.
type Import struct {
	Module, Name string
	Kind         Kind
	Signature    Signature // of a function
}

// Export is one export.
type Export struct {
	Name      string
	Kind      Kind
	Signature Signature // of a function
}

// Memory is the module's linear memory as declared. Rewrite
// removes the maximum, so that the host's allocator decides.
type Memory struct {
	MinPages, MaxPages uint32 // MaxPages only if HasMax
	HasMax             bool
	Imported           bool
	Shared             bool   // Rewrite refuses shared memories
	ExportName         string // first name that it is exported under, or empty
}

// Global is a mutable global.
type Global struct {
	ExportName string
	Type       ValueType
	OfTask     bool // a value of context.set: 0 at the beginning of each task
}

// signatureOf returns the signature of a function by its index.
func (m *module) signatureOf(function uint32) Signature { return m.types[m.funcs[function]] }

func (m *module) info() *Info {
	info := &Info{
		Imports:   m.imports,
		Memory:    m.memory,
		Start:     m.start >= 0,
		Producers: m.producers,
		Functions: len(m.bodies),
		CodeBytes: m.codeBytes,
		DataBytes: m.dataBytes,
	}
	for _, e := range m.exports {
		x := Export{Name: e.name, Kind: e.kind}
		if e.kind == KindFunction {
			x.Signature = m.signatureOf(e.index)
		}
		info.Exports = append(info.Exports, x)
	}
	for _, g := range m.globals[m.importedGlobals:] {
		if g.mutable && !g.typ.reference() && g.typ != V128 {
			info.MutableGlobals = append(info.MutableGlobals, Global{Type: g.typ})
		}
	}
	info.FreshReason = m.freshReason()
	info.Resettable = info.FreshReason == ""
	info.WritesMemory = m.writesMemory
	return info
}
