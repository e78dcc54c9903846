package pool

import (
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/spare"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// kept is the pool's record of an instance, in engine.Instance.Keeper.
type kept struct {
	pool  *Pool                         // immutable
	index int                           // guarded by pool.mu; in pool.kept
	shelf *spare.Shelf[engine.Instance] // of the request that has the instance
	warm  atomic.Int64                  // requests that found the instance on a shelf
	used  atomic.Int64                  // end of the last request: a time.Duration since Pool.opened; 0 before the first
	made  time.Duration                 // immutable; when it was made, since Pool.opened
	_     [16]byte                      // a cache line of its own
}

// since returns since when the instance is unused.
func (k *kept) since() time.Duration { return max(k.made, time.Duration(k.used.Load())) }

func keptWith(in *engine.Instance) *kept { return in.Keeper.(*kept) }

// owns reports whether an instance is one of the pool.
func (p *Pool) owns(in *engine.Instance) bool { return keptWith(in).pool == p }

// keep adopts a new instance.
func (p *Pool) keep(in *engine.Instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := &kept{pool: p, index: len(p.kept), made: time.Since(p.opened)}
	in.Keeper = k
	p.kept = append(p.kept, k)
}

// close closes an instance that is neither warm nor spare nor asleep.
func (p *Pool) close(in *engine.Instance) {
	p.report(in.Close())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked(in)
}

// forgetLocked ends the record of a closed instance.
func (p *Pool) forgetLocked(in *engine.Instance) {
	k := keptWith(in)
	p.counts.Warm += k.warm.Load()
	p.lastUsed = p.lastUsedLocked()
	last := len(p.kept) - 1
	p.kept[k.index] = p.kept[last]
	p.kept[k.index].index = k.index
	p.kept[last] = nil
	p.kept = p.kept[:last]
}

// lastUsedLocked returns the end of the last request, zero before the first.
func (p *Pool) lastUsedLocked() time.Time {
	last := p.lastUsed
	for _, k := range p.kept {
		if used := k.used.Load(); used != 0 {
			if at := p.opened.Add(time.Duration(used)); at.After(last) {
				last = at
			}
		}
	}
	return last
}

// short reports whether an instance that is released must go to the pool itself.
func (p *Pool) short() bool { return p.tight.Load() || p.set.tight.Load() }

// take takes a spare instance of the pool for a request; nil: there is none on the shelf.
func (p *Pool) take(shelf *spare.Shelf[engine.Instance]) *engine.Instance {
	in := shelf.Take(p.owns)
	if in == nil {
		return nil
	}
	if p.short() { // it may be needed elsewhere
		putBack(in)
		return nil
	}
	k := keptWith(in)
	k.shelf = shelf
	k.warm.Add(1)
	return in
}

// put makes the instance of a request that has ended spare, unless it is needed elsewhere.
func (p *Pool) put(in *engine.Instance, ended time.Time) {
	k := keptWith(in)
	k.used.Store(int64(max(1, ended.Sub(p.opened))))
	if p.short() {
		putBack(in)
		return
	}
	shelf := k.shelf
	if displaced := shelf.Put(in); displaced != nil {
		putBack(displaced)
	}
	if p.short() && shelf.Retract(in) {
		putBack(in)
	}
	p.renewIfOutdated(in)
}

// putBack returns an instance without a request to its pool. No lock may be held.
func putBack(in *engine.Instance) {
	p := keptWith(in).pool
	if p.warmAgain(in) {
		p.set.lessInUse()
		p.renewIfOutdated(in)
		return
	}
	p.close(in)
	p.mu.Lock()
	p.inUse--
	p.unlockAndFinish()
}

// warmAgain makes an instance without a request a warm one, unless the pool is closed.
func (p *Pool) warmAgain(in *engine.Instance) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.warm = append(p.warm, in)
		p.inUse--
	}
	return !p.closed
}

// gatherLocked makes the spare instances of the pool warm ones. A request that ends at the same time may make
// its instance spare afterwards, unless the pool is closed.
func (p *Pool) gatherLocked() {
	p.tight.Store(true)
	p.set.spare.Sweep(p.owns, func(in *engine.Instance) {
		p.warm = append(p.warm, in)
		p.inUse--
	})
	p.tight.Store(p.closed)
}

// spareLocked returns the number of spare instances. It is exact while no request begins or ends.
func (p *Pool) spareLocked() (n int) {
	p.set.spare.Each(func(in *engine.Instance) {
		if p.owns(in) {
			n++
		}
	})
	return min(n, p.inUse)
}
