package rewrite

// wazero allocates a function instance at each execution of ref.func and keeps it as
// long as the module instance. So the code reads its references from injected immutable
// globals instead, and each is allocated once, at instantiation. References have no
// identity that a guest could observe, so all references of a function are equivalent.

// injectedGlobals is the number of injected globals before those of references: fuel, depth, refused growth.
const injectedGlobals = 3

// noteRefFunc records a function that ref.func refers to.
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
