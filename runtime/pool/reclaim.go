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

// vacate returns the slot of an instance that the caller has taken. The instance stays asleep, or is closed.
func (p *Pool) vacate(in *engine.Instance) *engine.Slot {
	slot, displaced := p.sleepOrLeave(in)
	p.mu.Lock()
	p.counts.Reclaimed++
	p.inUse--
	p.unlockAndFinish()
	for _, other := range displaced {
		other.closeAsleep()
	}
	return slot
}

func (p *Pool) sleepOrLeave(in *engine.Instance) (slot *engine.Slot, displaced []*Pool) {
	bytes := in.HostBytes()
	slot = in.Sleep()
	if slot == nil {
		slot, err := in.Leave()
		p.report(err)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.forgetLocked(in)
		return slot, nil
	}
	displaced, ok := p.layDown(in, bytes)
	if !ok {
		p.close(in)
	}
	return slot, displaced
}
