package pool

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// decommitBytes is the most private memory that a warm instance may keep. A request that touched more
// would make all later resets of the instance copy as much. Above this size, decommitting is cheaper.
const decommitBytes = 2 << 20

// refillPatience is how long a refill waits for a processor. If it fails, the next
// request restores an instance itself.
const refillPatience = time.Second

// ErrClosed is returned by operations on a closed pool.
var ErrClosed = errors.New("pool: closed")

// Start is the state in which an instance was found.
type Start string

// The start states, from fast to slow.
const (
	Warm     Start = "warm"     // the instance was ready
	Restored Start = "restored" // instantiated from the snapshot (or initialised, if the module needs fresh instances)
	Cold     Start = "cold"     // compiled code was loaded first
)

// Loader compiles a module. The pool prepares it.
type Loader func(ctx context.Context) (*engine.Module, error)

// Pool manages the instances of one version of a service.
type Pool struct {
	set  *Set               // immutable
	load Loader             // immutable
	open context.Context    // immutable; ends with Close
	stop context.CancelFunc // immutable

	opened   time.Time   // immutable
	loadedIn atomic.Bool // module is not nil
	tight    atomic.Bool // set while instances are sought, and once the pool is closed: none may stay spare. Written with mu held

	_        [64]byte // all processors read the fields above
	mu       sync.Mutex
	module   *engine.Module     // guarded by mu; nil while evicted; changed by setModuleLocked
	warm     []*engine.Instance // guarded by mu; LIFO
	asleep   *engine.Instance   // guarded by mu; one without a slot; nil if there is none
	kept     []*kept            // guarded by mu; of all instances
	inUse    int                // guarded by mu; including acquisitions in progress and spare instances
	refills  int                // guarded by mu; refills and loads in progress
	loading  *loading           // guarded by mu; the load in progress; nil: none
	lastUsed time.Time          // guarded by mu; end of the last request, zero before the first
	counts   Counts             // guarded by mu
	closed   bool               // guarded by mu
	drained  chan struct{}      // immutable; closed when the pool is closed and nothing is in use
}

// Open compiles and prepares the module, and keeps one warm instance. If the guest is at fault, the error is
// an *engine.ModuleError. At most engine.Config.Preparing may run at a time: each uses a spare slot.
func (s *Set) Open(ctx context.Context, load Loader) (*Pool, error) {
	p := s.newPool(load)
	module, err := load(ctx)
	if err != nil {
		return nil, err
	}
	first, err := p.prepare(ctx, module)
	if err != nil {
		s.noSlots(p)
		return nil, err
	}
	p.open, p.stop = context.WithCancel(context.Background())
	p.setModuleLocked(module)
	if fresh, _ := module.Fresh(); fresh {
		p.close(first)
	} else {
		p.warm = append(p.warm, first)
	}
	s.add(p, true)
	p.awaitCode(module)
	s.requestTrim()
	return p, nil
}

// OpenUnloaded returns a pool that loads the module for the first request.
func (s *Set) OpenUnloaded(load Loader) *Pool {
	p := s.newPool(load)
	p.open, p.stop = context.WithCancel(context.Background())
	s.add(p, false)
	return p
}

func (s *Set) newPool(load Loader) *Pool {
	return &Pool{set: s, load: load, opened: time.Now(), drained: make(chan struct{})}
}

// prepare initialises the module and captures its snapshot. It closes the module on error.
func (p *Pool) prepare(ctx context.Context, module *engine.Module) (*engine.Instance, error) {
	slot, err := p.set.slot(p)
	if err != nil {
		return nil, errors.Join(err, module.Close(ctx))
	}
	first, err := module.Prepare(ctx, slot)
	if err != nil {
		return nil, errors.Join(err, module.Close(ctx))
	}
	p.keep(first)
	return first, nil
}

// Acquire returns an instance for one request. If the module needs fresh instances, the
// guest's initialisation is part of the request, and there is no instance unless the
// Outcome is Clean. The caller must release the instance.
func (p *Pool) Acquire(ctx context.Context, deadline time.Time) (*engine.Instance, Start, engine.Outcome, error) {
	shelf := p.set.spare.Near()
	if in := p.take(shelf); in != nil {
		return in, Warm, engine.Outcome{}, nil
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, "", engine.Outcome{}, ErrClosed
	}
	p.inUse++
	if len(p.warm) == 0 && p.inUse > 1 { // else none is spare
		p.gatherLocked()
	}
	if in := p.popLocked(); in != nil {
		p.counts.Warm++
		p.mu.Unlock()
		keptWith(in).shelf = shelf
		return in, Warm, engine.Outcome{}, nil
	}
	p.mu.Unlock()
	in, start, out, err := p.acquireSlow(ctx, deadline)
	if in == nil {
		p.done(time.Now())
		return nil, start, out, err
	}
	keptWith(in).shelf = shelf
	p.count(func(c *Counts) {
		if start == Cold {
			c.Cold++
		} else {
			c.Restored++
		}
	})
	return in, start, out, err
}

// count changes the counters.
func (p *Pool) count(change func(c *Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.counts)
}

func (p *Pool) popLocked() *engine.Instance {
	n := len(p.warm) - 1
	if n < 0 {
		return nil
	}
	in := p.warm[n]
	p.warm[n] = nil
	p.warm = p.warm[:n]
	return in
}

func (p *Pool) acquireSlow(ctx context.Context, deadline time.Time) (*engine.Instance, Start, engine.Outcome, error) {
	start := Restored
	module, in, cold, err := p.loaded(ctx, deadline)
	switch {
	case err != nil:
		return nil, "", engine.Outcome{}, err
	case cold:
		start = Cold
	}
	if in != nil {
		return in, start, engine.Outcome{}, nil
	}
	in = p.takeAsleep()
	slot, err := p.set.slot(p)
	if err != nil {
		if in != nil {
			p.close(in)
		}
		return nil, "", engine.Outcome{}, err
	}
	if in != nil {
		if err := in.Wake(slot); err != nil {
			p.close(in)
			return nil, "", engine.Outcome{}, err
		}
		return in, start, engine.Outcome{}, nil
	}
	in, out, err := module.Instantiate(ctx, deadline, slot)
	if in != nil {
		p.keep(in)
	}
	return in, start, out, err
}

// Release returns an instance after a request. reusable reports whether the last outcome
// was clean. The instance is then reset, and dirtyBytes is the size of the restored memory.
func (p *Pool) Release(in *engine.Instance, reusable bool) (dirtyBytes int) {
	if fresh, _ := in.Module().Fresh(); fresh || !reusable {
		p.discard(in, !fresh)
		return 0
	}
	if in.Outdated() {
		p.discard(in, true)
		return 0
	}
	ended := in.Ended()
	dirtyBytes, err := in.Reset()
	if err == nil && dirtyBytes > decommitBytes {
		err = in.Decommit()
	}
	if err != nil {
		p.report(err)
		p.discard(in, true)
		return dirtyBytes
	}
	p.put(in, ended)
	p.set.lessInUse()
	return dirtyBytes
}

func (p *Pool) discard(in *engine.Instance, refill bool) {
	outdated := in.Outdated()
	p.close(in)
	if refill && !outdated {
		p.count(func(c *Counts) { c.Discarded++ })
	}
	p.done(time.Now())
	if refill {
		p.set.requestRefill(p)
	}
}

// done ends an acquisition that lasted until now.
func (p *Pool) done(now time.Time) {
	p.mu.Lock()
	p.inUse--
	if now.After(p.lastUsed) {
		p.lastUsed = now
	}
	p.unlockAndFinish()
}

// unlockAndFinish ends a use, which the caller has counted down: it unlocks p.mu, and closes the module of a closed pool that is not
// in use any more. A pool that was in use may be the one that a trim has passed over.
func (p *Pool) unlockAndFinish() {
	last := p.closed && p.inUse == 0 && p.refills == 0
	p.mu.Unlock()
	if last {
		p.finish()
	}
	p.set.lessInUse()
}

// refill creates one warm instance if the pool has none. It uses only a free slot,
// because reclaiming one would cool another pool.
func (p *Pool) refill(ctx context.Context) {
	p.mu.Lock()
	p.gatherLocked()
	module := p.module
	if p.closed || module == nil || len(p.warm) > 0 {
		p.mu.Unlock()
		return
	}
	p.refills++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.refills--
		p.unlockAndFinish()
	}()
	slot, ok := p.set.freeSlot(p)
	if !ok {
		return
	}
	in, _, err := module.Instantiate(ctx, time.Now().Add(refillPatience), slot)
	if err != nil || in == nil {
		p.report(err)
		return
	}
	p.keep(in)
	p.mu.Lock()
	warm := !p.closed
	if warm {
		p.warm = append(p.warm, in)
		p.counts.Refilled++
	}
	p.mu.Unlock()
	if warm {
		p.renewIfOutdated(in)
	} else {
		p.close(in)
	}
}

// heldLocked reports whether the pool has instances, or will have some.
func (p *Pool) heldLocked() bool { return len(p.warm) > 0 || p.inUse > 0 || p.refills > 0 }

// unusedLocked returns the end of the last request, or the time when the pool was opened.
func (p *Pool) unusedLocked() time.Time {
	if used := p.lastUsedLocked(); !used.IsZero() {
		return used
	}
	return p.opened
}

// closeWarm closes all warm instances, and the one that is asleep. The set's lock must be held.
func (p *Pool) closeWarm() {
	p.mu.Lock()
	p.gatherLocked()
	victims := p.warm
	p.warm = nil
	if in := p.takeAsleepLocked(); in != nil {
		victims = append(victims, in)
	}
	p.mu.Unlock()
	for _, in := range victims {
		p.close(in)
	}
}

// Close closes all instances and the module. It stops running calls and waits for them
// until ctx is done. If calls remain, the last of them closes the module.
func (p *Pool) Close(ctx context.Context) error {
	p.set.remove(p)
	p.mu.Lock()
	already := p.closed
	p.closed = true
	p.gatherLocked()
	p.stop() // cancels a load in progress
	idle := p.inUse == 0 && p.refills == 0
	if p.module != nil {
		p.module.Stop()
	}
	p.mu.Unlock()
	if already {
		return nil
	}
	if idle {
		p.finish()
	}
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finish closes the module. It is called once: by Close if the pool was idle, else by the last user.
func (p *Pool) finish() {
	p.set.mu.Lock()
	p.closeWarm()
	p.set.mu.Unlock()
	p.mu.Lock()
	module := p.module
	p.setModuleLocked(nil)
	p.mu.Unlock()
	if module != nil {
		p.report(module.Close(context.Background()))
	}
	close(p.drained)
}

func (p *Pool) report(err error) {
	if err != nil {
		p.set.log.Error("an instance could not be handled", slog.Any("error", err))
	}
}
