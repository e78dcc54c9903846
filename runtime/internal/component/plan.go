package component

import "strings"

// The names of the exports that do not depend on the component.
const (
	exportMemory  = "memory"
	exportRealloc = "cabi_realloc"
	exportInit    = "_initialize"
)

// plan is how the guest is written again.
type plan struct {
	d       *decoder
	guest   *coreInstance
	imports []renamed               // by import
	order   []string                // names of exports
	exports map[string]moduleExport // by name
	realloc string                  // the guest's name of the allocator in use
}

type renamed struct{ module, name string }

func (p *plan) make(lifted []exported) error {
	for _, step := range []func() error{
		p.checkInstances,
		p.nameImports,
		func() error { return p.nameLifts(lifted) },
		p.nameMemory,
		p.nameInit,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// checkInstances refuses core instances other than the guest and what wires it up.
func (p *plan) checkInstances() error {
	var others []string
	for _, in := range p.d.coreInstances {
		switch m := in.module; {
		case m == nil || in == p.guest:
		case m == p.guest.module:
			return unsupported("%s is instantiated several times: build a component with one instance of each core module", m)
		case p.d.shimOf(m) == nil && !p.d.fixups[in] && !p.d.adapter(in, p.guest) && !p.calls(in):
			if len(others) < 10 {
				others = append(others, m.String())
			}
		}
	}
	if len(others) > 0 {
		return unsupported("the program consists of several core modules (%s besides %s): dynamic libraries, as in components for Python and for "+
			"QuickJS, and composed components are not supported yet: link the program statically into one module", strings.Join(others, ", "), p.guest.module)
	}
	return nil
}

// nameImports follows each import of the guest.
func (p *plan) nameImports() error {
	m := p.guest.module
	p.imports = make([]renamed, len(m.imports))
	for i := range m.imports {
		im := &m.imports[i]
		if im.sort != coreSortFunc {
			return unsupported("%s imports the %s %s: programs of several core modules over one memory (dynamic libraries) are not supported yet: "+
				"link the program statically into one module", m, coreSortNames[im.sort], quoted(im.name))
		}
		t, err := p.d.follow(p.guest.argument(im), p.guest)
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
	t, err := p.d.follow(it, p.guest)
	if err != nil {
		return err
	}
	if t.from != p.guest {
		return unsupported("export %s is not a function of %s, as the handler is: build a component that exports the handler alone", quoted(name), p.guest.module)
	}
	return p.add(name, p.guest.module.exports[t.name])
}

func (p *plan) add(name string, e moduleExport) error {
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
	if o.memory != nil && (o.memory.from != p.guest) {
		return unsupportedAt(o.at, "canonical options name a memory of another core module than the guest's: link the program statically into one module")
	}
	if o.realloc == nil {
		return nil
	}
	t, err := p.d.follow(o.realloc, p.guest)
	if err != nil {
		return err
	}
	if t.from != p.guest {
		return unsupportedAt(o.at, "canonical options name an allocator (realloc) that is not of the guest: export cabi_realloc from the program")
	}
	e, used := p.guest.module.exports[t.name], p.guest.module.exports[p.realloc]
	if p.realloc != "" && e != used {
		return unsupportedAt(o.at, "canonical options name two allocators, %s and %s: export one, as cabi_realloc", quoted(p.realloc), quoted(t.name))
	}
	p.realloc = t.name
	return p.add(exportRealloc, e)
}

// nameMemory adds the export of the memory.
func (p *plan) nameMemory() error {
	for _, e := range p.guest.module.exports {
		if e.sort == coreSortMemory {
			return p.add(exportMemory, moduleExport{coreSortMemory, e.index})
		}
	}
	return nil
}

// nameInit adds the export of the initialisation.
func (p *plan) nameInit() error {
	var called []*coreItem
	for _, in := range p.d.coreInstances {
		if in.module != nil && in != p.guest {
			called = append(called, p.d.started(in)...)
		}
	}
	for _, it := range called {
		t, err := p.d.follow(it, p.guest)
		if err != nil {
			return err
		}
		if t.from != p.guest {
			return unsupported("a core module calls a function that is not of the guest when it starts: build with current versions of the tools")
		}
		if e := p.guest.module.exports[t.name]; p.exports[exportInit] != e && p.add(exportInit, e) != nil {
			return unsupported("several functions of the guest are called at its start: build with one, _initialize")
		}
	}
	if e, ok := p.guest.module.exports[exportInit]; ok && e.sort == coreSortFunc && len(called) == 0 {
		return p.add(exportInit, e)
	}
	return nil
}
