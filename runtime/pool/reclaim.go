package pool

import (
	"slices"
	"time"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// reclaimLocked takes the warm instance that is unused for longest; nil: there is none. The caller must vacate it. It looks only
// at pools with slots, because there can be far more without one.
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

// idleSince returns the time since when the warm instance is unused that a slot would be taken from. It reports whether the pool has
// instances, and whether it has warm ones.
func (p *Pool) idleSince() (since time.Time, held, warm bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := p.oldestLocked()
	if oldest < 0 {
		return p.unusedLocked(), p.heldLocked(), false
	}
	return p.opened.Add(keptWith(p.warm[oldest]).since()), true, true
}

// oldestLocked returns the index of the warm instance that is unused for longest, or -1.
func (p *Pool) oldestLocked() int {
	oldest := -1
	var since time.Duration
	for i, in := range p.warm {
		if at := keptWith(in).since(); oldest < 0 || at < since {
			oldest, since = i, at
		}
	}
	return oldest
}

// takeOldest takes the least recently used warm instance, which counts as in use until it is vacated; nil: there is none. It reports
// whether it was the last instance of the pool.
func (p *Pool) takeOldest() (in *engine.Instance, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := p.oldestLocked()
	if oldest < 0 {
		return nil, false
	}
	in = p.warm[oldest]
	p.warm = slices.Delete(p.warm, oldest, oldest+1)
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
