package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
)

// Adoption is a state of the catalogue that was decided elsewhere.
type Adoption struct {
	State *registry.State
	// Partial adopts the other services if blobs are missing or corrupt. A service that is served already stays as it is.
	// Without Partial, such a blob is the error of the adoption.
	Partial bool
	// Retry prepares unavailable services again, also if the state leaves them unchanged.
	Retry bool
	// Place is called once, before the first version with guests is prepared. release is called when all versions are
	// prepared. Without ok, services with such versions are postponed: they stay as they are. Nil: all are prepared.
	Place func(context.Context) (release func(), ok bool)
}

// Adopted describes the outcome of an Adopt.
type Adopted struct {
	State    *registry.State // that is served now: the adopted one, or a newer one of the registry
	Deployed []Result        // services that have changed
	Removed  []routekey.Key
	// Unavailable are the services of the state that this host cannot serve, or serves in an earlier state, sorted by their
	// text.
	Unavailable []routekey.Key
	Postponed   bool // some services have to be adopted again, with a place
}

// adopted is a version of an adoption, prepared or refused.
type adopted struct {
	versionKey
	service    registry.Service // with this version alone
	deployment services.Deployment
	err        error // why the version is unavailable
	absent     bool  // its blobs cannot be had at present
	postponed  bool  // there was no place to prepare it
}

// adoption is an Adopt in progress. It is confined to one goroutine, except for holds.
type adoption struct {
	Adoption
	target  *registry.State
	changed []registry.Service    // differ from the served ones
	away    map[routekey.Key]bool // of changed, those that other hosts serve
	removed []routekey.Key
	fresh   map[versionKey]*adopted
	unclaim func()

	placing   sync.Once
	leave     func()      // set within placing: releases the place
	postponed atomic.Bool // set within placing: there is no place

	mu    sync.Mutex
	holds []func() // guarded by mu: release blobs
}

// Adopt makes the served services equal to a state that was decided elsewhere, such as on another host. It holds, and
// thereby fetches, the blobs of the versions that are not served yet, prepares these versions, commits the state unless
// the store has it already, and publishes it. A state that is older than the registry's is replaced by that one.
//
// A version that cannot be prepared is unavailable, as at the start: it does not stop the others. A service that serves
// goes on as it is while blobs of its new versions are missing. On an error nothing has changed. ctx is ignored after the
// commit. Adopt asks no Permit and no Auditor: the change was made elsewhere.
func (d *Deployer) Adopt(ctx context.Context, a Adoption) (Adopted, error) {
	end, err := d.begin(phaseServing)
	if err != nil {
		return Adopted{}, err
	}
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.closing, cancel)()
	ad := &adoption{Adoption: a}
	defer d.endAdoption(ad)
	if err := d.claimAdopted(ctx, ad); err != nil {
		return Adopted{}, err
	}
	if err := d.prepareAdopted(ctx, ad); err != nil {
		return Adopted{}, err
	}
	return d.publishAdopted(ctx, ad)
}

// claimAdopted claims the services that the state changes.
func (d *Deployer) claimAdopted(ctx context.Context, ad *adoption) (err error) {
	var claimed []routekey.Key
	for {
		if ad.unclaim, err = d.claim(ctx, patient, claimed...); err != nil {
			return err
		}
		// A claimed service does not change. One that has changed before is in the registry's state.
		ad.target = ad.State
		if own := d.cfg.Registry.State(); own.Generation >= ad.target.Generation {
			ad.target = own
		}
		touched := d.compare(ad)
		unclaimed := without(touched, claimed)
		if len(unclaimed) == 0 {
			return nil
		}
		ad.unclaim()
		claimed, ad.unclaim = append(claimed, unclaimed...), nil
	}
}

// compare sets what differs between the target and the served services, and returns the keys of those.
func (d *Deployer) compare(ad *adoption) (touched []routekey.Key) {
	ad.changed, ad.removed, ad.fresh, ad.away = nil, nil, make(map[versionKey]*adopted), make(map[routekey.Key]bool)
	d.mu.Lock()
	all, behind := maps.Clone(d.live), maps.Clone(d.behind)
	d.mu.Unlock()
	for key, service := range ad.target.Services {
		served := all[key]
		away := !d.holds(service) || served.ahead(ad.target.Generation)
		moves := served != nil && served.away() != away
		if tried, ok := behind[key]; ok && tried.Equal(service) && !ad.Retry && !moves {
			continue
		}
		if served != nil && served.service.Equal(service) && !(ad.Retry && served.failed()) && !moves {
			continue
		}
		ad.changed = append(ad.changed, service)
		if away {
			ad.away[key] = true
			continue
		}
		for _, n := range service.Live() {
			if own := only(service, n); !ad.keeps(served.at(n), served, own.Current) {
				id := versionKey{key, n}
				ad.fresh[id] = &adopted{versionKey: id, service: own}
			}
		}
	}
	for key := range all {
		if _, ok := ad.target.Services[key]; !ok {
			ad.removed = append(ad.removed, key)
		}
	}
	slices.SortFunc(ad.changed, func(a, b registry.Service) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	touched = slices.Clone(ad.removed)
	for _, service := range ad.changed {
		touched = append(touched, service.Key)
	}
	return touched
}

// keeps reports whether a live version goes on as the version v of the target. A current version that was deployed again
// has a new generation and gets new instances; another arm that became current has one too, and goes on.
func (ad *adoption) keeps(l *live, served *placement, v registry.Version) bool {
	if l == nil || l.away || ad.Retry && l.problem != nil {
		return false
	}
	own := l.service.Current
	again := own.Generation != v.Generation && own.Number == served.service.Current.Number
	return !again && own.Origin == v.Origin && own.SameContent(v)
}

// failed reports whether a version of the service is unavailable.
func (p *placement) failed() bool {
	return slices.ContainsFunc(p.all, func(l *live) bool { return l.problem != nil })
}

// refuses reports whether a version is live and unavailable. own is the service with this version alone.
func (p *placement) refuses(own registry.Service) bool {
	l := p.at(own.Current.Number)
	return l != nil && l.problem != nil && l.service.Current.Equal(own.Current)
}

// prepareAdopted holds the blobs of all fresh versions and prepares them, in parallel. The error is one that other
// versions would have too.
func (d *Deployer) prepareAdopted(ctx context.Context, ad *adoption) error {
	if err := d.holdRecords(ctx, ad); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	turn := make(chan struct{}, 2*d.cfg.PrepareParallel) // as in prepareAll
	for _, p := range ad.inOrder() {
		turn <- struct{}{}
		running.Go(func() {
			defer func() { <-turn }()
			if err := d.adoptVersion(ctx, ad, p); err != nil {
				cancel(err) // the others would be in vain
			}
		})
	}
	running.Wait()
	if ad.leave != nil {
		ad.leave()
	}
	return context.Cause(ctx)
}

// needsPlace reports whether a version is prepared with a place alone.
func (d *Deployer) needsPlace(ad *adoption, v registry.Version) bool {
	_, guestless := d.cfg.Admission[v.Kind]
	return ad.Place != nil && !guestless
}

// takePlace takes the place of the adoption, and reports whether there is one.
func (ad *adoption) takePlace(ctx context.Context) bool {
	ad.placing.Do(func() {
		leave, ok := ad.Place(ctx)
		if ad.postponed.Store(!ok); ok {
			ad.leave = leave
		}
	})
	return !ad.postponed.Load()
}

// inOrder returns the fresh versions in the order of the catalogue: of two that exclude each other, the same one is
// prepared first on each host.
func (ad *adoption) inOrder() (all []*adopted) {
	for _, service := range ad.changed {
		for _, n := range service.Live() {
			if p := ad.fresh[versionKey{service.Key, n}]; p != nil {
				all = append(all, p)
			}
		}
	}
	return all
}

// adoptVersion prepares one version. A version that this host cannot serve is no error.
func (d *Deployer) adoptVersion(ctx context.Context, ad *adoption, p *adopted) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	places := d.needsPlace(ad, p.service.Current)
	if places && ad.postponed.Load() {
		p.postponed = true
		return nil
	}
	for _, b := range p.service.Current.Blobs {
		err := d.holdAdopted(ctx, ad, b.Digest)
		if unusable(err) && ad.Partial {
			p.err, p.absent = asProblem("read the modules of the version", err), true
			return nil
		}
		if err != nil {
			return fmt.Errorf("service %s: %w", p.key, err)
		}
	}
	if places && !ad.takePlace(ctx) {
		p.postponed = true
		return nil
	}
	p.deployment, p.err = d.reprepare(ctx, p.service, false)
	if p.err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// unusable reports whether a blob is known to be missing or corrupt.
func unusable(err error) bool {
	return errors.Is(err, registry.ErrBlobMissing) || errors.Is(err, registry.ErrBlobCorrupt)
}

// holdRecords holds the blobs of records that the registry's state does not have.
func (d *Deployer) holdRecords(ctx context.Context, ad *adoption) error {
	own := d.cfg.Registry.State().Records
	for name, record := range ad.target.Records {
		for _, digest := range record.Blobs {
			if slices.Contains(own[name].Blobs, digest) {
				continue
			}
			if err := d.holdAdopted(ctx, ad, digest); err != nil && !(unusable(err) && ad.Partial) {
				return fmt.Errorf("record %s: %w", name, err)
			}
		}
	}
	return nil
}

// holdAdopted holds a blob until the end of the adoption.
func (d *Deployer) holdAdopted(ctx context.Context, ad *adoption, digest registry.Digest) error {
	release, err := d.cfg.Registry.HoldBlob(ctx, digest)
	if err != nil {
		return err
	}
	ad.mu.Lock()
	defer ad.mu.Unlock()
	ad.holds = append(ad.holds, release)
	return nil
}

// endAdoption releases everything that ad holds, except the deployments that are published.
func (d *Deployer) endAdoption(ad *adoption) {
	for _, p := range ad.fresh {
		d.closeUnpublished(p.key, p.deployment)
	}
	for _, release := range ad.holds {
		release()
	}
	if ad.unclaim != nil {
		ad.unclaim()
	}
}

// publishAdopted commits the target and publishes it.
func (d *Deployer) publishAdopted(ctx context.Context, ad *adoption) (Adopted, error) {
	unlock, err := d.lock(ctx)
	if err != nil {
		return Adopted{}, err
	}
	defer unlock()
	postponed := d.takePostponed(ad)
	behind := d.takeBehind(ad)
	placed, fresh := d.placeAdopted(ctx, ad)
	same := len(placed)+len(ad.removed) == 0 && d.applied.Load()
	var table *router.Table
	if !same {
		table, err = d.buildTable(d.with(placed, ad.removed))
	}
	if err == nil {
		err = d.cfg.Registry.Adopt(ctx, ad.target)
	}
	if err != nil {
		for _, l := range fresh {
			d.dropLimiter(l)
		}
		return Adopted{}, err
	}
	// The point of no return: nothing from here on can fail.
	for _, p := range ad.fresh {
		p.deployment = nil // it is not ad's any more
	}
	d.setBehind(behind)
	results := d.resultsOf(placed)
	if !same {
		if !d.applied.Swap(true) {
			table = table.Complete()
		}
		d.publishLocked(table, placed, ad.removed)
		d.reportAdopted(ad, results)
	}
	if !postponed { // else some services are those of an earlier state
		d.mu.Lock()
		d.reached = ad.target.Generation
		d.mu.Unlock()
	}
	return Adopted{State: ad.target, Deployed: results, Removed: ad.removed, Unavailable: d.unavailable(), Postponed: postponed}, nil
}

// placeAdopted returns the placements of the changed services, and the new versions among them. A version that cannot be
// prepared, or be beside the others, is a refusal.
func (d *Deployer) placeAdopted(ctx context.Context, ad *adoption) (placed []*placement, fresh []*live) {
	gone := make(map[routekey.Key]bool)
	for _, key := range ad.removed {
		gone[key] = true
	}
	for _, service := range ad.changed {
		gone[service.Key] = true
	}
	beside := versionsOf(slices.DeleteFunc(d.placements(), func(p *placement) bool { return gone[p.service.Key] }))
	for _, service := range ad.changed {
		served := d.placementAt(service.Key)
		if served.ahead(ad.target.Generation) { // it may be so since it was compared
			d.dropFresh(ad, service)
			ad.away[service.Key] = true
		}
		if ad.away[service.Key] {
			all := d.awayFrom(service, ad.target.Generation, false)
			fresh, beside = append(fresh, all...), append(beside, all...)
			placed = append(placed, d.place(service, all, ad.target.Generation))
			continue
		}
		var all []*live
		for _, n := range service.Live() {
			l := served.at(n)
			if p := ad.fresh[versionKey{service.Key, n}]; p != nil && !(p.err != nil && served.refuses(p.service)) {
				l = d.liveAdopted(ctx, p, versionIn{service, n, ad.target.Generation}, beside)
				fresh = append(fresh, l)
			}
			all, beside = append(all, l), append(beside, l)
		}
		if served == nil || !served.service.Equal(service) || !slices.Equal(served.all, all) {
			placed = append(placed, d.place(service, all, ad.target.Generation))
		}
	}
	return placed, fresh
}
