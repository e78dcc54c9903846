package canonical

import (
	"slices"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// MaxHandles is the most handles that a guest can hold at a time.
const MaxHandles = 8 << 10

// keepEntries is the most entries that an idle instance keeps.
const keepEntries = 256

// Handle is the index of a resource in the table of an instance. 0 is never one.
type Handle uint32

// Resource is what the host keeps for a handle.
type Resource interface {
	// Drop releases it: the guest has dropped the handle, or has ended. It is called once, and not for a resource
	// that was taken.
	Drop()
}

// Table is the handles of an instance. The zero Table is empty.
type Table struct {
	entries []entry // the first one is unused
	free    Handle  // head of the list of free entries; 0 if there are none
	open    int
}

type entry struct {
	resource Resource // nil if the entry is free
	parent   Handle   // 0: none
	children uint32
	lent     uint32 // calls in progress that have borrowed it
	next     Handle // of a free entry: the next one
}

// Open returns the number of handles.
func (t *Table) Open() int { return t.open }

// Add returns a handle that the guest owns. A parent can be dropped only after its children; 0 is no parent.
func (t *Table) Add(r Resource, parent Handle) Handle {
	if t.open >= MaxHandles {
		r.Drop()
		Trap("the guest holds more than %d handles", MaxHandles)
	}
	if len(t.entries) == 0 {
		t.entries = append(t.entries, entry{})
	}
	h := t.free
	if h != 0 {
		t.free = t.entries[h].next
		t.entries[h] = entry{resource: r, parent: parent}
	} else {
		h = Handle(len(t.entries))
		t.entries = append(t.entries, entry{resource: r, parent: parent})
	}
	if parent != 0 {
		t.entries[parent].children++
	}
	t.open++
	return h
}

// entry returns the entry of a handle from the guest.
func (t *Table) entry(h Handle) *entry {
	if h == 0 || uint64(h) >= uint64(len(t.entries)) || t.entries[h].resource == nil {
		Trap("the guest has no handle %d", h)
	}
	return &t.entries[h]
}

// Lend marks a resource as borrowed by a call that is in progress while the guest runs. It cannot be dropped or
// passed on until Return.
func (t *Table) Lend(h Handle) { t.entry(h).lent++ }

// Return ends a Lend.
func (t *Table) Return(h Handle) { t.entry(h).lent-- }

// remove frees an entry whose handle the guest gives up.
func (t *Table) remove(h Handle) {
	e := t.entry(h)
	switch {
	case e.children > 0:
		Trap("the guest gives up the handle %d before the %d handles that depend on it", h, e.children)
	case e.lent > 0:
		Trap("the guest gives up the handle %d, which is in use", h)
	}
	if e.parent != 0 {
		t.entries[e.parent].children--
	}
	*e = entry{next: t.free}
	t.free = h
	t.open--
}

// durable returns a copy of the table that has only durable resources, apart from those of the guest.
func (t *Table) durable(s *State) (entries []entry, free Handle) {
	entries, free = slices.Clone(t.entries), t.free
	for i := range entries {
		switch r := entries[i].resource.(type) {
		case nil:
		case Durable:
			entries[i].resource = r.Renew(s)
		default:
			entries[i].resource = gone{}
		}
	}
	return entries, free
}

// gone is a resource of the initialisation that no request has.
type gone struct{}

// Drop implements Resource.
func (gone) Drop() {}

// fill sets up the entries of the initialisation in an empty table.
func (t *Table) fill(s *State) {
	t.entries, t.free = append(t.entries, s.initial.entries...), s.initial.free
	for i := range t.entries {
		switch r := t.entries[i].resource.(type) {
		case nil:
			continue
		case Durable:
			t.entries[i].resource = r.Renew(s)
		}
		t.open++
	}
}

// Close drops all handles.
func (t *Table) Close() {
	if t.open > 0 {
		for i := len(t.entries) - 1; i > 0; i-- {
			if r := t.entries[i].resource; r != nil {
				t.entries[i].resource = nil
				r.Drop()
			}
		}
	}
	clear(t.entries)
	if cap(t.entries) > keepEntries {
		t.entries = nil
	}
	t.entries, t.free, t.open = t.entries[:0], 0, 0
}

// Get returns the resource of a handle that the guest passes for a borrow.
func Get[R Resource](t *Table, v uint64) R {
	r, ok := t.entry(Handle(v)).resource.(R)
	if !ok {
		Trap("the handle %d is not of the type that the function takes", Handle(v))
	}
	return r
}

// Take returns the resource of a handle that the guest gives away. The guest has the handle no longer.
func Take[R Resource](t *Table, v uint64) R {
	r := Get[R](t, v)
	t.remove(Handle(v))
	return r
}

// DropFunc returns the host function by which guests drop their handles of a resource type.
func DropFunc[R Resource](name string) engine.HostFunc {
	return Func("[resource-drop]"+name, 0, func(s *State, p []uint64) { Take[R](&s.Handles, p[0]).Drop() }, engine.I32)
}
