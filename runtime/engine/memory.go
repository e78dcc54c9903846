package engine

// slotMemory is an instance's linear memory: the first size bytes of its slot. It implements wazero's LinearMemory,
// so that memory.grow ends here, and it is how host functions see guest memory.
//
//	0             size           limit           len(cell)
//	|-- guest's --|-- may grow --|-- never used --|
type slotMemory struct {
	cell     []byte // immutable; the whole slot
	limit    uint64 // immutable; bytes: the service's budget, or the module's declared maximum if that is smaller
	size     uint64 // bytes, as the guest sees it
	resizing bool   // while the host makes wazero take target as the new size, see Instance.resize
	target   uint64 // bytes
}

// Reallocate implements experimental.LinearMemory. It never moves: it only says how much of the cell is the guest's.
func (m *slotMemory) Reallocate(size uint64) []byte {
	if m.resizing {
		size = m.target
	}
	if size > m.limit {
		return nil
	}
	m.size = size
	return m.cell[:size:size]
}

// Free implements experimental.LinearMemory. The slot is released by the instance, which knows when no guest runs.
func (m *slotMemory) Free() {}

func (m *slotMemory) bytes() []byte { return m.cell[:m.size:m.size] }
