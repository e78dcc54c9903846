package component

// program is the core instances that run: the handler's, and those that share a memory, a table, globals or functions with it, as
// dynamic libraries do.
type program struct {
	handler *coreInstance
	members []*coreInstance // in the order of their instantiation
	number  map[*coreInstance]int
	linked  bool // members are fused, even if there is only one
}

func (p *program) has(in *coreInstance) bool {
	if p == nil {
		return false
	}
	_, ok := p.number[in]
	return ok
}

func (p *program) fused() bool { return p.linked }

// program finds the program around the instance of the handler. Modules that only call functions when they start are
// part of it if it consists of several modules anyway.
func (d *decoder) program(handler *coreInstance) *program {
	p := d.reach(handler, func(in *coreInstance) bool { return d.calls(in) })
	if len(p.members) == 1 && len(handler.module.imports) == len(handler.module.bySort[coreSortFunc]) {
		return p
	}
	p = d.reach(handler, func(*coreInstance) bool { return false })
	p.linked = true
	return p
}

// reach returns all instances that are linked to the handler's, in either direction, without those to leave out.
func (d *decoder) reach(handler *coreInstance, leaveOut func(*coreInstance) bool) *program {
	links := make(map[*coreInstance][]*coreInstance)
	for _, in := range d.coreInstances {
		if in.module == nil || in != handler && (d.wiring(in) || leaveOut(in)) {
			continue
		}
		for i := range in.module.imports {
			if to := d.linkedTo(in, &in.module.imports[i]); to != nil && (to == handler || !d.wiring(to)) {
				links[in], links[to] = append(links[in], to), append(links[to], in)
			}
		}
	}
	p := &program{handler: handler, number: map[*coreInstance]int{handler: 0}}
	for queue := []*coreInstance{handler}; len(queue) > 0; queue = queue[1:] {
		for _, in := range links[queue[0]] {
			if !p.has(in) {
				p.number[in] = 0
				queue = append(queue, in)
			}
		}
	}
	for _, in := range d.coreInstances {
		if p.has(in) {
			p.number[in] = len(p.members)
			p.members = append(p.members, in)
		}
	}
	return p
}

// wiring reports whether an instance is not part of a program, whatever it is linked to.
func (d *decoder) wiring(in *coreInstance) bool {
	return d.shimOf(in.module) != nil || d.fixups[in] || d.adapter(in.module) || d.stub(in.module) != nil
}

// linkedTo returns the instance that an import comes from, or nil if it is not one.
func (d *decoder) linkedTo(in *coreInstance, im *coreImport) *coreInstance {
	it := in.argument(im)
	if im.sort == coreSortFunc {
		t, err := d.follow(it, nil)
		if err != nil { // reported if the program has this import
			return nil
		}
		return t.from
	}
	owner, _, err := d.owner(it, im.sort)
	if err != nil {
		return nil
	}
	return owner
}

// owner follows a table, a memory, a global or a tag to the instance that defines it.
func (d *decoder) owner(it *coreItem, sort byte) (in *coreInstance, index uint32, err error) {
	for range maxSteps {
		in = it.from
		index = in.module.exports[it.name].index
		im := in.module.importOf(sort, index)
		if im == nil {
			return in, index, nil
		}
		it = in.argument(im)
	}
	return nil, 0, unsupported("a %s is passed on more than %d times", coreSortNames[sort], maxSteps)
}

// stub returns whether each function of a module traps, or nil if one does anything else. Tools compose components with stubs
// for interfaces that are needed only when the component is built.
func (d *decoder) stub(m *module) []bool {
	traps, ok := d.stubs[m]
	if !ok {
		traps = d.readStub(m)
		d.stubs[m] = traps
	}
	return traps
}

func (d *decoder) readStub(m *module) (traps []bool) {
	if m.to-m.from > maxShimBytes || len(m.imports) > 0 || m.start >= 0 || m.has(coreSectionTable, coreSectionElement, coreSectionData) {
		return nil
	}
	code := m.section(d, coreSectionCode)
	for n := code.length("functions"); n > 0 && code.err == nil; n-- {
		body := code.sub(int(code.u32()))
		switch string(d.bin[body.pos:body.end]) {
		case "\x00\x0b":
			traps = append(traps, false)
		case "\x00\x00\x0b": // unreachable
			traps = append(traps, true)
		default:
			return nil
		}
	}
	return traps
}

// traps reports whether a lifted function always traps.
func (d *decoder) traps(l *lift) bool {
	t, err := d.follow(l.core, nil)
	return err == nil && d.stubbed(t, true)
}

// stubbed reports whether a function is one of a stub that always traps, or never does anything.
func (d *decoder) stubbed(t target, traps bool) bool {
	if t.from == nil {
		return false
	}
	stub, index := d.stub(t.from.module), t.from.module.exports[t.name].index
	return int64(index) < int64(len(stub)) && stub[index] == traps
}
