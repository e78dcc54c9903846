package concurrent

import "slices"

// The model of a task follows definitions.py of the specification. It predicts each result and each event.

// modelParty is what the model knows of a party.
type modelParty struct {
	is      *party
	allowed uint32
	last    bool
	moved   uint32
	over    bool
}

func (h *modelParty) ready() bool { return h.allowed > 0 || h.last }

// move moves up to n elements, and reports whether the party is done.
func (h *modelParty) move(n uint32) (moved uint32, done bool) {
	if moved = min(n, h.allowed); h.is.typ.Future {
		moved = min(moved, 1)
	}
	h.allowed, h.moved = h.allowed-moved, h.moved+moved
	h.over = h.last && h.allowed == 0 && !(h.is.typ.Future && moved > 0)
	return moved, h.over
}

// flow is the model of a channel.
type flow struct {
	typ     Type
	moved   uint32 // elements, from the writer to the reader
	dropped bool
	waiting *modelEnd   // with the buffer that is pending
	host    *modelParty // the host's end, once it takes part
}

func (f *flow) drop() {
	if f.dropped {
		return
	}
	f.dropped = true
	if f.host != nil {
		f.host.over = true
	}
	if f.waiting != nil {
		f.waiting.finish(droppedResult)
		f.waiting = nil
	}
}

// modelWaitable is the model of a waitable.
type modelWaitable struct {
	i       uint32
	set     uint32 // 0 for none
	pending bool
}

// modelEnd is the model of an end of the guest.
type modelEnd struct {
	modelWaitable
	flow             *flow
	writable         bool
	state            copyState
	result           copyResult
	first            uint32 // the number of the first element of the copy
	length, progress uint32
}

func (e *modelEnd) finish(r copyResult) { e.result, e.pending = r, true }

func (e *modelEnd) remaining() uint32 { return e.length - e.progress }

// traps reports whether a copy traps.
func (e *modelEnd) traps() bool {
	f := e.flow
	return e.state != idle || !f.dropped && f.host == nil && f.waiting != nil && !f.typ.Plain
}

// begin begins a copy.
func (e *modelEnd) begin(length uint32) {
	f := e.flow
	e.first, e.length, e.progress = f.moved, length, 0
	switch o := f.waiting; {
	case f.dropped:
		e.finish(droppedResult)
	case f.host != nil:
		e.poll()
	case o == nil:
		f.waiting = e
	case o.remaining() > 0:
		if n := min(e.remaining(), o.remaining()); n > 0 {
			e.progress, o.progress, f.moved = e.progress+n, o.progress+n, f.moved+n
			o.finish(completed)
		}
		if f.typ.Future {
			f.waiting = nil
		}
		e.finish(completed)
	case e.writable && e.length == 0 && o.length == 0:
		e.finish(completed)
	default:
		o.finish(completed)
		f.waiting = e
	}
	if !e.pending {
		e.state = copying
	}
}

// poll copies between the end and a party.
func (e *modelEnd) poll() {
	f := e.flow
	if e.length == 0 {
		if f.host.ready() {
			e.finish(completed)
		}
		return
	}
	n, done := f.host.move(e.length)
	e.progress, f.moved = e.progress+n, f.moved+n
	switch {
	case done:
		f.dropped = true
		e.finish(droppedResult)
	case n > 0:
		e.finish(completed)
	}
}

// cancel ends a copy.
func (e *modelEnd) cancel() {
	if !e.pending || e.result == completed && !e.flow.typ.Future {
		e.finish(cancelledResult)
	}
}

// take takes the event.
func (e *modelEnd) take() Event {
	e.pending, e.state = false, idle
	if e.flow.waiting == e {
		e.flow.waiting = nil
	}
	code, packed, last := StreamRead, uint32(e.result)|e.progress<<4, e.result == droppedResult
	if e.flow.typ.Future {
		code, packed, last = FutureRead, uint32(e.result), e.result != cancelledResult
	}
	if last {
		e.state = done
	}
	if e.writable {
		code++
	}
	return Event{code, e.i, packed}
}

// modelSubtask is the model of a subtask.
type modelSubtask struct {
	modelWaitable
	op        *errand
	finished  bool // op can end
	state     subtaskState
	delivered bool
}

func (t *modelSubtask) poll() {
	if t.state == subtaskStarted && t.finished {
		t.state, t.pending = subtaskReturned, true
	}
}

func (t *modelSubtask) take() Event {
	t.pending, t.delivered = false, true
	return Event{SubtaskEvent, t.i, uint32(t.state)}
}

// modelSplice is the model of a stream between two parties.
type modelSplice struct {
	from, to *modelParty
	have     uint32 // elements that to has not taken
	last     bool
}

// poll reports whether the splice is over.
func (s *modelSplice) poll() bool {
	future := s.from.is.typ.Future
	for {
		if s.have == 0 && !s.last {
			n, done := s.from.move(spliceBytes)
			s.have, s.last = n, done || future && n > 0
		}
		if s.have == 0 {
			s.to.over = s.to.over || s.last
			return s.last
		}
		n, done := s.to.move(s.have)
		if s.have -= n; done {
			s.from.over = s.from.over || !s.last
			return true
		}
		if n == 0 {
			return false
		}
	}
}

// held is a readable end that the host has.
type held struct {
	is   *Readable
	flow *flow
}

// task is the model of a task.
type task struct {
	sets     []uint32
	ends     []*modelEnd
	subtasks []*modelSubtask
	held     []held
	lost     int // readable ends of the host
	splices  []*modelSplice
	parties  []*modelParty // of all times
	errands  []*errand
	exited   bool
}

// poll lets the host go on.
func (k *task) poll() {
	for _, e := range k.ends {
		if k.works(e) {
			e.poll()
		}
	}
	for _, t := range k.subtasks {
		t.poll()
	}
	k.splices = slices.DeleteFunc(k.splices, (*modelSplice).poll)
}

func (k *task) works(e *modelEnd) bool {
	return !k.exited && e.state == copying && !e.pending && e.flow.host != nil
}

// work returns the number of things that go on.
func (k *task) work() int {
	n := len(k.splices)
	for _, e := range k.ends {
		if k.works(e) {
			n++
		}
	}
	for _, t := range k.subtasks {
		if t.state == subtaskStarted {
			n++
		}
	}
	return n
}

// attach connects a party to a readable end of the host.
func (k *task) attach(f *flow, to *modelParty) {
	switch {
	case f.dropped:
		to.over = true
	case f.host != nil:
		f.dropped = true
		k.splices = append(k.splices, &modelSplice{from: f.host, to: to})
	default:
		f.host = to
		e := f.waiting
		if f.waiting = nil; e != nil && !e.pending {
			e.poll()
		}
	}
}

// exit ends what the guest waits for.
func (k *task) exit() {
	k.exited = true
	for _, t := range k.subtasks {
		if t.state == subtaskStarted {
			t.state = subtaskCancelled
		}
	}
}

// waitable returns the end or the subtask with a number, and nil for the other one.
func (k *task) waitable(i uint32) (*modelEnd, *modelSubtask) {
	for _, e := range k.ends {
		if e.i == i {
			return e, nil
		}
	}
	for _, t := range k.subtasks {
		if t.i == i {
			return nil, t
		}
	}
	return nil, nil
}

// members returns how many members a set has, and how many of them have an event.
func (k *task) members(set uint32) (all, pending int) {
	count := func(w *modelWaitable) {
		if w.set == set {
			if all++; w.pending {
				pending++
			}
		}
	}
	for _, e := range k.ends {
		count(&e.modelWaitable)
	}
	for _, t := range k.subtasks {
		count(&t.modelWaitable)
	}
	return all, pending
}
