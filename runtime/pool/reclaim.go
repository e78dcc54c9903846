package pool

import (
	"slices"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// reclaimLocked takes a warm instance of the least recently used pool that has one; nil: there is none. The caller must vacate
// it. It looks only at pools with slots, because there can be far more without one.
func (s *Set) reclaimLocked() *engine.Instance {
	for {
		p := s.holding.coldest(nil)
		if p == nil {
			return nil
		}
		in, last := p.takeOldest()
		if last {
			s.holding.remove(p)
		}
		if in != nil { // else a request took it
			return in
		}
	}
}

// takeOldest takes the least recently used warm instance, which counts as in use until it is vacated; nil: there is none. It reports
// whether it was the last instance of the pool.
func (p *Pool) takeOldest() (in *engine.Instance, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.warm) == 0 {
		return nil, false
	}
	in = p.warm[0]
	p.warm = slices.Delete(p.warm, 0, 1)
	last = !p.heldLocked()
	p.inUse++
	return in, last
}

// vacate closes an instance that the caller has taken, and returns its slot.
func (p *Pool) vacate(in *engine.Instance) *engine.Slot {
	slot, err := in.Leave()
	p.report(err)
	p.mu.Lock()
	p.forgetLocked(in)
	p.counts.Reclaimed++
	p.inUse--
	p.unlockAndFinish()
	return slot
}
