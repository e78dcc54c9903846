package pool

import (
	"time"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// Counts counts events since a pool or a set was opened.
type Counts struct {
	Warm      int64 // requests that found an instance ready
	Restored  int64 // requests for which an instance was created from the snapshot, given a slot again, or initialised
	Cold      int64 // requests for which the code was loaded first
	Discarded int64 // instances closed after a request that did not end well, or because of a failed reset
	Refilled  int64 // instances created in the background for discarded ones
	Reclaimed int64 // warm instances that lost their slot to another pool
	Unloaded  int64 // releases of compiled code and snapshot: unused for long, or least recently used beyond Options.LoadedBytes
}

func (c *Counts) add(d Counts) {
	c.Warm += d.Warm
	c.Restored += d.Restored
	c.Cold += d.Cold
	c.Discarded += d.Discarded
	c.Refilled += d.Refilled
	c.Reclaimed += d.Reclaimed
	c.Unloaded += d.Unloaded
}

// Stats is a snapshot of the state of a pool.
type Stats struct {
	Loaded        bool // compiled code and snapshot are in memory
	Warm          int  // instances that are ready
	Asleep        int  // instances that are ready but for a slot
	InUse         int  // requests that have an instance or wait for one to be created
	SnapshotBytes int64
	LastUsed      time.Time // end of the last request; zero if there was none
	Counts        Counts
}

// Stats returns the current state.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Loaded: p.module != nil, Warm: len(p.warm), InUse: p.inUse, LastUsed: p.lastUsedLocked(), Counts: p.counts}
	for _, k := range p.kept {
		s.Counts.Warm += k.warm.Load()
	}
	spare := p.spareLocked()
	s.Warm, s.InUse = s.Warm+spare, s.InUse-spare
	if p.asleep != nil {
		s.Asleep = 1
	}
	if p.module != nil {
		s.SnapshotBytes = p.module.SnapshotBytes()
	}
	return s
}

// SetStats is a snapshot of the state of all pools.
type SetStats struct {
	Pools   int   // open pools
	Loaded  int   // pools whose compiled code and snapshot are in memory
	Warm    int   // instances that are ready
	Asleep  int   // instances that are ready but for a slot
	InUse   int   // requests that have an instance or wait for one to be created
	Trimmed int64 // releases because of Options.LoadedBytes
	Counts  Counts
}

// Stats returns the current state. The counts include those of pools that are closed.
func (s *Set) Stats() SetStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := SetStats{Pools: len(s.pools), Trimmed: s.trimmed, Counts: s.closed}
	for p := range s.pools {
		one := p.Stats()
		if one.Loaded {
			all.Loaded++
		}
		all.Warm += one.Warm
		all.Asleep += one.Asleep
		all.InUse += one.InUse
		all.Counts.add(one.Counts)
	}
	return all
}

// Loaded reports whether compiled code and snapshot are in memory. It takes no lock.
func (p *Pool) Loaded() bool { return p.loadedIn.Load() }

func (p *Pool) setModuleLocked(m *engine.Module) {
	p.module = m
	p.loadedIn.Store(m != nil)
}
