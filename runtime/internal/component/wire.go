package component

import (
	"slices"
	"strings"
)

// maxSteps limits the functions that one export or import is followed through.
const maxSteps = 64

// target is the end of a trace: a canonical function, or a function of a core instance.
type target struct {
	*coreItem
	adapter bool // from is an adapter of preview 1
}

// follow follows a core function through re-exports and shims, up to the program.
func (d *decoder) follow(it *coreItem, within *program) (target, error) {
	for range maxSteps {
		in := it.from
		if in == nil {
			return target{coreItem: it}, nil
		}
		e := in.module.exports[it.name]
		im := in.module.imported(e.index)
		if within.has(in) && (im == nil || !within.fused()) {
			return target{coreItem: it}, nil
		}
		if im != nil {
			it = in.argument(im)
			continue
		}
		s := d.shimOf(in.module)
		if s == nil {
			return target{it, d.adapter(in.module)}, nil
		}
		// Indexes of functions beyond the end are invalid; a shim has no imports.
		if int64(e.index) >= int64(len(s.slots)) {
			return target{}, invalid(in.at, "%s exports a function that it does not have", in.module)
		}
		f, ok := d.tables[tableKey{in, s.table}][s.slots[e.index]]
		if !ok {
			return target{}, unsupported("%s calls slot %d of a table, which no core module fills: build with current versions of the tools", in.module, s.slots[e.index])
		}
		it = f.by.argument(f.source)
	}
	return target{}, unsupported("a function is passed on more than %d times", maxSteps)
}

// exported is a lifted function that the component exports.
type exported struct {
	name string // of the contract with the host
	lift *lift
}

// handlers are the interfaces that serve requests.
var handlers = []string{"wasi:http/incoming-handler", "wasi:http/handler"}

// lifts returns the functions that the component exports, and which of them are handlers.
func (d *decoder) lifts(root *scope) (all []exported, handling []exported, err error) {
	add := func(name string, l *lift) error {
		all = append(all, exported{name, l})
		return d.name(name)
	}
	for _, e := range root.exports {
		switch e.item.sort {
		case sortFunc:
			if e.item.function.lift == nil {
				return nil, nil, passedOn(e.name)
			}
			if strings.Contains(e.name, "_") { // it could be taken for an export that another guest interface is recognised by
				return nil, nil, invalid(-1, "export %s is not in kebab case", quoted(e.name))
			}
			if err := add(e.name, e.item.function.lift); err != nil {
				return nil, nil, err
			}
		case sortInstance:
			for _, f := range e.item.instance.exports {
				if f.item.sort != sortFunc {
					continue
				}
				if f.item.function.lift == nil {
					return nil, nil, passedOn(e.name)
				}
				if err := add(Track(e.name)+"#"+f.name, f.item.function.lift); err != nil {
					return nil, nil, err
				}
				if name, _, _ := strings.Cut(e.name, "@"); slices.Contains(handlers, name) && f.name == "handle" {
					handling = append(handling, all[len(all)-1])
				}
			}
		}
	}
	return all, handling, nil
}

// nameOverheadBytes is what a name counts for besides its bytes.
const nameOverheadBytes = 64

// name counts names for the host: the parts of one can be shared by many.
func (d *decoder) name(parts ...string) error {
	d.named += nameOverheadBytes
	for _, part := range parts {
		d.named += len(part)
	}
	if d.named > maxNamedBytes {
		return limit(-1, "more than %d MiB of names of imports and exports, each with its interface", maxNamedBytes>>20)
	}
	return nil
}

func passedOn(name string) error {
	return unsupported("export %s is a function that the component imports: export functions of its own", quoted(name))
}

// Track returns the name of an interface with the track of its version: 0.2 for 0.2.N, and 0.3 for 0.3.N and its
// release candidates. Other names are returned as they are: versions such as 0.2.0-draft may differ in everything.
func Track(name string) string {
	base, version, ok := strings.Cut(name, "@")
	if !ok || !strings.HasPrefix(name, "wasi:") {
		return name
	}
	patch, isTwo := strings.CutPrefix(version, "0.2.")
	switch {
	case isTwo && patch != "" && strings.Trim(patch, "0123456789") == "":
		return base + "@0.2"
	case strings.HasPrefix(version, "0.3."):
		return base + "@0.3"
	}
	return name
}

// guest finds the guest, checks the wiring around it, and writes it again.
func (d *decoder) guest(root *scope) (*Guest, error) {
	if err := d.fillTables(); err != nil {
		return nil, err
	}
	all, handling, err := d.lifts(root)
	if err != nil {
		return nil, err
	}
	world := World{Imports: root.imports}
	for _, e := range root.exports {
		world.Exports = append(world.Exports, e.name)
	}
	if len(handling) == 0 {
		return nil, noHandler(world)
	}
	t, err := d.follow(handling[0].lift.core, nil)
	if err != nil {
		return nil, err
	}
	if t.from == nil {
		return nil, passedOn(handling[0].name)
	}
	p := &plan{d: d, program: d.program(t.from), exports: make(map[string]location)}
	bin, err := p.make(all)
	if err != nil {
		return nil, err
	}
	return &Guest{Module: bin, World: world}, nil
}

const howToHandle = "export wasi:http/incoming-handler@0.2 (the world wasi:http/proxy) from a library: crate-type cdylib in Rust, " +
	"-mexec-model=reactor in C, -buildmode=c-shared in Go, and the reactor adapter"

// noHandler says what a component without a handler is.
func noHandler(w World) error {
	for _, name := range w.Exports {
		if strings.HasPrefix(name, "wasi:cli/run@") {
			return unsupported("the component is a command (it exports %s), not a service: %s", name, howToHandle)
		}
	}
	if len(w.Exports) == 0 {
		return unsupported("the component exports nothing: %s", howToHandle)
	}
	names := make([]string, 0, len(w.Exports))
	for _, name := range w.Exports[:min(len(w.Exports), 10)] {
		names = append(names, quoted(name))
	}
	return unsupported("the component exports no handler (it exports %s): %s", strings.Join(names, ", "), howToHandle)
}
