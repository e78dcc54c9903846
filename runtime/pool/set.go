package pool

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/spare"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// ErrNoSlot is returned if no slot is free and no warm instance can be reclaimed: more
// requests were admitted than there are slots.
var ErrNoSlot = errors.New("pool: no slot is left although the request was admitted")

// Options configures a Set.
type Options struct {
	// LoadedBytes limits the memory of compiled code and snapshots: beyond it, those of the least recently used pools
	// are released. 0: no limit.
	LoadedBytes int64
	// MappedBytes limits the size of mapped files of code in the same way: they take disk space. 0: no limit.
	MappedBytes int64
	// Loaded limits the number of pools with code and snapshot in the same way: each snapshot in memory takes a descriptor.
	// 0: no limit.
	Loaded int
	// Unloaded, if set, is called after a pool has released its code and snapshot, with their memory. Code that others use
	// does not count.
	Unloaded func(bytes int64)
	Log      *slog.Logger
}

// Set holds all pools of one engine, which share its slots.
type Set struct {
	engine  *engine.Engine // immutable
	options Options        // immutable
	log     *slog.Logger   // immutable

	asleep sleepers

	spare *spare.Shelves[engine.Instance] // instances without a request, which count as in use
	tight atomic.Bool                     // set while a slot is sought: no instance may stay spare. Written with mu held

	_       [64]byte           // all processors read the fields above
	mu      sync.Mutex         // held while slots change their owner
	pools   map[*Pool]struct{} // guarded by mu
	holding coldHeap           // guarded by mu; pools with slots, and some that had some
	loaded  coldHeap           // guarded by mu; pools with code
	closed  Counts             // guarded by mu; of pools that are not in pools any more
	trimmed int64              // guarded by mu; releases because of Options.LoadedBytes

	trims   chan struct{} // capacity 1; the limit may be exceeded
	over    atomic.Bool   // atomic; the limit is exceeded by pools in use
	refills chan *Pool    // pools that lost an instance; bounded: if it is full, refills are in progress anyway
	stop    context.CancelFunc
	done    chan struct{}
}

// NewSet returns a set without pools. Call Start to enable refills.
func NewSet(e *engine.Engine, o Options) *Set {
	return &Set{
		engine:  e,
		options: o,
		log:     o.Log,
		pools:   map[*Pool]struct{}{},
		holding: newColdHeap((*Pool).idleSince),
		loaded:  newColdHeap((*Pool).idleLoaded),
		asleep:  sleepers{limitBytes: o.asleepBytes(), of: map[*Pool]*list.Element{}},
		spare:   spare.New[engine.Instance](),
		trims:   make(chan struct{}, 1),
		refills: make(chan *Pool, 16),
		done:    make(chan struct{}),
	}
}

// Start starts the goroutine that refills pools, and unloads them. It measures code from time to time, because guests go on to touch more
// of it. Close stops it.
func (s *Set) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() {
		defer close(s.done)
		measure := time.NewTicker(engine.MeasureEvery / 3) // code was measured at different times
		defer measure.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case p := <-s.refills:
				p.refill(ctx)
			case <-s.trims:
				s.trim(ctx)
			case now := <-measure.C:
				s.engine.MeasureCode(now)
				s.requestTrim()
			}
		}
	}()
}

// Close stops the refills. Pools are closed by their owners.
func (s *Set) Close() {
	if s.stop != nil {
		s.stop()
		<-s.done
	}
}

// slot reserves a slot for a pool: a free one, or that of the warm instance that is unused for longest.
func (s *Set) slot(of *Pool) (*engine.Slot, error) {
	s.mu.Lock()
	if slot, ok := s.freeSlotLocked(of); ok {
		s.mu.Unlock()
		return slot, nil
	}
	var closed []*engine.Instance
	victim := s.reclaimLocked()
	if victim == nil { // spare instances were used last: they come after all warm ones
		closed = s.gatherLocked()
		victim = s.reclaimLocked()
		s.tight.Store(false)
	}
	if victim != nil {
		s.holding.put(of)
	}
	s.mu.Unlock()
	for _, in := range closed {
		putBack(in)
	}
	if victim == nil {
		if slot, ok := s.freeSlot(of); ok { // that of an instance of a closed pool, which was put back just now
			return slot, nil
		}
		return nil, ErrNoSlot
	}
	return keptWith(victim).pool.vacate(victim), nil
}

// gatherLocked sets tight and makes the spare instances of all pools warm ones. It returns those of closed pools, which
// the caller must put back when it has released the lock.
func (s *Set) gatherLocked() (closed []*engine.Instance) {
	s.tight.Store(true)
	s.spare.Sweep(func(*engine.Instance) bool { return true }, func(in *engine.Instance) {
		if !keptWith(in).pool.warmAgain(in) {
			closed = append(closed, in)
		}
	})
	return closed
}

// freeSlot reserves a free slot for a pool.
func (s *Set) freeSlot(of *Pool) (*engine.Slot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.freeSlotLocked(of)
}

func (s *Set) freeSlotLocked(of *Pool) (*engine.Slot, bool) {
	slot, ok := s.engine.AcquireSlot()
	if ok {
		s.holding.put(of)
	}
	return slot, ok
}

// add adds a pool, which may have code and a warm instance.
func (s *Set) add(p *Pool, loaded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pools[p] = struct{}{}
	if loaded {
		s.holding.put(p)
		s.loaded.put(p)
	}
}

// noteLoaded records that a pool has loaded its code.
func (s *Set) noteLoaded(p *Pool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.pools[p]; ok {
		s.loaded.put(p)
	}
}

// noSlots records that a pool that was never added has no slot.
func (s *Set) noSlots(p *Pool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding.remove(p)
}

func (s *Set) remove(p *Pool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.pools[p]; ok {
		delete(s.pools, p)
		s.holding.remove(p)
		s.loaded.remove(p)
		s.closed.add(p.Stats().Counts)
	}
}

func (s *Set) requestRefill(p *Pool) {
	select {
	case s.refills <- p:
	default:
	}
}
