package engine

// instanceBytes is the memory of the host for an instance besides that of rewrite.Info.InstanceBytes and the call stacks.
const instanceBytes = 8 << 10

// Holder is implemented by an Instance.Exchange that holds memory between requests, such as buffers.
type Holder interface{ HeldBytes() int }

// HostBytes returns the memory of the host that an instance takes besides its slot, roughly.
func (in *Instance) HostBytes() int64 {
	n := instanceBytes + in.module.info.InstanceBytes
	if holder, ok := in.Exchange.(Holder); ok {
		n += holder.HeldBytes()
	}
	for _, e := range in.entries {
		if e.fn != nil {
			n += in.stacks.bytes(e.fn)
		}
	}
	return int64(n)
}

// Sleep returns the slot of an instance that was reset, for another one, like Leave. The instance stays, without memory, until
// Wake or Close. If it returns nil, nothing has changed: the instance cannot sleep.
func (in *Instance) Sleep() *Slot {
	if in.module.image == nil || in.code.interpreted || in.resize(0) != nil {
		return nil
	}
	slot := in.passSlotOn()
	in.memory = slotMemory{cell: []byte{}, limit: in.memory.limit}
	return slot
}

// Wake restores the snapshot to a slot for an instance that is asleep. It takes over the slot. After an error the instance must be closed.
func (in *Instance) Wake(slot *Slot) error {
	in.slot = slot
	in.memory.cell, in.memory.peak = slot.Bytes(), uint64(slot.WrittenBytes)
	return in.restore()
}
