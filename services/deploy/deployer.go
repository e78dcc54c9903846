package deploy

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services"
)

// Deployer changes what is served. All methods are safe for concurrent use. Make it with New, call Boot once, then
// the others; at the end Close.
type Deployer struct {
	cfg   Config                   // immutable
	kinds map[string]services.Kind // immutable
	log   *slog.Logger             // immutable

	writer  chan struct{} // the writer lock: who has sent to it holds it
	waiters atomic.Int32  // deploys that wait for it

	phase atomic.Int32 // one of the phases; changed with the writer lock held

	mu       sync.Mutex
	live     map[registry.Prefix]*live     // guarded by mu; changed with the writer lock held too
	limiters map[limiterKey]*sharedLimiter // guarded by mu

	// The contexts end at the two steps of Close; all four are immutable.
	closing      context.Context // Close was called
	beginClosing context.CancelFunc
	draining     context.Context // Close has run out of time
	stopDrain    context.CancelFunc

	retiring sync.WaitGroup // one for each retired deployment that is not closed yet
	cut      atomic.Int32   // drains that Close broke off with requests still running
}

// The phases of a Deployer. It never goes back.
const (
	phaseNew int32 = iota
	phaseReady
	phaseClosed
)

// Result tells what a deploy has brought about.
type Result struct {
	Created bool // the prefix was free before
	Service registry.Service
	Status  services.Status
}

// Entry is a service of the catalogue with what is live of it.
type Entry struct {
	Service registry.Service
	Status  services.Status
	Problem error // why it is unavailable, for the log; nil if it serves
}

// New makes a Deployer that has not loaded anything yet. It starts no goroutine. A Config that no program should pass
// makes it panic: a missing part, or two kinds of one name.
func New(cfg Config) *Deployer {
	cfg.check()
	cfg = cfg.withDefaults()
	d := &Deployer{
		cfg:      cfg,
		kinds:    make(map[string]services.Kind, len(cfg.Kinds)),
		log:      cfg.Log,
		writer:   make(chan struct{}, 1),
		live:     make(map[registry.Prefix]*live),
		limiters: make(map[limiterKey]*sharedLimiter),
	}
	d.closing, d.beginClosing = context.WithCancel(context.Background())
	d.draining, d.stopDrain = context.WithCancel(context.Background())
	for _, k := range cfg.Kinds {
		d.kinds[k.Name()] = k
	}
	return d
}

// Ready reports whether Boot has published the catalogue and Close has not been called.
func (d *Deployer) Ready() bool { return d.phase.Load() == phaseReady && d.closing.Err() == nil }

// List gives all services in the order of their prefixes.
func (d *Deployer) List() []Entry {
	byPrefix := func(a, b *live) int { return cmp.Compare(a.service.Prefix, b.service.Prefix) }
	all := slices.SortedFunc(slices.Values(d.snapshot()), byPrefix)
	entries := make([]Entry, 0, len(all))
	for _, l := range all {
		entries = append(entries, l.entry())
	}
	return entries
}

// Inspect gives one service; its error matches registry.ErrNotFound.
func (d *Deployer) Inspect(prefix registry.Prefix) (Entry, error) {
	if l := d.liveAt(prefix); l != nil {
		return l.entry(), nil
	}
	return Entry{}, asProblem("find the service", fmt.Errorf("%w: %s", registry.ErrNotFound, prefix))
}

// lock takes the writer lock. It fails when ctx ends first, when too many wait already, and in any phase but want.
func (d *Deployer) lock(ctx context.Context, want int32) (unlock func(), err error) {
	if err := d.checkPhase(want); err != nil {
		return nil, err
	}
	select {
	case d.writer <- struct{}{}:
	default:
		if err := d.awaitTurn(ctx); err != nil {
			return nil, err
		}
	}
	return d.locked(want)
}

// lockPatiently is lock for those who are few: they wait however many others do.
func (d *Deployer) lockPatiently(ctx context.Context, want int32) (unlock func(), err error) {
	if err := d.checkPhase(want); err != nil {
		return nil, err
	}
	if err := d.awaitLock(ctx); err != nil {
		return nil, err
	}
	return d.locked(want)
}

// locked gives the lock that was taken back where the phase has changed meanwhile.
func (d *Deployer) locked(want int32) (unlock func(), err error) {
	unlock = func() { <-d.writer }
	if err := d.checkPhase(want); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// awaitTurn takes the writer lock from a queue of bounded length.
func (d *Deployer) awaitTurn(ctx context.Context) error {
	defer d.waiters.Add(-1)
	if int(d.waiters.Add(1)) > d.cfg.MaxWaiters {
		p := problem.New(problem.NoCapacity, "other deploys are being carried out and too many wait already; try again")
		p.RetryAfter = busyRetryAfter
		return p.WithCause(ErrBusy)
	}
	return d.awaitLock(ctx)
}

func (d *Deployer) awaitLock(ctx context.Context) error {
	select {
	case d.writer <- struct{}{}:
		return nil
	case <-d.closing.Done():
		return errClosing()
	case <-ctx.Done():
		return asProblem("wait for the deploys before this one", context.Cause(ctx))
	}
}

func (d *Deployer) checkPhase(want int32) error {
	switch have := d.phase.Load(); {
	case d.closing.Err() != nil:
		return errClosing()
	case have == want:
		return nil
	case have == phaseNew:
		return problem.New(problem.NotReady, "the server is still loading its services; try again").WithCause(ErrNotReady)
	}
	return ErrBooted
}

// snapshot gives what is live now, in no order.
func (d *Deployer) snapshot() []*live {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.live))
}

func (d *Deployer) liveAt(prefix registry.Prefix) *live {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.live[prefix]
}
