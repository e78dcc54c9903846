package admission

import (
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/spare"
)

// usedStep is the resolution of Stats.LastUsed. A place that is used all the time is written to no more often.
const usedStep = time.Millisecond

// Place is the right of a request to run, as long as it is held. After its release it stays with its processor for the next request of
// the service, unless others wait.
type Place struct {
	limiter  *Limiter            // immutable
	shelf    *spare.Shelf[Place] // set by the holder
	held     bool                // set by the holder
	admitted atomic.Uint64       // requests that have held it
	used     atomic.Int64        // last release; a time.Duration since gate.start
	next     *Place              // guarded by gate.mu; in limiter.free
	_        [16]byte            // a cache line of its own
}

// Release returns the place. It panics if the place is not held. The caller must not use it afterwards.
func (p *Place) Release() { p.ReleaseAt(time.Now()) }

// ReleaseAt is Release for callers that know the current time.
func (p *Place) ReleaseAt(now time.Time) {
	if !p.held {
		panic("admission: Release without Acquire")
	}
	p.held = false
	l := p.limiter
	if used := now.Sub(l.gate.start); used-time.Duration(p.used.Load()) >= usedStep {
		p.used.Store(int64(used))
	}
	if l.short() {
		p.end()
		return
	}
	shelf := p.shelf
	if displaced := shelf.Put(p); displaced != nil {
		displaced.end()
	}
	if l.short() && shelf.Retract(p) { // others began to wait before they could find it
		p.end()
	}
}

// end returns a place without a request to the gate.
func (p *Place) end() {
	g := p.limiter.gate
	g.mu.Lock()
	p.limiter.takeBackLocked(p)
	if g.queued > 0 {
		g.settleLocked()
	}
	g.mu.Unlock()
}
