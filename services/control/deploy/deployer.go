package deploy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/ratelimit"
	"github.com/vespo-dev/vespo/services"
)

// Deployer changes the set of served services. All methods are safe for concurrent use. Create it with New,
// call Boot once before the other methods, and Close at the end.
type Deployer struct {
	cfg   Config                   // immutable
	kinds map[string]services.Kind // immutable
	log   *slog.Logger             // immutable

	claims  *claims                                             // immutable
	turns   chan struct{}                                       // semaphore: a sender may compile until it receives
	writer  chan struct{}                                       // the writer lock: held from a send to the next receive
	acts    struct{ changes, requests, versions atomic.Uint64 } // how often bounds have acted; see Stats
	hurry   chan struct{}                                       // immutable; capacity 1: a request waits for the start of a service
	waiters atomic.Int32                                        // impatient changes waiting for a claim or a turn

	phase   atomic.Int32 // one of the phases; changed with mu held
	started atomic.Bool  // every service of the catalogue is prepared or has failed
	applied atomic.Bool  // the configuration file is applied; true from the start without one

	mu       sync.Mutex
	live     map[routekey.Key]*placement       // guarded by mu; changed with the writer lock held too
	behind   map[routekey.Key]registry.Service // guarded by mu: states of services that serve an earlier one, for want of blobs
	reached  registry.Generation               // guarded by mu: of the last adopted state
	retired  map[routekey.Key][]*live          // guarded by mu; not closed yet, oldest first
	limiters map[limiterKey]*sharedLimiter     // guarded by mu
	rates    map[rateKey]*sharedRate           // guarded by mu
	crowded  uint64                            // guarded by mu: ratelimit.Stats.Shared of limits that are gone
	rateKeys *ratelimit.Space                  // immutable; of the keys of all rates
	start    startQueue                        // guarded by mu
	awaiting int                               // guarded by mu: requests waiting for a service to start
	declared progress                          // guarded by mu: services of the first Apply

	// Both contexts end during Close. All four fields are immutable.
	closing      context.Context // ends when Close is called, with mu held
	beginClosing context.CancelFunc
	draining     context.Context // ends when Close has run out of time
	stopDrain    context.CancelFunc

	changes   sync.WaitGroup // one per change in progress; added to with mu held, before closing ends
	preparing sync.WaitGroup // one per call of a Kind's Prepare
	retiring  sync.WaitGroup // one per retired deployment that is not closed yet
	garbage   atomic.Int32   // calls of collectGarbage since the collection in progress began; 0: none is
	cut       atomic.Int32   // drains that Close aborted with requests still running
}

// The phases of a Deployer, in the order in which it enters them.
const (
	phaseNew     int32 = iota
	phaseServing       // a table is published
	phaseClosed
)

// Result describes the outcome of a deploy.
type Result struct {
	Created bool // the prefix was free before
	// RolledBackTo is the generation that the version had before a rollback; else zero.
	RolledBackTo registry.Generation
	Before       registry.Version // the replaced version; zero if Created
	Service      registry.Service
	Status       services.Status // of the current version
	// Staged is the version that the deploy has given a share of the requests, or of the mirror; zero if it serves all.
	Staged registry.Number
	DryRun bool // nothing was changed
}

// Entry is a service of the catalogue with its live state.
type Entry struct {
	Service  registry.Service
	Status   services.Status
	Problem  error // why it is unavailable, for the log; nil if it serves
	Retiring Retiring
	// Requests and Errors count the requests of the current version since it was deployed or the server was started.
	// Errors are those that failed on the server's side: see router.RouteStats.
	Requests, Errors uint64
	// Admission is the state of the service's admission, of all versions; zero while it starts.
	Admission admission.Stats
	// Live are the versions that have a share of the requests or of the mirror, the current one first.
	Live []LiveVersion
}

// LiveVersion is the live state of one version.
type LiveVersion struct {
	Number           registry.Number
	Status           services.Status
	Problem          error
	Requests, Errors uint64
}

// Retiring counts the earlier versions of a service that still have requests.
type Retiring struct {
	Versions      int
	Requests      int
	SnapshotBytes int64
}

// New returns a Deployer that has not loaded the catalogue yet. It starts no goroutine. It panics if cfg
// lacks a required field or has two kinds of the same name.
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
		hurry:    make(chan struct{}, 1),
		live:     make(map[routekey.Key]*placement),
		behind:   make(map[routekey.Key]registry.Service),
		retired:  make(map[routekey.Key][]*live),
		limiters: make(map[limiterKey]*sharedLimiter),
		rates:    make(map[rateKey]*sharedRate),
		rateKeys: ratelimit.NewSpace(ratelimit.MaxAllKeys),
	}
	d.closing, d.beginClosing = context.WithCancel(context.Background())
	d.draining, d.stopDrain = context.WithCancel(context.Background())
	for _, k := range cfg.Kinds {
		d.kinds[k.Describe().Name] = k
	}
	d.applied.Store(!cfg.FileRules)
	return d
}

// Ready reports whether every service of the catalogue and of the configuration file is prepared or has
// failed. It returns false after Close was called.
func (d *Deployer) Ready() bool {
	return d.phase.Load() == phaseServing && d.started.Load() && d.applied.Load() && d.closing.Err() == nil
}

// List returns all services, sorted by the text of their keys.
func (d *Deployer) List() []Entry {
	byPrefix := func(a, b *placement) int { return strings.Compare(a.service.Key.String(), b.service.Key.String()) }
	all := slices.SortedFunc(slices.Values(d.placements()), byPrefix)
	entries := make([]Entry, 0, len(all))
	for _, p := range all {
		entries = append(entries, d.entry(p))
	}
	return entries
}

// Inspect returns one service. Its error matches registry.ErrNotFound.
func (d *Deployer) Inspect(key routekey.Key) (Entry, error) {
	if p := d.placementAt(key); p != nil {
		return d.entry(p), nil
	}
	return Entry{}, asProblem("find the service", fmt.Errorf("%w: %s", registry.ErrNotFound, key))
}

// Blob returns a stored blob: the module, document or middleware of a version.
func (d *Deployer) Blob(ctx context.Context, digest registry.Digest) ([]byte, error) {
	return d.cfg.Registry.Blob(ctx, digest)
}

// OpenBlob returns a stored blob for reading in parts, without checking its digest.
func (d *Deployer) OpenBlob(ctx context.Context, digest registry.Digest) (io.ReadSeekCloser, error) {
	return d.cfg.Registry.OpenBlob(ctx, digest)
}

// entry describes a service, including earlier versions that still have requests.
func (d *Deployer) entry(p *placement) Entry {
	l := p.all[0]
	stats := l.route.Stats()
	e := Entry{Service: p.service, Status: l.deployment.Status(), Problem: l.problem, Requests: stats.Requests, Errors: stats.Errors}
	if l.limiter != nil {
		e.Admission = l.limiter.Stats()
	}
	for _, l := range p.all {
		stats := l.route.Stats()
		e.Live = append(e.Live, LiveVersion{Number: l.number(), Status: l.deployment.Status(), Problem: l.problem, Requests: stats.Requests, Errors: stats.Errors})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, old := range d.retired[l.service.Key] {
		e.Retiring.Versions++
		e.Retiring.Requests += old.route.InUse()
		e.Retiring.SnapshotBytes += old.deployment.Status().SnapshotBytes
	}
	return e
}

// begin registers a change that Close waits for. It fails in any phase but want.
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

// snapshot returns the live versions, unordered.
func (d *Deployer) snapshot() []*live { return versionsOf(d.placements()) }

// placements returns all placements, unordered.
func (d *Deployer) placements() []*placement {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.live))
}

// liveAt returns the current version of a service, or nil.
func (d *Deployer) liveAt(key routekey.Key) *live {
	if p := d.placementAt(key); p != nil {
		return p.all[0]
	}
	return nil
}

func (d *Deployer) placementAt(key routekey.Key) *placement {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.live[key]
}
