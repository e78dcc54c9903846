package concurrent

import "testing"

const (
	blocked = Blocked
	ok      = uint32(completed)
	gone    = uint32(droppedResult)
	stopped = uint32(cancelledResult)
)

// TestRendezvous reads and writes a stream whose ends are both the guest's.
func TestRendezvous(t *testing.T) {
	s, m := newState()
	r, w := ends(s, bytesType)
	want(t, "a read without a writer", s.Copy(bytesType, false, true, r, 100, 10), blocked)
	copy(m[200:], "abcd")
	want(t, "a write to a waiting reader", s.Copy(bytesType, true, true, w, 200, 4), 4<<4|ok)
	want(t, "a second write fills the rest", s.Copy(bytesType, true, true, w, 200, 100), 6<<4|ok)
	set := s.NewSet()
	s.Join(r, set)
	if e := s.PollSet(set); e != (Event{StreamRead, r, 10<<4 | ok}) {
		t.Errorf("the event is %v", e)
	}
	if string(m[100:104]) != "abcd" {
		t.Errorf("memory has %q", m[100:104])
	}
	if e := s.PollSet(set); e.Code != NoEvent {
		t.Errorf("there is a second event %v", e)
	}
	want(t, "a write without a reader", s.Copy(bytesType, true, true, w, 200, 8), blocked)
	want(t, "a read of half of it", s.Copy(bytesType, false, true, r, 300, 4), 4<<4|ok)
	want(t, "cancel of the write", s.Cancel(bytesType, true, w), 4<<4|stopped)
	want(t, "a write without a reader", s.Copy(bytesType, true, true, w, 200, 8), blocked)
	s.Drop(bytesType, false, r)
	s.Join(w, set)
	if e := s.PollSet(set); e != (Event{StreamWrite, w, gone}) {
		t.Errorf("the event is %v", e)
	}
	wantTrap(t, "busy", func() { s.Copy(bytesType, true, true, w, 200, 8) })
	wantTrap(t, "members", func() { s.DropSet(set) })
	s.Drop(bytesType, true, w)
	s.DropSet(set)
	if n := s.Handles(); n != 0 {
		t.Errorf("%d handles are left", n)
	}
}

// TestPartialThenDrop: a read that got something learns of the end with it.
func TestPartialThenDrop(t *testing.T) {
	s, _ := newState()
	r, w := ends(s, bytesType)
	s.Copy(bytesType, false, true, r, 0, 10)
	s.Copy(bytesType, true, true, w, 100, 4)
	s.Drop(bytesType, true, w)
	want(t, "cancel of the read", s.Cancel(bytesType, false, r), 4<<4|gone)
}

// TestZeroLength: copies of nothing tell that the other end is ready.
func TestZeroLength(t *testing.T) {
	for _, typ := range []Type{bytesType, unitType} {
		s, _ := newState()
		r, w := ends(s, typ)
		want(t, "a write of nothing", s.Copy(typ, true, true, w, 0, 0), blocked)
		want(t, "a read", s.Copy(typ, false, true, r, 0, 5), blocked)
		want(t, "the write is told of it", s.Cancel(typ, true, w), stopped)
		want(t, "a write", s.Copy(typ, true, true, w, 0, 5), 5<<4|ok)
		want(t, "the read has it", s.Cancel(typ, false, r), 5<<4|stopped)
		s.Copy(typ, false, true, r, 0, 0)
		want(t, "both of nothing: the writer goes first", s.Copy(typ, true, true, w, 0, 0), ok)
		want(t, "the reader waits on", s.Cancel(typ, false, r), stopped)
	}
}

func TestFutures(t *testing.T) {
	s, m := newState()
	r, w := ends(s, intFuture)
	want(t, "a read", s.Copy(intFuture, false, true, r, 100, 1), blocked)
	m[200] = 7
	wantTrap(t, "no value was written", func() { s.Drop(intFuture, true, w) })
	want(t, "a write", s.Copy(intFuture, true, true, w, 200, 1), ok)
	s.Drop(intFuture, true, w)
	set := s.NewSet()
	s.Join(r, set)
	if e := s.PollSet(set); e != (Event{FutureRead, r, ok}) || m[100] != 7 {
		t.Errorf("the event is %v, the value %d", e, m[100])
	}
	wantTrap(t, "busy", func() { s.Copy(intFuture, false, true, r, 100, 1) })
	s.Drop(intFuture, false, r)

	r, w = ends(s, ownFuture)
	s.Drop(ownFuture, false, r)
	want(t, "a write without a reader", s.Copy(ownFuture, true, true, w, 200, 1), gone)
	s.Drop(ownFuture, true, w)
}

func TestMisuseTraps(t *testing.T) {
	s, _ := newState()
	r, w := ends(s, bytesType)
	or, ow := ends(s, ownType)
	set := s.NewSet()
	wantTrap(t, "not the handle of the readable end of a stream<u8>", func() { s.Copy(bytesType, false, true, w, 0, 1) })
	wantTrap(t, "not the handle", func() { s.Copy(ownType, false, true, r, 0, 1) })
	wantTrap(t, "not the handle", func() { s.Copy(bytesType, false, true, 0, 0, 1) })
	wantTrap(t, "not the handle", func() { s.Copy(bytesType, false, true, set, 0, 1) })
	wantTrap(t, "outside", func() { s.Copy(bytesType, false, true, r, 60_000, 10_000) })
	wantTrap(t, "the most", func() { s.Copy(bytesType, false, true, r, 0, 1<<28) })
	wantTrap(t, "aligned", func() { s.Copy(ownType, false, true, or, 2, 1) })
	s.Copy(ownType, false, true, or, 4, 1)
	wantTrap(t, "only numbers", func() { s.Copy(ownType, true, true, ow, 4, 1) })
	wantTrap(t, "no copy to cancel", func() { s.Cancel(bytesType, false, r) })
	s.Copy(bytesType, false, true, r, 0, 1)
	wantTrap(t, "busy", func() { s.Copy(bytesType, false, true, r, 0, 1) })
	wantTrap(t, "copied", func() { s.Drop(bytesType, false, r) })
	wantTrap(t, "passed on", func() { s.Lift(r, bytesType) })
	wantTrap(t, "cannot happen", func() { s.WaitSet(set, s.await) })
	wantTrap(t, "not the handle", func() { s.Join(set, set) })
	wantTrap(t, "not the handle", func() { s.Join(r, w) })
	wantTrap(t, "not the handle", func() { s.DropSubtask(r) })
	wantTrap(t, "no cancellation", func() { s.CancelTask() })
	wantTrap(t, "decreased", func() { s.DecBackpressure() })
	s.Return()
	wantTrap(t, "second time", func() { s.Return() })
	wantTrap(t, "holds more than", func() {
		for {
			s.NewSet()
		}
	})
}

// TestSynchronousCopyWaits for the host, and ends with the error of waiting.
func TestSynchronousCopyWaits(t *testing.T) {
	s, m := newState()
	h := newHost(true)
	h.data = []byte("hello")
	r := s.NewReadable(bytesType, h)
	func() {
		defer func() {
			if err := recover(); err != errTime {
				t.Errorf("the read ends with %v", err)
			}
		}()
		s.Copy(bytesType, false, false, r, 0, 5)
	}()
	s.Begin(m, func(ready []<-chan struct{}) error {
		if len(ready) != 1 {
			t.Errorf("waits for %d channels", len(ready))
		}
		h.allow(5, false)
		return nil
	})
	if h.dropped != 1 {
		t.Errorf("the end of the task told the host %d times", h.dropped)
	}
	r = s.NewReadable(bytesType, h)
	want(t, "a synchronous read", s.Copy(bytesType, false, false, r, 10, 100), 5<<4|ok)
	if string(m[10:15]) != "hello" {
		t.Errorf("memory has %q", m[10:15])
	}
}
