package rewrite

// ref.func makes the engine allocate a function instance at each execution and keep it as long as the module instance. So the
// code gets its references from injected immutable globals instead: the engine allocates once for each, when it instantiates.
// References have no identity that a guest could observe, so one of a function is as good as another.

// injectedGlobals is the number of globals before those of references: fuel, depth, refused growth.
const injectedGlobals = 3

// noteRefFunc records a function that ref.func names.
func (m *module) noteRefFunc(r *reader, function uint32) {
	if r.err != nil {
		return
	}
	if _, ok := m.refOrder[function]; ok {
		return
	}
	if m.refOrder == nil {
		m.refOrder = make(map[uint32]int)
	}
	m.refOrder[function] = len(m.refFuncs)
	m.refFuncs = append(m.refFuncs, function)
}
