package component

// coreInstance evaluates a core instance.
func (d *decoder) coreInstance(s *scope, r *reader) {
	in := &coreInstance{index: len(d.coreInstances), at: r.pos}
	if in.index >= maxCoreInstances {
		r.fail(limit(r.pos, "more than %d core instances", maxCoreInstances))
		return
	}
	switch form := r.byte(); {
	case r.err != nil:
	case form == 0:
		in.module = at(r, s.modules, r.u32(), "core module")
		s.coreArguments(r, in)
	case form == 1:
		s.coreBundle(r, in)
	default:
		r.fail(invalid(in.at, "form %#02x of a core instance", form))
	}
	d.coreInstances = append(d.coreInstances, in)
	s.coreInstances = append(s.coreInstances, in)
}

func (s *scope) coreArguments(r *reader, in *coreInstance) {
	in.args = make(map[string]*coreInstance)
	for n := r.count("arguments"); n > 0 && r.err == nil; n-- {
		name, pos := r.name("argument name"), r.pos
		if sort := r.byte(); sort != coreSortInstance {
			r.fail(invalid(pos, "argument %s is not an instance", quoted(name)))
		}
		if in.args[name] != nil {
			r.fail(invalid(pos, "second argument %s", quoted(name)))
		}
		in.args[name] = at(r, s.coreInstances, r.u32(), "core instance")
	}
	if r.err == nil {
		in.checkImports(r)
	}
}

// checkImports checks that the arguments of an instance have all that its module imports.
func (in *coreInstance) checkImports(r *reader) {
	r.charge(len(in.module.imports))
	for _, im := range in.module.imports {
		arg := in.args[im.module]
		if arg == nil {
			r.fail(invalid(in.at, "core instance %d has no argument %s", in.index, quoted(im.module)))
			return
		}
		arg.export(r, im.sort, im.name)
	}
}

func (s *scope) coreBundle(r *reader, in *coreInstance) {
	in.exports = make(map[string]coreExport)
	for n := r.count("exports"); n > 0 && r.err == nil; n-- {
		name, pos := r.name("export name"), r.pos
		sort, index := r.byte(), r.u32()
		if sort > coreSortTag {
			r.fail(invalid(pos, "export %s of a core instance has the sort %#02x", quoted(name), sort))
			return
		}
		if _, twice := in.exports[name]; twice {
			r.fail(invalid(pos, "second export of the name %s", quoted(name)))
		}
		in.exports[name] = coreExport{sort, at(r, s.core[sort], index, "core "+coreSortNames[sort])}
	}
}

// instance evaluates an instance of the component level.
func (d *decoder) instance(s *scope, r *reader) {
	pos := r.pos
	switch form := r.byte(); {
	case r.err != nil:
	case form == 0:
		d.instantiate(s, r)
	case form == 1:
		var exports []namedItem
		for n := r.count("exports"); n > 0 && r.err == nil; n-- {
			exports = append(exports, namedItem{r.externName(), s.item(r, r.sort(), r.u32())})
		}
		s.instances = append(s.instances, newInstance(exports))
	default:
		r.fail(invalid(pos, "form %#02x of an instance", form))
	}
}

// instantiate evaluates a nested component.
func (d *decoder) instantiate(s *scope, r *reader) {
	c := at(r, s.components, r.u32(), "component")
	args := make(map[string]item)
	for n := r.count("arguments"); n > 0 && r.err == nil; n-- {
		name := r.name("argument name")
		args[name] = s.item(r, r.sort(), r.u32())
	}
	if r.err != nil {
		return
	}
	inner, err := d.component(c.from, c.to, c.outer, args)
	if err != nil {
		r.fail(err)
		return
	}
	s.instances = append(s.instances, newInstance(inner.exports))
}
