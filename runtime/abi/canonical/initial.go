package canonical

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// initial is the table at the end of a module's initialisation, for all requests that start from its snapshot. It is set
// before the second instance exists. It implements engine.HostState.
type initial struct {
	captured bool
	entries  []entry
	free     Handle
}

// handleBytes is the size of a handle on disk.
const handleBytes = 4

var errHandles = errors.New("the initialisation holds handles, which cannot be kept on disk")

// MarshalBinary returns the list of free handles. A table with resources has no such form.
func (i *initial) MarshalBinary() (state []byte, err error) {
	state = binary.LittleEndian.AppendUint32(nil, uint32(i.free))
	for _, e := range i.entries {
		if e.resource != nil {
			return nil, errHandles
		}
		state = binary.LittleEndian.AppendUint32(state, uint32(e.next))
	}
	return state, nil
}

// UnmarshalBinary is the inverse of MarshalBinary.
func (i *initial) UnmarshalBinary(state []byte) error {
	count := len(state)/handleBytes - 1
	if len(state)%handleBytes != 0 || count < 0 || count > MaxHandles+1 {
		return fmt.Errorf("a table of handles has %d bytes", len(state))
	}
	handle := func() (h Handle) {
		h, state = Handle(binary.LittleEndian.Uint32(state)), state[handleBytes:]
		return h
	}
	kept := initial{captured: true, free: handle()}
	free := 0
	for range count {
		kept.entries = append(kept.entries, entry{next: handle()})
	}
	for h := kept.free; h != 0; h = kept.entries[h].next {
		if free++; int(h) >= count || free >= count {
			return fmt.Errorf("a table of %d handles has a free handle %d", count, h)
		}
	}
	*i = kept
	return nil
}
