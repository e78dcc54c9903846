package concurrent

// Operation is a call of a host function that may take time. When Poll reports that it is over, its results are in
// guest memory.
type Operation interface {
	Work
	// Cancel ends the call, whose results are not wanted. Nothing is called after it.
	Cancel()
}

// subtaskState is the state of a subtask, as guests see it.
type subtaskState uint32

const (
	subtaskStarted   subtaskState = 1
	subtaskReturned  subtaskState = 2
	subtaskCancelled subtaskState = 4 // before it returned
)

// subtask is a call that has not returned when the guest went on.
type subtask struct {
	waitable
	number    uint32
	op        Operation
	state     subtaskState
	delivered bool // the guest knows that it has returned
}

// Call begins a call of a host function. A synchronous one returns when the function has; the result is then of no
// use. Else the result is the state and the number of the subtask, as asynchronously lowered functions return it.
func (s *State) Call(op Operation, async bool) uint32 {
	if op.Poll() {
		return uint32(subtaskReturned)
	}
	t := &subtask{op: op, state: subtaskStarted}
	t.self = t
	if s.full() {
		op.Cancel()
	}
	s.Add(t)
	if !async {
		s.block(func() bool { return t.pending })
		return uint32(subtaskReturned)
	}
	t.number = s.table.add(t)
	return uint32(t.state) | t.number<<4
}

// Poll implements Work.
func (t *subtask) Poll() bool {
	if !t.op.Poll() {
		return false
	}
	t.state, t.pending = subtaskReturned, true
	return true
}

// Ready implements Work.
func (t *subtask) Ready() <-chan struct{} { return t.op.Ready() }

// event implements eventer.
func (t *subtask) event() Event {
	t.delivered = true
	return Event{SubtaskEvent, t.number, uint32(t.state)}
}

// abandon cancels a call that has not returned.
func (t *subtask) abandon() {
	if t.state == subtaskStarted {
		t.state = subtaskCancelled
		t.op.Cancel()
	}
}

// CancelSubtask implements subtask.cancel. Operations of the host end at once, so it never waits.
func (s *State) CancelSubtask(i uint32) uint32 {
	t := s.subtask(i)
	if t.delivered {
		trap("the subtask %d is cancelled after it has returned", i)
	}
	if !t.pending {
		s.forget(t)
		t.abandon()
	}
	return t.take().P2
}

// DropSubtask implements subtask.drop.
func (s *State) DropSubtask(i uint32) {
	t := s.subtask(i)
	if !t.delivered {
		trap("the subtask %d is dropped before it has returned", i)
	}
	t.join(nil)
	s.table.remove(i)
}

func (s *State) subtask(i uint32) *subtask { return lookup[*subtask](&s.table, i, "a subtask") }
