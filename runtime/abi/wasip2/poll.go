package wasip2

import (
	"math"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// Pollable is something that a guest can wait for.
type Pollable struct {
	at    time.Time              // it is ready at this time; zero: Ready decides
	ready func() <-chan struct{} // returns a channel that is closed when it is ready, or nil if it is ready now
	until func() time.Time       // when a wait for ready ends; zero: never; may be nil
}

// NewPollable returns a Pollable. ready returns a channel that is closed as soon as what it stands for is ready, or nil if it
// is ready now. until returns when the wait for it ends, or the zero time. Both may be nil.
func NewPollable(ready func() <-chan struct{}, until func() time.Time) *Pollable {
	return &Pollable{ready: ready, until: until}
}

// Drop implements canonical.Resource.
func (*Pollable) Drop() {}

// Renew implements canonical.Durable. A clock's time stays; everything else of the initialisation is ready.
func (p *Pollable) Renew(*canonical.State) canonical.Resource { return &Pollable{at: p.at} }

// wait returns a channel to wait for and the time until the pollable is ready. A wait of 0 means that it is ready.
func (p *Pollable) wait(now time.Time) (<-chan struct{}, time.Duration) {
	if !p.at.IsZero() {
		return nil, max(p.at.Sub(now), 0)
	}
	if p.ready == nil {
		return nil, 0
	}
	c := p.ready()
	if isClosed(c) {
		return nil, 0
	}
	if p.until != nil {
		if at := p.until(); !at.IsZero() {
			return c, max(at.Sub(now), 0)
		}
	}
	return c, math.MaxInt64
}

// isClosed reports whether there is nothing to wait for.
func isClosed(c <-chan struct{}) bool {
	if c == nil {
		return true
	}
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Subscribe adds a pollable as a child of another handle, or of none if parent is 0.
func Subscribe(c *canonical.State, p *Pollable, parent uint64) uint64 {
	return uint64(c.Handles.Add(p, canonical.Handle(parent)))
}

// await waits until one of the pollables is ready, and returns the indexes of those that are. They are valid
// until the next call.
func (s *State) await(all []*Pollable) []uint32 {
	for {
		s.ready, s.awaited = s.ready[:0], s.awaited[:0]
		now, first := time.Now(), time.Duration(math.MaxInt64)
		for i, p := range all {
			c, wait := p.wait(now)
			switch {
			case wait == 0:
				s.ready = append(s.ready, uint32(i))
			case c != nil:
				s.awaited = append(s.awaited, c)
			}
			first = min(first, wait)
		}
		if len(s.ready) > 0 {
			s.In.Check()
			return s.ready
		}
		s.In.Await(first, s.awaited...)
	}
}

// Await waits until a pollable is ready.
func (s *State) Await(p *Pollable) { s.await([]*Pollable{p}) }

// poll: list of handles -> list of the indexes of those that are ready.
func poll(s *State, p []uint64) {
	handles := s.List(p[0], p[1], 4, 4)
	result := s.Area(p[2], 8, 4)
	count := len(handles) / 4
	switch {
	case count == 0:
		canonical.Trap("poll has no pollables")
	case count > engine.MaxAwaited:
		canonical.Trap("poll has %d pollables, at most %d are possible", count, engine.MaxAwaited)
	}
	s.pollables = s.pollables[:0]
	for i := range count {
		s.pollables = append(s.pollables, canonical.Get[*Pollable](&s.Handles, uint64(canonical.Uint32(handles, 4*i))))
	}
	ready := s.await(s.pollables)
	list := s.PutList(result, 0, len(ready), 4, 4)
	for i, index := range ready {
		canonical.PutUint32(list, 4*i, index)
	}
}

func pollableReady(s *State, p []uint64) {
	_, wait := canonical.Get[*Pollable](&s.Handles, p[0]).wait(time.Now())
	p[0] = 0
	if wait == 0 {
		p[0] = 1
	}
	s.In.Check()
}

func pollableBlock(s *State, p []uint64) {
	s.pollables = append(s.pollables[:0], canonical.Get[*Pollable](&s.Handles, p[0]))
	s.await(s.pollables)
}
