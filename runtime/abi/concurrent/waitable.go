package concurrent

import "slices"

// EventCode is the kind of an Event.
type EventCode uint32

// The codes of events.
const (
	NoEvent       EventCode = 0
	SubtaskEvent  EventCode = 1
	StreamRead    EventCode = 2
	StreamWrite   EventCode = 3
	FutureRead    EventCode = 4
	FutureWrite   EventCode = 5
	TaskCancelled EventCode = 6
)

// Event is what a guest receives when it waits. The meaning of the payloads depends on the code.
type Event struct {
	Code   EventCode
	P1, P2 uint32
}

// waitable is what an end and a subtask have in common: a guest can wait for their events.
type waitable struct {
	self    eventer
	set     *waitableSet // nil if it is in none
	pending bool         // it has an event
}

// eventer is a source of events. event is called if one is pending, and takes it.
type eventer interface{ event() Event }

// take returns the pending event.
func (w *waitable) take() Event {
	w.pending = false
	return w.self.event()
}

// join moves the waitable to a set, or out of its set if set is nil.
func (w *waitable) join(set *waitableSet) {
	if w.set != nil {
		w.set.members = slices.DeleteFunc(w.set.members, func(m *waitable) bool { return m == w })
	}
	if w.set = set; set != nil {
		set.members = append(set.members, w)
	}
}

// waitableOf is implemented by what can join a set.
type waitableOf interface{ waits() *waitable }

func (w *waitable) waits() *waitable { return w }

// waitableSet is a set that a guest waits for.
type waitableSet struct{ members []*waitable }

// next takes the event of a member. Members take turns: one that had its event goes to the end.
func (s *waitableSet) next() (e Event, ok bool) {
	for i, m := range s.members {
		if m.pending {
			s.members = append(slices.Delete(s.members, i, i+1), m)
			return m.take(), true
		}
	}
	return Event{}, false
}

// NewSet implements waitable-set.new.
func (s *State) NewSet() uint32 { return s.table.add(&waitableSet{}) }

// Join implements waitable.join. Set 0 is none.
func (s *State) Join(waitable, set uint32) {
	w := lookup[waitableOf](&s.table, waitable, "a stream, a future or a subtask")
	if set == 0 {
		w.waits().join(nil)
		return
	}
	w.waits().join(s.set(set))
}

// DropSet implements waitable-set.drop.
func (s *State) DropSet(set uint32) {
	if len(s.set(set).members) > 0 {
		trap("the waitable set %d is dropped with members in it", set)
	}
	s.table.remove(set)
}

// PollSet implements waitable-set.poll.
func (s *State) PollSet(set uint32) Event {
	members := s.set(set)
	s.Poll()
	e, _ := members.next()
	return e
}

// WaitSet waits for the next event of a set. It calls await to wait until one of some channels is
// closed; an error of await ends it. The guest traps if it waits for what cannot happen.
func (s *State) WaitSet(set uint32, await func(ready []<-chan struct{}) error) (Event, error) {
	members := s.set(set)
	var e Event
	err := s.until(await, func() (ok bool) {
		e, ok = members.next()
		return ok
	})
	return e, err
}

func (s *State) set(i uint32) *waitableSet {
	return lookup[*waitableSet](&s.table, i, "a waitable set")
}
