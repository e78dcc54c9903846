package concurrent

import "encoding/binary"

// maxBackpressure is the largest value of the counter, exclusive.
const maxBackpressure = 1 << 16

// Return records that the task has returned its result. The guest traps if it returns two.
func (s *State) Return() {
	if s.returned {
		trap("the task returns a result a second time")
	}
	s.returned = true
}

// Returned reports whether the task has returned its result.
func (s *State) Returned() bool { return s.returned }

// CancelTask implements task.cancel. The host never asks a task to cancel itself: it stops the guest. So this traps.
func (s *State) CancelTask() {
	trap("the task is cancelled by itself, but no cancellation was requested")
}

// IncBackpressure implements backpressure.inc. An instance has one task, so the counter has no other effect.
func (s *State) IncBackpressure() {
	if s.backpressure++; s.backpressure == maxBackpressure {
		trap("backpressure is increased %d times", maxBackpressure)
	}
}

// DecBackpressure implements backpressure.dec.
func (s *State) DecBackpressure() {
	if s.backpressure--; s.backpressure < 0 {
		trap("backpressure is decreased more often than increased")
	}
}

// SetBackpressure implements backpressure.set, which earlier versions have.
func (s *State) SetBackpressure(on bool) {
	s.backpressure = 0
	if on {
		s.backpressure = 1
	}
}

// errorContext is a value that explains an error. The host keeps no message, which the specification allows.
type errorContext struct{}

// NewErrorContext implements error-context.new.
func (s *State) NewErrorContext() uint32 { return s.table.add(errorContext{}) }

// ErrorMessage implements error-context.debug-message: it stores the empty string at an address.
func (s *State) ErrorMessage(i, at uint32) {
	lookup[errorContext](&s.table, i, "an error context")
	if at%4 != 0 {
		trap("a string is to be stored at %d, which is not aligned", at)
	}
	to := s.mem.View(at, 8)
	binary.LittleEndian.PutUint32(to, 1) // an address that is not null
	binary.LittleEndian.PutUint32(to[4:], 0)
}

// DropErrorContext implements error-context.drop.
func (s *State) DropErrorContext(i uint32) {
	lookup[errorContext](&s.table, i, "an error context")
	s.table.remove(i)
}
