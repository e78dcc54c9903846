package component

import "strings"

// The names of the exports that do not depend on the component.
const (
	exportMemory  = "memory"
	exportRealloc = "cabi_realloc"
	exportInit    = "_initialize"

	exportSnapshot = "vespo_snapshot" // of the core module alone: the world of a component does not name it
)

// plan is how the guest is written again.
type plan struct {
	d       *decoder
	program *program
	imports []renamed           // by import; of a program that is not fused
	order   []string            // names of exports
	exports map[string]location // by name
	realloc *location           // of the allocator in use; nil if there is none so far

	reallocName string // that its module exports it by
}

type renamed struct{ module, name string }

// location is a definition in the program.
type location struct {
	in *coreInstance
	moduleExport
}

// make returns the guest with its new imports and exports.
func (p *plan) make(lifted []exported) ([]byte, error) {
	for _, step := range []func() error{
		p.checkInstances,
		p.nameImports,
		func() error { return p.nameLifts(lifted) },
		p.nameMemory,
		p.nameInit,
		p.nameSnapshot,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if p.program.fused() {
		return p.fuse()
	}
	return p.write(), nil
}

// module returns the module of a program that is not fused.
func (p *plan) module() *module { return p.program.members[0].module }

// handler returns the module that has the handler.
func (p *plan) handler() *module { return p.program.handler.module }

// checkInstances refuses core instances other than those of the program and what wires it up.
func (p *plan) checkInstances() error {
	seen := make(map[*module]bool)
	var others []string
	for _, in := range p.d.coreInstances {
		m := in.module
		pure, fixup := p.d.fixups[in]
		switch {
		case m == nil:
		case p.program.has(in):
			if seen[m] {
				return unsupported("%s is instantiated several times: build a component with one instance of each core module", m)
			}
			seen[m] = true
		case seen[m]:
			return unsupported("%s is instantiated several times: build a component with one instance of each core module", m)
		case fixup && !pure:
			return unsupported("%s imports the table of a module of trampolines and does more than fill it: build with current versions of the tools", m)
		case p.d.shimOf(m) == nil && !fixup && !p.adapts(in) && !p.d.calls(in) && p.d.stub(m) == nil:
			if len(others) < 10 {
				others = append(others, m.String())
			}
		}
	}
	if len(others) > 0 {
		return unsupported("the program consists of core modules that are not linked to each other (%s besides %s), as composed components do: "+
			"deploy each component as a service, or link the program into one component", strings.Join(others, ", "), p.handler())
	}
	return nil
}

// nameImports follows each import of the guest. Those of a program to fuse are followed when they are used.
func (p *plan) nameImports() error {
	if p.program.fused() {
		return nil
	}
	guest := p.program.members[0]
	p.imports = make([]renamed, len(guest.module.imports))
	for i := range guest.module.imports {
		im := &guest.module.imports[i]
		t, err := p.d.follow(guest.argument(im), p.program)
		if err == nil {
			p.imports[i], err = p.importName(im, t)
		}
		if err == nil {
			err = p.d.name(p.imports[i].module, p.imports[i].name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// importName returns the new name of an import.
func (p *plan) importName(im *coreImport, t target) (n renamed, err error) {
	switch {
	case t.lowered != nil:
		return p.loweredName(t.lowered)
	case t.dropped != nil:
		res := t.dropped.Resource
		if res.Own || res.Interface == "" {
			return n, ownResource(res)
		}
		return renamed{Track(res.Interface), "[resource-drop]" + res.Name}, nil
	case t.builtin != nil:
		if err := p.checkOptions(t.builtin.options); err != nil {
			return n, err
		}
		n.module, n.name, err = t.builtin.importName()
		return n, err
	case t.adapter:
		return renamed{"wasi_snapshot_preview1", t.name}, nil
	}
	return n, unsupported("import %s.%s is a function of %s, which is not recognised: link the program statically into one module",
		quoted(im.module), quoted(im.name), t.from.module)
}

func (p *plan) loweredName(l *lowering) (n renamed, err error) {
	f := l.function
	if f.lift != nil {
		return n, unsupported("the component is composed of several ones that call each other: deploy each as a service, or link them into one module")
	}
	if err := p.checkOptions(l.options); err != nil {
		return n, err
	}
	name := f.name
	if l.options.async {
		name = "[async-lower]" + name
	}
	return renamed{Track(f.owner), name}, nil
}

// nameLifts adds the exports for lifted functions.
func (p *plan) nameLifts(lifted []exported) error {
	for _, x := range lifted {
		o := x.lift.options
		if err := p.checkOptions(o); err != nil {
			return err
		}
		name := x.name
		if o.async {
			name = "[async-lift]" + name
		}
		if err := p.export(name, x.lift.core); err != nil {
			return err
		}
		if o.postReturn != nil {
			if err := p.export("cabi_post_"+x.name, o.postReturn); err != nil {
				return err
			}
		}
		if o.callback != nil {
			if err := p.export("[callback]"+name, o.callback); err != nil {
				return err
			}
		}
	}
	return nil
}

// export adds an export for a function of the guest.
func (p *plan) export(name string, it *coreItem) error {
	t, err := p.d.follow(it, p.program)
	if err != nil {
		return err
	}
	if !p.program.has(t.from) {
		return unsupported("export %s is not a function of %s, as the handler is: build a component that exports the handler alone", quoted(name), p.handler())
	}
	return p.add(name, locate(t))
}

// locate returns the function of the program that a trace ends at.
func locate(t target) location { return location{t.from, t.from.module.exports[t.name]} }

func (p *plan) add(name string, e location) error {
	if had, ok := p.exports[name]; ok {
		if had != e {
			return unsupported("two different exports need the name %s", quoted(name))
		}
		return nil
	}
	p.exports[name] = e
	p.order = append(p.order, name)
	return nil
}

// checkOptions checks the canonical options of a function of the guest.
func (p *plan) checkOptions(o options) error {
	if o.encoding != encodingUTF8 {
		return unsupportedAt(o.at, "strings in %s are not supported: build with strings in UTF-8", encodingNames[o.encoding])
	}
	if o.memory != nil {
		owner, _, err := p.d.owner(o.memory, coreSortMemory)
		if err != nil {
			return err
		}
		if !p.program.has(owner) {
			return unsupportedAt(o.at, "canonical options name a memory of another core module than the guest's: link the program statically into one module")
		}
	}
	if o.realloc == nil {
		return nil
	}
	t, err := p.d.follow(o.realloc, p.program)
	if err != nil {
		return err
	}
	if !p.program.has(t.from) {
		return unsupportedAt(o.at, "canonical options name an allocator (realloc) that is not of the guest: export cabi_realloc from the program")
	}
	e := locate(t)
	if p.realloc != nil && *p.realloc != e {
		return unsupportedAt(o.at, "canonical options name two allocators, %s and %s: export one, as cabi_realloc", quoted(p.reallocName), quoted(t.name))
	}
	p.realloc, p.reallocName = &e, t.name
	return p.add(exportRealloc, e)
}

// nameMemory adds the export of the memory.
func (p *plan) nameMemory() error {
	for _, in := range p.program.members {
		if p.program.fused() {
			if in.module.has(coreSectionMemory) {
				return p.add(exportMemory, location{in, moduleExport{coreSortMemory, 0}})
			}
			continue
		}
		for _, e := range in.module.exports {
			if e.sort == coreSortMemory {
				return p.add(exportMemory, location{in, moduleExport{coreSortMemory, e.index}})
			}
		}
	}
	return nil
}

// nameInit adds the export of the initialisation. That of a fused program is in its start functions.
func (p *plan) nameInit() error {
	var called []target
	for _, in := range p.d.coreInstances {
		if in.module == nil || p.program.has(in) {
			continue
		}
		for _, it := range p.d.started(in) {
			t, err := p.d.follow(it, p.program)
			if err != nil {
				return err
			}
			if p.d.stubbed(t, false) {
				continue
			}
			if !p.program.has(t.from) {
				return unsupported("a core module calls a function that is not of the guest when it starts: build with current versions of the tools")
			}
			called = append(called, t)
		}
	}
	for _, t := range called {
		if e := locate(t); p.exports[exportInit] != e && p.add(exportInit, e) != nil {
			return unsupported("several functions of the guest are called at its start: build with one, _initialize")
		}
	}
	if p.program.fused() || len(called) > 0 {
		return nil
	}
	if e, ok := p.module().exports[exportInit]; ok && e.sort == coreSortFunc {
		return p.add(exportInit, location{p.program.members[0], e})
	}
	return nil
}

// nameSnapshot keeps the export for the host's snapshot. A fused program has none.
func (p *plan) nameSnapshot() error {
	if p.program.fused() {
		return nil
	}
	if e, ok := p.module().exports[exportSnapshot]; ok && e.sort == coreSortFunc {
		return p.add(exportSnapshot, location{p.program.members[0], e})
	}
	return nil
}
