package component

// started returns the functions that a small module calls when it starts.
func (d *decoder) started(in *coreInstance) []*coreItem {
	m := in.module
	if m.start < 0 {
		return nil
	}
	if im := m.imported(uint32(m.start)); im != nil {
		return []*coreItem{in.argument(im)}
	}
	calls, _ := d.startCalls(m)
	items := make([]*coreItem, len(calls))
	for i, im := range calls {
		items[i] = in.argument(im)
	}
	return items
}

// calls reports whether a module does nothing but call imported functions when it starts.
func (d *decoder) calls(in *coreInstance) bool {
	m := in.module
	if m.start < 0 || m.to-m.from > maxShimBytes || m.has(coreSectionTable, coreSectionMemory, coreSectionGlobal, coreSectionElement, coreSectionData) {
		return false
	}
	if m.imported(uint32(m.start)) != nil {
		return !m.has(coreSectionCode)
	}
	_, ok := d.startCalls(m)
	return ok
}

// startCalls returns the imports that the start function of a module calls, if that is all that the module does.
func (d *decoder) startCalls(m *module) (calls []*coreImport, ok bool) {
	code := m.section(d, coreSectionCode)
	if code.pos == code.end || code.count("functions") != 1 || m.start != len(m.bySort[coreSortFunc]) {
		return nil, false
	}
	body := code.sub(int(code.u32()))
	if body.u32() != 0 {
		return nil, false
	}
	for body.more() {
		switch body.byte() {
		case 0x10: // call
			im := m.imported(body.u32())
			if im == nil || len(calls) == maxStartCalls {
				return nil, false
			}
			calls = append(calls, im)
		case 0x0b:
			return calls, body.pos == body.end
		default:
			return nil, false
		}
	}
	return nil, false
}
