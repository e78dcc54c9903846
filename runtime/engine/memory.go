package engine

// slotMemory is an instance's linear memory: the first size bytes of its slot. It implements
// wazero's LinearMemory, which handles memory.grow. Host functions access guest memory through it.
//
//	0             size           limit           len(cell)
//	|-- guest's --|-- may grow --|-- never used --|
type slotMemory struct {
	cell     []byte // the whole slot; empty while the instance is asleep
	limit    uint64 // immutable; bytes: the service's limit, or the module's declared maximum if that is smaller
	size     uint64 // bytes, as seen by the guest
	peak     uint64 // bytes; the largest size since the cell was mapped or wiped, for this instance or an earlier one
	resizing bool   // the host is setting the size to target, see Instance.resize
	target   uint64 // bytes
}

// Reallocate implements experimental.LinearMemory. It never moves the memory: it only
// changes the guest's part of the cell.
func (m *slotMemory) Reallocate(size uint64) []byte {
	if m.resizing {
		size = m.target
	}
	if size > m.limit {
		return nil
	}
	m.size, m.peak = size, max(m.peak, size)
	return m.cell[:size:size]
}

// Free implements experimental.LinearMemory. The instance releases the slot when no guest is running.
func (m *slotMemory) Free() {}

func (m *slotMemory) bytes() []byte { return m.cell[:m.size:m.size] }
