package concurrent

import (
	"slices"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// Memory is a guest's linear memory. View traps if a range is not inside of it.
type Memory interface {
	View(offset, length uint32) []byte
}

// State is the concurrency of a component instance during one task. One goroutine uses it.
type State struct {
	// Context are the values of context.get and context.set. They are 0 when a task begins. The engine replaces most calls
	// by globals; these values are for guests that also refer to such a function in a table or an export.
	Context [2]uint32

	mem          Memory
	await        func(ready []<-chan struct{}) error // waits within a call of the guest
	table        table
	held         []*channel // whose readable end the host has, and has not attached a reader to
	work         []Work     // in the order of its beginning
	polling      bool       // Poll runs: work must not be moved
	ready        []<-chan struct{}
	backpressure int
	returned     bool
}

// Work is something that goes on at the same time as the guest. It is used by one goroutine, except for the closing
// of its channel.
type Work interface {
	// Poll goes on as far as it need not wait. It reports whether the work is over.
	Poll() (over bool)
	// Ready returns a channel that is closed as soon as Poll can go on.
	Ready() <-chan struct{}
}

// Begin begins a task. await waits until one of the channels is closed; it is called while the guest is in a call.
func (s *State) Begin(mem Memory, await func(ready []<-chan struct{}) error) {
	s.End()
	s.mem, s.await = mem, await
}

// End ends the task: it cancels all work and drops the guest's ends of streams and futures.
func (s *State) End() {
	s.Exit()
	for _, w := range s.work {
		if w, ok := w.(*splice); ok {
			w.stop()
		}
	}
	for _, e := range s.table.elems {
		if e, ok := e.(*end); ok {
			e.ch.drop()
		}
	}
	for _, c := range s.held { // a trap can end the guest while a readable end belongs to nothing
		c.held = 0
		c.drop()
	}
	s.table.reset()
	clear(s.held)
	clear(s.work)
	clear(s.ready)
	s.held, s.work, s.ready = s.held[:0], s.work[:0], s.ready[:0]
	s.Context, s.backpressure, s.returned, s.mem, s.await = [2]uint32{}, 0, false, nil, nil
}

// Exit ends the work that the guest waited for: it will not run again. What goes on between two ends of the host remains.
func (s *State) Exit() {
	s.work = slices.DeleteFunc(s.work, func(w Work) bool {
		switch w := w.(type) {
		case *subtask:
			w.abandon()
			return true
		case *end:
			return true
		}
		return false
	})
}

// Handles returns the number of handles that the guest has.
func (s *State) Handles() int { return s.table.count() }

// full reports whether Add would trap.
func (s *State) full() bool { return len(s.work) == engine.MaxAwaited }

// Add adds work that goes on until it is over or the task ends.
func (s *State) Add(w Work) {
	if s.full() {
		trap("the guest waits for more than %d things at a time", engine.MaxAwaited)
	}
	s.work = append(s.work, w)
}

// Poll lets all work go on, as far as it need not wait.
func (s *State) Poll() {
	if s.polling {
		return
	}
	s.polling = true
	defer func() { // after a trap, too
		s.polling = false
		s.work = slices.DeleteFunc(s.work, func(w Work) bool { return w == nil })
	}()
	for i := 0; i < len(s.work); i++ { // Poll may add and forget
		if w := s.work[i]; w != nil && w.Poll() {
			s.work[i] = nil
		}
	}
}

// forget removes work that is no longer wanted.
func (s *State) forget(w Work) {
	i := slices.Index(s.work, w)
	switch {
	case i < 0:
	case s.polling:
		s.work[i] = nil
	default:
		s.work = slices.Delete(s.work, i, i+1)
	}
}

// Wait waits until some work can go on, and lets it. It reports false if there is none.
func (s *State) Wait(await func(ready []<-chan struct{}) error) (ok bool, err error) {
	if len(s.work) == 0 {
		return false, nil
	}
	s.ready = s.ready[:0]
	for _, w := range s.work {
		s.ready = append(s.ready, w.Ready())
	}
	if err := await(s.ready); err != nil {
		return true, err
	}
	s.Poll()
	return true, nil
}

// until polls, and waits if it has to, until done returns true.
func (s *State) until(await func(ready []<-chan struct{}) error, done func() bool) error {
	if done() {
		return nil
	}
	s.Poll()
	for !done() {
		ok, err := s.Wait(await)
		if err != nil {
			return err
		}
		if !ok {
			trap("the guest waits for something that cannot happen")
		}
	}
	return nil
}

// block waits within a call of the guest until done returns true.
func (s *State) block(done func() bool) {
	if err := s.until(s.await, done); err != nil {
		panic(err)
	}
}
