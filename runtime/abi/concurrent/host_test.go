package concurrent

import (
	"testing"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// TestHostWrites reads what the host writes.
func TestHostWrites(t *testing.T) {
	s, m := newState()
	h := newHost(true)
	h.data = []byte("hello, world")
	r := s.NewReadable(bytesType, h)
	set := s.NewSet()
	s.Join(r, set)
	want(t, "a read too early", s.Copy(bytesType, false, true, r, 0, 100), blocked)
	if e := s.PollSet(set); e.Code != NoEvent {
		t.Errorf("there is an event %v", e)
	}
	e, err := s.WaitSet(set, func([]<-chan struct{}) error { h.allow(5, false); return nil })
	if err != nil || e != (Event{StreamRead, r, 5<<4 | ok}) || string(m[:5]) != "hello" {
		t.Errorf("the event is %v, %v; memory has %q", e, err, m[:5])
	}
	want(t, "a read of nothing", s.Copy(bytesType, false, true, r, 0, 0), blocked)
	h.allow(7, true)
	if e := s.PollSet(set); e != (Event{StreamRead, r, ok}) {
		t.Errorf("the event is %v", e)
	}
	want(t, "the rest", s.Copy(bytesType, false, true, r, 0, 100), 7<<4|gone)
	s.Drop(bytesType, false, r)
	if h.dropped != 0 {
		t.Error("the host is told of a drop after it was done")
	}
}

// TestHostReads writes what the host reads. A write can begin before the host does.
func TestHostReads(t *testing.T) {
	for _, early := range []bool{true, false} {
		s, m := newState()
		copy(m, "hello, world")
		r, w := ends(s, bytesType)
		lifted, h := s.Lift(r, bytesType), newHost(false)
		wantTrap(t, "not the handle", func() { s.Drop(bytesType, false, r) })
		if !early {
			lifted.Attach(h)
		}
		want(t, "a write", s.Copy(bytesType, true, true, w, 0, 12), blocked)
		if early {
			lifted.Attach(h)
		}
		h.allow(5, false)
		s.Poll()
		want(t, "cancel after a part", s.Cancel(bytesType, true, w), 5<<4|stopped)
		want(t, "a write", s.Copy(bytesType, true, true, w, 5, 7), blocked)
		want(t, "cancel", s.Cancel(bytesType, true, w), stopped)
		h.allow(7, false)
		want(t, "a write", s.Copy(bytesType, true, true, w, 5, 7), 7<<4|ok)
		s.Drop(bytesType, true, w)
		if string(h.data) != "hello, world" || h.dropped != 1 {
			t.Errorf("the host has %q and was told of %d drops", h.data, h.dropped)
		}
		if n := len(s.work); n != 0 {
			t.Errorf("%d operations are left", n)
		}
	}
}

// TestHostAttachesToPendingWrite: the guest itself has read a part of a write, and passes the readable end on before it
// takes the event of the write. The event stands, and the host gets later writes alone.
func TestHostAttachesToPendingWrite(t *testing.T) {
	tests := []struct {
		name         string
		write, read  uint32 // elements; the guest itself reads if read is not 0
		allowed      uint32 // elements that the host can take when it attaches
		event, again uint32 // the results of this write and of one of the rest
		got          string // by the host
	}{
		{"a part is read, the host can read", 12, 5, 100, 5<<4 | ok, 7<<4 | ok, ", world"},
		{"a part is read, the host has to wait", 12, 5, 0, 5<<4 | ok, blocked, ""},
		{"all is read", 5, 5, 100, 5<<4 | ok, 7<<4 | ok, ", world"},
		{"more is wanted than was written", 5, 9, 100, 5<<4 | ok, 7<<4 | ok, ", world"},
		{"nothing is read", 5, 0, 100, 5<<4 | ok, 7<<4 | ok, "hello, world"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, m := newState()
			copy(m, "hello, world")
			r, w := ends(s, bytesType)
			set := s.NewSet()
			s.Join(w, set)
			want(t, "a write", s.Copy(bytesType, true, true, w, 0, test.write), blocked)
			if test.read > 0 {
				want(t, "a read", s.Copy(bytesType, false, true, r, 100, test.read), 5<<4|ok)
			}
			lifted, h := s.Lift(r, bytesType), newHost(false)
			h.allow(test.allowed, false)
			lifted.Attach(h)
			if e := s.PollSet(set); e != (Event{StreamWrite, w, test.event}) {
				t.Errorf("the event is %v, want %#x", e, test.event)
			}
			if e := s.PollSet(set); e.Code != NoEvent {
				t.Errorf("there is another event %v", e)
			}
			want(t, "the next write", s.Copy(bytesType, true, true, w, 5, 7), test.again)
			s.Poll()
			if string(h.data) != test.got {
				t.Errorf("the host has %q, want %q", h.data, test.got)
			}
		})
	}
}

// TestHostLetsGo: the guest learns that the host does not read.
func TestHostLetsGo(t *testing.T) {
	s, _ := newState()
	r, w := ends(s, bytesType)
	lifted := s.Lift(r, bytesType)
	want(t, "a write", s.Copy(bytesType, true, true, w, 0, 12), blocked)
	lifted.Drop()
	want(t, "cancel", s.Cancel(bytesType, true, w), gone)

	h := newHost(true)
	s.Lift(s.NewReadable(bytesType, h), bytesType).Drop()
	if h.dropped != 1 {
		t.Errorf("the host was told of %d drops", h.dropped)
	}

	r, w = ends(s, bytesType)
	lifted, h = s.Lift(r, bytesType), newHost(false)
	s.Drop(bytesType, true, w)
	lifted.Attach(h)
	if h.dropped != 1 {
		t.Errorf("a reader of a dropped stream was told of %d drops", h.dropped)
	}
}

func TestSubtasks(t *testing.T) {
	s, m := newState()
	set := s.NewSet()
	now := newHost(false)
	now.over = true
	want(t, "a call that does not wait", s.Call(now, true), uint32(subtaskReturned))

	slow := newHost(false)
	packed := s.Call(slow, true)
	i := packed >> 4
	want(t, "the state of a call that waits", packed&15, uint32(subtaskStarted))
	wantTrap(t, "before it has returned", func() { s.DropSubtask(i) })
	s.Join(i, set)
	e, err := s.WaitSet(set, func([]<-chan struct{}) error { slow.over = true; return nil })
	if err != nil || e != (Event{SubtaskEvent, i, uint32(subtaskReturned)}) {
		t.Errorf("the event is %v, %v", e, err)
	}
	wantTrap(t, "after it has returned", func() { s.CancelSubtask(i) })
	s.DropSubtask(i)

	slow = newHost(false)
	i = s.Call(slow, true) >> 4
	want(t, "cancel", s.CancelSubtask(i), uint32(subtaskCancelled))
	s.DropSubtask(i)
	if slow.dropped != 1 || len(s.work) != 0 {
		t.Errorf("the host was told of %d cancellations, %d operations are left", slow.dropped, len(s.work))
	}

	slow = newHost(false)
	i = s.Call(slow, true) >> 4
	slow.over = true
	s.Poll()
	want(t, "cancel of a call that has returned", s.CancelSubtask(i), uint32(subtaskReturned))
	s.DropSubtask(i)

	left := newHost(false)
	s.Call(left, true)
	s.Begin(m, s.await)
	if left.dropped != 1 {
		t.Errorf("the end of the task cancelled a call %d times", left.dropped)
	}
}

// TestSynchronousCallIsCancelled: a call that was waited for ends with the task.
func TestSynchronousCallIsCancelled(t *testing.T) {
	s, _ := newState()
	slow := newHost(false)
	func() {
		defer func() { recover() }()
		s.Call(slow, false)
	}()
	s.End()
	if slow.dropped != 1 {
		t.Errorf("the call was cancelled %d times", slow.dropped)
	}
}

// TestMembersTakeTurns: a set with two busy members does not starve one.
func TestMembersTakeTurns(t *testing.T) {
	s, _ := newState()
	set := s.NewSet()
	var ends [2]uint32
	for i := range ends {
		h := newHost(true)
		h.data = make([]byte, 100)
		h.allow(100, false)
		ends[i] = s.NewReadable(bytesType, h)
		s.Join(ends[i], set)
	}
	got := map[uint32]int{}
	for range 10 {
		for _, i := range ends {
			if e := s.end(i, bytesType, false); e.state == idle && !e.pending {
				e.at, e.length, e.progress = 0, 1, 0
				e.state = copying
				s.Add(e)
			}
		}
		got[s.PollSet(set).P1]++
	}
	if got[ends[0]] != 5 || got[ends[1]] != 5 {
		t.Errorf("the members had %v", got)
	}
}

// TestSplice passes a stream of the host back to the host.
func TestSplice(t *testing.T) {
	for _, typ := range []Type{bytesType, intFuture} {
		s, _ := newState()
		from, to := newHost(true), newHost(false)
		from.data = []byte("0123456789")
		s.Lift(s.NewReadable(typ, from), typ).Attach(to)
		s.Exit()
		steps := 0
		for {
			ok, err := s.Wait(func(ready []<-chan struct{}) error {
				steps++
				if from.allow(1, steps == 5); closed(ready[0]) {
					return nil
				}
				to.allow(1, false)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
		}
		want := "01234"
		if typ.Future {
			want = "0123"
		}
		if string(to.data) != want || to.dropped != 1 {
			t.Errorf("%s: the reader has %q and was told of %d drops", typ, to.data, to.dropped)
		}
	}
	s, _ := newState()
	from, to := newHost(true), newHost(false)
	s.Lift(s.NewReadable(bytesType, from), bytesType).Attach(to)
	s.End()
	if from.dropped != 1 || to.dropped != 1 {
		t.Errorf("the end of the task told the ends %d and %d times", from.dropped, to.dropped)
	}
}

// TestSpliceEndsEarly: the writer is done, but the task ends before the reader has all of it.
func TestSpliceEndsEarly(t *testing.T) {
	s, _ := newState()
	from, to := newHost(true), newHost(false)
	from.data = []byte("0123456789")
	from.allow(10, true)
	to.allow(4, false)
	s.Hosted(bytesType, from).Attach(to)
	s.Poll()
	s.End()
	if string(to.data) != "0123" || from.dropped != 0 || to.dropped != 1 {
		t.Errorf("the reader has %q and was told of %d drops, the writer of %d after it was done", to.data, to.dropped, from.dropped)
	}
}

// broken is an Operation that traps while the guest waits.
type broken struct{ host }

func (b *broken) Poll() bool {
	if b.over {
		trap("the operation is broken")
	}
	return false
}

// TestTrapWhilePolling: the next task is polled, too.
func TestTrapWhilePolling(t *testing.T) {
	s, m := newState()
	s.Call(newHost(false), true)
	b := &broken{*newHost(false)}
	s.Call(b, true)
	b.over = true
	wantTrap(t, "broken", s.Poll)
	s.Begin(m, s.await)
	if b.dropped != 1 {
		t.Errorf("the operation was cancelled %d times", b.dropped)
	}
	slow := newHost(false)
	i := s.Call(slow, true) >> 4
	slow.over = true
	s.Poll()
	want(t, "cancel of a call that has returned", s.CancelSubtask(i), uint32(subtaskReturned))
}

// TestLostStreams: a trap can end the guest while the host has a stream that belongs to nothing yet.
func TestLostStreams(t *testing.T) {
	s, m := newState()
	lifted, lost, settled := newHost(true), newHost(true), newHost(true)
	s.Lift(s.NewReadable(bytesType, lifted), bytesType)
	for _, r := range []*Readable{s.Hosted(bytesType, settled), s.Hosted(bytesType, newHost(true))} {
		r.Drop()
	}
	wantTrap(t, "holds more than", func() {
		for {
			s.NewSet()
		}
	})
	wantTrap(t, "holds more than", func() { s.NewReadable(bytesType, lost) })
	s.Begin(m, s.await)
	if lifted.dropped != 1 || lost.dropped != 1 || settled.dropped != 1 {
		t.Errorf("the writers were told %d, %d and %d times", lifted.dropped, lost.dropped, settled.dropped)
	}
}

// TestTooMuchWork: what the guest cannot wait for any more is let go.
func TestTooMuchWork(t *testing.T) {
	s, _ := newState()
	for range engine.MaxAwaited {
		s.Call(newHost(false), true)
	}
	slow := newHost(false)
	wantTrap(t, "waits for more than", func() { s.Call(slow, true) })
	from, to := newHost(true), newHost(false)
	stream := s.Lift(s.NewReadable(bytesType, from), bytesType)
	wantTrap(t, "waits for more than", func() { stream.Attach(to) })
	s.End()
	if slow.dropped != 1 || from.dropped != 1 || to.dropped != 1 {
		t.Errorf("the call and the ends of the stream were told %d, %d and %d times", slow.dropped, from.dropped, to.dropped)
	}
}
