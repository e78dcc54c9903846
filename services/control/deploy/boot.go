package deploy

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// Start logs its progress at most once per progressInterval, and also without progress after stillInterval.
const (
	progressInterval = 2 * time.Second
	stillInterval    = 5 // times progressInterval
)

// Boot calls Load and Start.
func (d *Deployer) Boot(ctx context.Context) error {
	if err := d.Load(ctx); err != nil {
		return err
	}
	return d.Start(ctx)
}

// Load publishes a table with all services of the catalogue, in the state "starting". After it, changes are
// accepted. The error is ctx's or ErrClosed (both before anything was published) or ErrBooted.
func (d *Deployer) Load(ctx context.Context) error {
	end, err := d.begin(phaseNew)
	if err != nil {
		return err
	}
	defer end()
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.interrupted(ctx); err != nil {
		return err
	}
	if err := d.checkPhase(phaseNew); err != nil { // another Load was first
		return err
	}
	var all []*placement
	var ordered, guests []*live
	state := d.cfg.Registry.State()
	for _, service := range state.Sorted() {
		if !d.holds(service) {
			all = append(all, d.place(service, d.awayFrom(service, state.Generation, false), state.Generation))
			continue
		}
		var versions []*live
		for _, n := range service.Live() {
			l := d.newStarting(service, n, state.Generation)
			versions = append(versions, l)
			if _, guestless := d.cfg.Admission[l.service.Current.Kind]; guestless && layers(l.service.Current) == 0 {
				ordered = append(ordered, l)
			} else {
				guests = append(guests, l)
			}
		}
		all = append(all, d.place(service, versions, state.Generation))
	}
	table, err := d.buildTable(all)
	if err != nil {
		return fmt.Errorf("boot: build the table: %w", err)
	}
	d.publishLocked(table, all, nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start = startQueue{ordered: ordered, rest: guests, total: len(ordered) + len(guests), left: len(ordered) + len(guests)}
	d.phase.Store(phaseServing)
	return nil
}

// Start prepares the services that Load has published, at most PrepareParallel with guests at a time.
// Services with waiting requests come first. Each service serves as soon as it is prepared. A service that
// cannot be prepared stays in the catalogue, is reported by Events.Unavailable and the log, and answers 503
// until it is deployed again, rolled back or removed. The error is ctx's or ErrClosed.
func (d *Deployer) Start(ctx context.Context) error {
	end, err := d.begin(phaseServing)
	if err != nil {
		return err
	}
	defer end()
	began := time.Now()
	finished := make(chan handover, 64)
	var workers sync.WaitGroup
	workers.Go(func() { d.startServices(ctx, finished, d.start.nextOrdered) })
	for range d.cfg.PrepareParallel {
		workers.Go(func() { d.startServices(ctx, finished, d.start.next) })
	}
	reporting, stop := context.WithCancel(ctx)
	var reporter sync.WaitGroup
	reporter.Go(func() { d.reportStart(reporting, began) })
	go func() { // ends with the workers, before this function returns
		workers.Wait()
		close(finished)
	}()
	d.handOverAll(ctx, finished)
	stop()
	reporter.Wait()
	if err := d.interrupted(ctx); err != nil {
		return err
	}
	d.started.Store(true)
	d.log.Info("catalogue loaded", "services", len(d.placements()), "generation", d.cfg.Registry.State().Generation,
		"took", time.Since(began).Round(time.Millisecond))
	d.collectGarbage()
	return nil
}

// reportStart logs the progress of the start until ctx ends.
func (d *Deployer) reportStart(ctx context.Context, began time.Time) {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	told := -1
	for silent := 0; ; silent++ {
		select {
		case <-ticker.C:
			done, total := d.Progress()
			if done == told && silent < stillInterval {
				continue
			}
			told, silent = done, 0
			d.log.Info(fmt.Sprintf("starting, %d of %d", done, total), "for", time.Since(began).Round(time.Second))
		case <-ctx.Done():
			return
		}
	}
}

// startServices prepares the services that next returns, one after the other, until none is left or ctx ends. next is
// called with Deployer.mu held.
func (d *Deployer) startServices(ctx context.Context, finished chan<- handover, next func() (l *live, wait bool)) {
	for d.interrupted(ctx) == nil {
		d.mu.Lock()
		l, wait := next()
		d.mu.Unlock()
		if l == nil {
			return
		}
		release, ok := d.claimStart(ctx, l, wait)
		switch {
		case !ok:
		case !d.placementAt(l.service.Key).has(l): // a change was first
			release()
		default:
			d.startService(ctx, l, release, finished)
		}
	}
}

// claimStart claims a service. Without wait, a service that a change has claimed is put off until later.
func (d *Deployer) claimStart(ctx context.Context, l *live, wait bool) (release func(), ok bool) {
	if wait {
		release, err := d.claim(ctx, patient, l.service.Key)
		return release, err == nil
	}
	keys := []routekey.Key{l.service.Key}
	if free, _ := d.claims.try(keys); free {
		return func() { d.claims.release(keys) }, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start.later = append(d.start.later, l)
	return nil, false
}

// startService prepares a claimed service and sends it to finished, together with the claim.
func (d *Deployer) startService(ctx context.Context, l *live, release func(), finished chan<- handover) {
	deployment, err := d.reprepare(ctx, l.service, true)
	if d.interrupted(ctx) != nil {
		d.closeUnpublished(l.service.Key, deployment)
		release()
		return
	}
	p := d.placementAt(l.service.Key)
	fresh := d.newLiveOr(ctx, versionIn{p.service, l.number(), p.generation}, deployment, err)
	finished <- handover{to: fresh, release: release}
}

// versionIn is a version of a service as of a generation.
type versionIn struct {
	service    registry.Service
	number     registry.Number
	generation registry.Generation
}

// newLiveOr returns a live version of deployment, or, if err is not nil, of a refusal that reports err. Other hosts of a placed
// service are asked before it.
func (d *Deployer) newLiveOr(ctx context.Context, v versionIn, deployment services.Deployment, err error) *live {
	service := only(v.service, v.number)
	if err == nil {
		return d.newLive(service, deployment, nil)
	}
	err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	d.log.ErrorContext(ctx, "service is in the catalogue but cannot be served",
		"prefix", service.Key, "digest", d.logged(service.Current), "error", err)
	d.cfg.Events.Unavailable(service.Key, err)
	refuse := refusal{
		kind:   problem.NotReady,
		detail: "this service could not be started; its operator can deploy it anew, roll it back or remove it",
		cause:  err,
		state:  services.StateFailed,
	}
	if others := d.standInFor(v.service, v.generation, refuse, nil); others != nil {
		return d.newLive(service, others, err)
	}
	return d.newLive(service, refuse, err)
}

// reprepare prepares a version of the catalogue. served: see services.Spec.
func (d *Deployer) reprepare(ctx context.Context, service registry.Service, served bool) (services.Deployment, error) {
	if violations := checkKey(service.Key); len(violations) > 0 {
		return nil, invalidSpec(violations)
	}
	spec := d.described(service.Key, service.Current)
	if _, reads := d.kinds[spec.Kind].(services.BlobReader); !served || !reads || layers(service.Current) > 0 {
		var err error
		if spec, err = d.complete(ctx, spec); err != nil {
			return nil, err
		}
	}
	if !d.cfg.FileRules {
		spec.Origin = registry.OriginAPI // without the file, its services are not trusted
	}
	spec.Served = served
	return d.prepare(ctx, patient, spec)
}

// interrupted returns the reason to abort a start, or nil.
func (d *Deployer) interrupted(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	if d.closing.Err() != nil {
		return fmt.Errorf("boot: %w", ErrClosed)
	}
	return nil
}
