package slab

import (
	"errors"
	"fmt"
	"math"
	"sync"
)

const (
	// PageBytes is the size of a wasm page. Slots are multiples of it. It is a multiple
	// of every host page size of amd64 and arm64, so slots can be mapped individually.
	PageBytes = 64 << 10

	// MaxSlotBytes is the maximum slot size: one page less than the address space of a 32-bit
	// linear memory. The page above a guest's limit is needed to detect that it requested too much.
	MaxSlotBytes = 4<<30 - PageBytes
)

// ErrClosed is returned by Close if the slab is already closed.
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
// A slot is cold, warm or used. The slab distinguishes only cold slots (in the free
// list) from the others (out):
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
	memory    reservation // immutable; released by Close
	slots     []Slot      // immutable in length; see Slot for the elements

	mu     sync.Mutex
	free   []*Slot // guarded by mu; a stack, so that the slot with the warmest page tables is next
	closed bool    // guarded by mu
}

// SlotID is the index of a slot.
type SlotID int

// Slot is one cell of a slab. The caller of Acquire owns it until Release.
type Slot struct {
	id    SlotID // immutable
	out   bool   // guarded by Slab.mu
	bytes []byte // set by the slab before Acquire returns the slot, immutable until Release

	// Dirty is set by the holder while the contents may be those of an earlier user, who has passed the slot on.
	Dirty bool
	// WrittenBytes is set with Dirty: bytes from there on are those that were mapped for the earlier user.
	WrittenBytes int
}

// ID returns the index of the slot.
func (s *Slot) ID() SlotID { return s.id }

// Bytes returns the whole slot. Its length is the slab's slot size, and its address never changes.
func (s *Slot) Bytes() []byte { return s.bytes }

// Stats are the slot counts of a slab.
type Stats struct {
	Slots     int   // total number of slots
	Free      int   // slots available to Acquire
	SlotBytes int64 // size of each slot
}

// Open reserves slots*slotBytes of memory. slotBytes must be a multiple of PageBytes, at most MaxSlotBytes.
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
	for i := slots - 1; i >= 0; i-- { // slot 0 is acquired first
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

// Acquire returns the free slot that was released last. Its contents are zero. Acquire
// does not wait: ok is false if no slot is free or the slab is closed.
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

// Release returns a slot, which must have been wiped. It panics if the slot was already
// released, is dirty or belongs to another slab: such a bug could pass one guest's memory to another.
func (s *Slab) Release(slot *Slot) {
	if int(slot.id) >= len(s.slots) || slot != &s.slots[slot.id] {
		panic(fmt.Sprintf("slab: slot %d released to a slab that it is not from", slot.id))
	}
	if slot.Dirty {
		panic(fmt.Sprintf("slab: slot %d released without being wiped", slot.id))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slot.out {
		panic(fmt.Sprintf("slab: slot %d released twice", slot.id))
	}
	slot.out = false
	s.free = append(s.free, slot)
}

// Stats returns the current counts.
func (s *Slab) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Slots: len(s.slots), Free: len(s.free), SlotBytes: int64(s.slotBytes)}
}

// Close releases the reservation. If slots are still out, it releases nothing, because they may be
// in use. The error then names the first one, and Close can be called again after their release.
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
