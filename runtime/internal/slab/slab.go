package slab

import (
	"errors"
	"fmt"
	"math"
	"sync"
)

const (
	// PageBytes is the size of a wasm page, of which a slot holds a whole number. It is also a multiple of every host
	// page size of amd64 and arm64, so that slots can be mapped one by one.
	PageBytes = 64 << 10

	// MaxSlotBytes is the largest slot: one page less than a 32-bit linear memory can address, because the page above
	// a guest's budget is what shows that it asked for too much.
	MaxSlotBytes = 4<<30 - PageBytes
)

// ErrClosed is what Close gives when the slab has been closed before.
var ErrClosed = errors.New("slab: already closed")

// Slab is a fixed number of slots of one size.
//
//	base                                                              base + slots*slotBytes
//	|                                                                                      |
//	| slot 0                    | slot 1                    | slot 2                    | ...
//	+---------------------------+---------------------------+---------------------------+--
//	| anonymous (untouched)     | image       | anonymous   | image  | anonymous        |
//	+---------------------------+-------------+-------------+--------+------------------+--
//	  cold                        warm: contents = snapshot   used: a guest writes here
//
// A slot is cold, warm or used. The slab itself only knows cold (in the free list) from the other two (out):
//
//	      Acquire, snapshot.Map         request begins
//	cold ----------------------> warm ------------------> used
//	 ^ ^                         | ^                       | |
//	 | |  snapshot.Wipe, Release | |   snapshot.Reset      | |
//	 | +-------------------------+ +-----------------------+ |
//	 |        snapshot.Wipe, Release  (trap, exit, deadline) |
//	 +-------------------------------------------------------+
//
// All methods are safe for concurrent use.
type Slab struct {
	slotBytes int         // immutable
	memory    reservation // immutable; its memory is given back by Close
	slots     []Slot      // immutable in length; see Slot for the elements

	mu     sync.Mutex
	free   []*Slot // guarded by mu; a stack, so that the slot with the warmest page tables is next
	closed bool    // guarded by mu
}

// SlotID numbers the slots of a slab from 0.
type SlotID int

// Slot is one cell of a slab. Between Acquire and Release it belongs to whoever acquired it.
type Slot struct {
	id    SlotID // immutable
	out   bool   // guarded by Slab.mu
	bytes []byte // written by the slab before the slot is handed out, immutable until it comes back
}

// ID returns the slot's number, from 0 to one less than the number of slots.
func (s *Slot) ID() SlotID { return s.id }

// Bytes returns the whole slot, as long as the slab's slot size. Its address never changes.
func (s *Slot) Bytes() []byte { return s.bytes }

// Stats tells how full a slab is.
type Stats struct {
	Slots     int   // all slots
	Free      int   // slots that Acquire could hand out now
	SlotBytes int64 // size of each slot
}

// Open reserves slots times slotBytes of memory. slotBytes is a multiple of PageBytes up to MaxSlotBytes.
func Open(slots int, slotBytes int64) (*Slab, error) {
	if err := checkSize(slots, slotBytes); err != nil {
		return nil, err
	}
	memory, err := reserve(slots, int(slotBytes))
	if err != nil {
		return nil, err
	}
	s := &Slab{
		slotBytes: int(slotBytes),
		memory:    memory,
		slots:     make([]Slot, slots),
		free:      make([]*Slot, 0, slots),
	}
	for i := slots - 1; i >= 0; i-- { // so that slot 0 comes first
		s.slots[i].id = SlotID(i)
		s.free = append(s.free, &s.slots[i])
	}
	return s, nil
}

func checkSize(slots int, slotBytes int64) error {
	switch {
	case slots <= 0:
		return fmt.Errorf("slab: %d slots asked for: at least one is needed", slots)
	case slotBytes <= 0 || slotBytes%PageBytes != 0:
		return fmt.Errorf("slab: slot size of %d bytes: it must be a positive multiple of %d bytes (64 KiB, a wasm page)",
			slotBytes, PageBytes)
	case slotBytes > MaxSlotBytes:
		return fmt.Errorf("slab: slot size of %d bytes is above the maximum of %d bytes (4 GiB less one page)",
			slotBytes, int64(MaxSlotBytes))
	case int64(slots) > math.MaxInt/slotBytes:
		return fmt.Errorf("slab: %d slots of %d bytes are more than this machine can address", slots, slotBytes)
	}
	return nil
}

// Acquire takes a free slot, the one released last first. It never waits: ok is false if all slots are out or the slab
// is closed. The slot's contents are zero.
func (s *Slab) Acquire() (slot *Slot, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.free) == 0 {
		return nil, false
	}
	last := len(s.free) - 1
	slot = s.free[last]
	s.free = s.free[:last]
	slot.out = true
	if slot.bytes == nil {
		slot.bytes = s.memory.slot(int(slot.id), s.slotBytes)
	}
	return slot, true
}

// Release gives a slot back, whose contents must have been wiped. Releasing a slot twice, or to a slab that it is not
// from, is a bug that could hand one guest's memory to another, and panics.
func (s *Slab) Release(slot *Slot) {
	if int(slot.id) >= len(s.slots) || slot != &s.slots[slot.id] {
		panic(fmt.Sprintf("slab: slot %d released to a slab that it is not from", slot.id))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slot.out {
		panic(fmt.Sprintf("slab: slot %d released twice", slot.id))
	}
	slot.out = false
	s.free = append(s.free, slot)
}

// Stats returns the state of this moment.
func (s *Slab) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Slots: len(s.slots), Free: len(s.free), SlotBytes: int64(s.slotBytes)}
}

// Close gives the reservation back. If slots are still out, someone may be using them: then nothing is given back, the
// error names them, and Close can be tried again once they are released.
func (s *Slab) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if n := len(s.slots) - len(s.free); n > 0 {
		return fmt.Errorf("slab: %d of %d slots were not released, the first is slot %d", n, len(s.slots), s.firstOutLocked())
	}
	s.closed = true
	return s.memory.close()
}

func (s *Slab) firstOutLocked() SlotID {
	for i := range s.slots {
		if s.slots[i].out {
			return SlotID(i)
		}
	}
	return -1
}
