package component

// alias evaluates an alias, in a component or in a type.
func (d *decoder) alias(s *scope, r *reader) {
	at := r.pos
	sort, core := r.byte(), byte(0)
	if sort == sortCore {
		core = r.byte()
	}
	switch form := r.byte(); {
	case r.err != nil:
	case form == 0 && (sort != sortCore || core == coreSortModule):
		s.aliasExport(r, at, sort)
	case form == 1 && sort == sortCore && core <= coreSortTag:
		s.aliasCoreExport(r, core)
	case form == 2:
		s.aliasOuter(r, at, sort, core)
	default:
		r.fail(invalid(at, "form %#02x of an alias for the sort %#02x", form, sort))
	}
}

func (s *scope) aliasExport(r *reader, pos int, sort byte) {
	in := at(r, s.instances, r.u32(), "instance")
	name := r.name("export name")
	if r.err != nil {
		return
	}
	it, ok := in.byName[name]
	if !ok || it.sort != sort {
		r.fail(invalid(pos, "alias of %s: the instance has no such export of this sort", quoted(name)))
		return
	}
	s.define(it)
}

func (s *scope) aliasCoreExport(r *reader, core byte) {
	in := at(r, s.coreInstances, r.u32(), "core instance")
	name := r.name("export name")
	if r.err != nil {
		return
	}
	s.core[core] = append(s.core[core], in.export(r, core, name))
}

// export returns an export of the instance.
func (in *coreInstance) export(r *reader, sort byte, name string) *coreItem {
	if in.module != nil {
		if e, ok := in.module.exports[name]; !ok || e.sort != sort {
			r.fail(invalid(r.pos, "core instance %d has no %s %s", in.index, coreSortNames[sort], quoted(name)))
		}
		return &coreItem{from: in, name: name}
	}
	e, ok := in.exports[name]
	if !ok || e.sort != sort {
		r.fail(invalid(r.pos, "core instance %d has no %s %s", in.index, coreSortNames[sort], quoted(name)))
	}
	return e.item
}

func (s *scope) aliasOuter(r *reader, pos int, sort, core byte) {
	outer := s
	for n := r.u32(); n > 0 && outer != nil; n-- {
		outer = outer.outer
	}
	index := r.u32()
	switch {
	case r.err != nil:
	case outer == nil:
		r.fail(invalid(pos, "alias of a component that is not around this one"))
	case sort == sortCore && core == coreSortType:
		s.coreTypes++
	case sort == sortCore && core != coreSortModule, sort != sortCore && sort != sortType && sort != sortComponent:
		r.fail(invalid(pos, "outer alias of the sort %#02x", sort))
	default:
		s.define(outer.item(r, sort, index))
	}
}
