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

	claims  *claims       // immutable
	turns   chan struct{} // who has sent to it may compile
	writer  chan struct{} // the writer lock: who has sent to it holds it
	waiters atomic.Int32  // impatient changes that wait for a claim or a turn

	phase   atomic.Int32 // one of the phases; changed with mu held
	started atomic.Bool  // every service of the catalogue was prepared, or has failed
	applied atomic.Bool  // the configuration file was applied; true from the beginning if there is none

	mu       sync.Mutex
	live     map[registry.Prefix]*live     // guarded by mu; changed with the writer lock held too
	retired  map[registry.Prefix][]*live   // guarded by mu; not closed yet, the oldest first
	limiters map[limiterKey]*sharedLimiter // guarded by mu
	start    startQueue                    // guarded by mu
	awaiting int                           // guarded by mu: requests that wait for a service to start
	declared progress                      // guarded by mu: services of the first Apply

	// The contexts end at the two steps of Close; all four are immutable.
	closing      context.Context // Close was called; ends with mu held
	beginClosing context.CancelFunc
	draining     context.Context // Close has run out of time
	stopDrain    context.CancelFunc

	changes   sync.WaitGroup // one for each change under way; added to with mu held, before closing ends
	preparing sync.WaitGroup // one for each call of a Kind's Prepare
	retiring  sync.WaitGroup // one for each retired deployment that is not closed yet
	cut       atomic.Int32   // drains that Close broke off with requests still running
}

// The phases of a Deployer. It never goes back.
const (
	phaseNew     int32 = iota
	phaseServing       // a table is published
	phaseClosed
)

// Result tells what a deploy has brought about.
type Result struct {
	Created bool             // the prefix was free before
	Before  registry.Version // what it has replaced; zero if Created
	Service registry.Service
	Status  services.Status
}

// Entry is a service of the catalogue with what is live of it.
type Entry struct {
	Service  registry.Service
	Status   services.Status
	Problem  error // why it is unavailable, for the log; nil if it serves
	Retiring Retiring
}

// Retiring counts the earlier versions of a service that still have requests.
type Retiring struct {
	Versions      int
	Requests      int
	SnapshotBytes int64
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
		claims:   newClaims(),
		turns:    make(chan struct{}, cfg.PrepareParallel),
		writer:   make(chan struct{}, 1),
		live:     make(map[registry.Prefix]*live),
		retired:  make(map[registry.Prefix][]*live),
		limiters: make(map[limiterKey]*sharedLimiter),
	}
	d.closing, d.beginClosing = context.WithCancel(context.Background())
	d.draining, d.stopDrain = context.WithCancel(context.Background())
	for _, k := range cfg.Kinds {
		d.kinds[k.Name()] = k
	}
	d.applied.Store(!cfg.FileRules)
	return d
}

// Ready reports whether every service of the catalogue and of the configuration file was prepared, or has failed, and
// Close has not been called.
func (d *Deployer) Ready() bool {
	return d.phase.Load() == phaseServing && d.started.Load() && d.applied.Load() && d.closing.Err() == nil
}

// List gives all services in the order of their prefixes.
func (d *Deployer) List() []Entry {
	byPrefix := func(a, b *live) int { return cmp.Compare(a.service.Prefix, b.service.Prefix) }
	all := slices.SortedFunc(slices.Values(d.snapshot()), byPrefix)
	entries := make([]Entry, 0, len(all))
	for _, l := range all {
		entries = append(entries, d.entry(l))
	}
	return entries
}

// Inspect returns one service; its error matches registry.ErrNotFound.
func (d *Deployer) Inspect(prefix registry.Prefix) (Entry, error) {
	if l := d.liveAt(prefix); l != nil {
		return d.entry(l), nil
	}
	return Entry{}, asProblem("find the service", fmt.Errorf("%w: %s", registry.ErrNotFound, prefix))
}

// Blob reads what a version of the catalogue is made of.
func (d *Deployer) Blob(ctx context.Context, digest registry.Digest) ([]byte, error) {
	return d.cfg.Registry.Blob(ctx, digest)
}

// entry describes l with the versions before it that still have requests.
func (d *Deployer) entry(l *live) Entry {
	e := Entry{Service: l.service, Status: l.deployment.Status(), Problem: l.problem}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, old := range d.retired[l.service.Prefix] {
		e.Retiring.Versions++
		e.Retiring.Requests += old.route.InUse()
		e.Retiring.SnapshotBytes += old.deployment.Status().SnapshotBytes
	}
	return e
}

// begin counts a change in, which Close waits for. It fails in any phase but want.
func (d *Deployer) begin(want int32) (end func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkPhase(want); err != nil {
		return nil, err
	}
	d.changes.Add(1)
	return d.changes.Done, nil
}

// lock takes the writer lock, which is held for a commit and never during a Prepare.
func (d *Deployer) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case d.writer <- struct{}{}:
		return func() { <-d.writer }, nil
	case <-d.closing.Done():
		return nil, errClosing()
	case <-ctx.Done():
		return nil, asProblem("wait for the deploys before this one", context.Cause(ctx))
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
