package concurrent

// Blocked is what a copy or a cancellation returns if it has not ended.
const Blocked = ^uint32(0)

// copyResult is how a copy has ended.
type copyResult uint32

const (
	completed       copyResult = 0
	droppedResult   copyResult = 1
	cancelledResult copyResult = 2
)

// copyState is the state of an end.
type copyState uint8

const (
	idle    copyState = iota
	copying           // and the guest has been told that it is blocked
	done              // no more copies are possible
)

// maxElements is the most elements of one copy.
const maxElements = 1<<28 - 1

// end is the guest's end of a stream or a future.
type end struct {
	waitable
	number   uint32
	ch       *channel
	writable bool
	state    copyState
	result   copyResult // of the last copy

	// The buffer of the current copy, and how much of it is done.
	at, length, progress uint32
}

func (s *State) newEnd(c *channel, writable bool) uint32 {
	e := &end{ch: c, writable: writable}
	e.self = e
	e.number = s.table.add(e)
	return e.number
}

// end returns an end by its number. The guest traps if its type or direction is another.
func (s *State) end(i uint32, t Type, writable bool) *end {
	direction := "readable"
	if writable {
		direction = "writable"
	}
	e, ok := s.table.at(i).(*end)
	if !ok || e.ch.typ != t || e.writable != writable {
		trap("%d is not the handle of the %s end of a %s", i, direction, t)
	}
	return e
}

// Copy implements stream.read and .write, and with length 1 future.read and .write. at is the buffer in guest
// memory. It returns how the copy has ended or, if the call is asynchronous, Blocked.
func (s *State) Copy(t Type, writable, async bool, i, at, length uint32) uint32 {
	e := s.end(i, t, writable)
	if e.state != idle {
		trap("%d is busy with another copy, or has none to make: the other end is dropped or has its value", i)
	}
	s.checkBuffer(t, at, length)
	e.at, e.length, e.progress = at, length, 0
	e.begin(s)
	if !e.pending {
		e.state = copying
		if async {
			return Blocked
		}
		s.block(func() bool { return e.pending })
	}
	return e.take().P2
}

func (s *State) checkBuffer(t Type, at, length uint32) {
	if length > maxElements {
		trap("a buffer has %d elements, the most are %d", length, maxElements)
	}
	if length == 0 || t.Elem == "" {
		return
	}
	bytes := uint64(length) * uint64(t.Size)
	if at%t.Align != 0 || bytes > 1<<32-1 {
		trap("a buffer of %d elements at %d is not aligned to %d bytes, or is too large", length, at, t.Align)
	}
	s.mem.View(at, uint32(bytes))
}

// begin begins a copy. It ends at once if the other end is ready.
func (e *end) begin(s *State) {
	c := e.ch
	switch {
	case c.dropped:
		e.finish(droppedResult)
	case c.peer != nil:
		if !e.Poll() {
			s.Add(e)
		}
	case c.waiting != nil:
		e.meet(c.waiting)
	default:
		c.waiting = e
	}
}

func (e *end) remaining() uint32 { return e.length - e.progress }

// view returns the rest of the buffer, n elements of it.
func (e *end) view(n uint32) []byte {
	size := e.ch.typ.Size
	if n == 0 || size == 0 {
		return nil
	}
	return e.ch.state.mem.View(e.at+e.progress*size, n*size)
}

// meet copies between two ends of the guest.
func (e *end) meet(other *end) {
	c := e.ch
	if !c.typ.Plain {
		trap("the guest reads what it has written to a %s itself: only numbers can be passed in this way", c.typ)
	}
	switch {
	case other.remaining() > 0:
		if n := min(e.remaining(), other.remaining()); n > 0 {
			to, from := e, other
			if e.writable {
				to, from = other, e
			}
			copy(to.view(n), from.view(n))
			to.progress += n
			from.progress += n
			other.finish(completed)
		}
		if c.typ.Future {
			c.waiting = nil
		}
		e.finish(completed)
	case e.writable && e.length == 0 && other.length == 0:
		e.finish(completed)
	default:
		other.finish(completed)
		c.waiting = e
	}
}

// Poll implements Work: it copies between the end and the host's.
func (e *end) Poll() bool {
	c := e.ch
	if e.length == 0 {
		if !closed(c.peer.Ready()) {
			return false
		}
		e.finish(completed)
		return true
	}
	moved, last := c.peer.Copy(e.view(e.length), e.length)
	e.progress += moved
	switch {
	case c.typ.Future && moved > 0:
		e.finish(completed)
	case last:
		c.dropped = true
		e.finish(droppedResult)
	case moved > 0:
		e.finish(completed)
	default:
		return false
	}
	return true
}

// Ready implements Work.
func (e *end) Ready() <-chan struct{} { return e.ch.peer.Ready() }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// finish ends a copy, as far as it got.
func (e *end) finish(r copyResult) { e.result, e.pending = r, true }

// event implements eventer.
func (e *end) event() Event {
	if e.ch.waiting == e {
		e.ch.waiting = nil
	}
	packed := uint32(e.result)
	e.state = idle
	if e.ch.typ.Future {
		if e.result != cancelledResult {
			e.state = done
		}
	} else {
		if e.result == droppedResult {
			e.state = done
		}
		packed |= e.progress << 4
	}
	return Event{e.code(), e.number, packed}
}

func (e *end) code() EventCode {
	code := StreamRead
	if e.ch.typ.Future {
		code = FutureRead
	}
	if e.writable {
		code++
	}
	return code
}

// Cancel implements stream.cancel-read and its like. The host lets go of a buffer at once, so it never waits.
func (s *State) Cancel(t Type, writable bool, i uint32) uint32 {
	e := s.end(i, t, writable)
	if e.state != copying {
		trap("%d has no copy to cancel", i)
	}
	switch {
	case !e.pending:
		s.forget(e)
		e.finish(cancelledResult)
	case e.result == completed && !t.Future:
		e.result = cancelledResult
	}
	return e.take().P2
}

// Drop implements stream.drop-readable and its like.
func (s *State) Drop(t Type, writable bool, i uint32) {
	e := s.end(i, t, writable)
	if e.state == copying {
		trap("%d is dropped while it is copied to or from", i)
	}
	if t.Future && writable && e.state != done {
		trap("%d is dropped, but no value was written to the %s", i, t)
	}
	e.join(nil)
	s.table.remove(i)
	e.ch.drop()
}
