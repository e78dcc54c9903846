package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/plan"
)

// maxPlans is the number of times that a transaction is planned before it is refused. It is planned again if
// another writer has changed the catalogue in between.
const maxPlans = 8

// changes is a list of changes, with the specs of the new versions by their prefixes. The specs are identified.
// Other versions are in the catalogue.
type changes struct {
	list  []plan.Change
	specs map[routekey.Key]services.Spec
}

// transaction is a list of changes in progress. It is confined to one goroutine.
type transaction struct {
	patience patience
	file     bool // of the configuration file; else of the management API
	dryRun   bool // nothing is committed
	smoke    map[routekey.Key][]Smoke
	// build returns the changes, given a state in which the claimed services do not change.
	build func(*registry.State) (changes, error)

	claimed  []routekey.Key
	unclaim  func() // nil while nothing is claimed
	changes  changes
	plan     *plan.Plan
	prepared map[versionKey]*prepared
	audited  func(error) // receives the outcome; nil before it was planned
}

// transact carries a transaction out. On an error nothing has changed. It is an *ApplyError if it concerns
// single changes.
func (d *Deployer) transact(ctx context.Context, t *transaction) (results []Result, err error) {
	if d.cfg.ReadOnly != nil {
		return nil, d.cfg.ReadOnly
	}
	end, err := d.begin(phaseServing)
	if err != nil {
		return nil, err
	}
	defer end()
	defer func() { d.end(t, err) }()
	for range maxPlans {
		if err = d.planClaimed(ctx, t); err == nil {
			err = permitted(ctx, t)
		}
		if err == nil && t.audited == nil && !t.dryRun {
			t.audited, err = d.audit(ctx, t)
		}
		if err != nil {
			return nil, err
		}
		if err = d.prepareDifference(ctx, t); err != nil {
			return nil, err
		}
		if err = d.smokeAll(ctx, t); err != nil {
			return nil, err
		}
		if t.dryRun {
			return d.rehearsed(t), nil
		}
		if results, err = d.commit(ctx, t); !errors.Is(err, registry.ErrStale) {
			return results, err
		}
	}
	return nil, problem.New(problem.Conflict, "others have changed the catalogue again and again meanwhile; nothing was changed, try again").WithCause(err)
}

// planClaimed plans the transaction while all services that it touches are claimed.
func (d *Deployer) planClaimed(ctx context.Context, t *transaction) (err error) {
	for {
		if t.unclaim == nil {
			if t.unclaim, err = d.claim(ctx, t.patience, t.claimed...); err != nil {
				return err
			}
		}
		base := d.base()
		if t.changes, err = t.build(base.State); err != nil {
			return err
		}
		t.plan, err = planOf(base, t.changes.list)
		unclaimed := without(t.plan.Touched, t.claimed)
		if len(unclaimed) == 0 {
			return err
		}
		// Another transaction may hold those. All are claimed at once, so that two cannot deadlock.
		t.unclaim()
		t.claimed, t.unclaim = append(t.claimed, unclaimed...), nil
	}
}

// without returns the elements of all that are not in others.
func without(all, others []routekey.Key) []routekey.Key {
	known := make(map[routekey.Key]bool, len(others))
	for _, p := range others {
		known[p] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(p routekey.Key) bool { return known[p] })
}

// base returns the base of a plan that is made now.
func (d *Deployer) base() plan.Base {
	state := d.cfg.Registry.State()
	failed := make(map[routekey.Key]bool)
	d.mu.Lock()
	defer d.mu.Unlock()
	for key := range state.Services {
		_, behind := d.behind[key]
		if p := d.live[key]; behind || p == nil || slices.ContainsFunc(p.all, func(l *live) bool { return l.problem != nil }) {
			failed[key] = true
		}
	}
	return plan.Base{State: state, Failed: failed, FileRules: d.cfg.FileRules, Now: time.Now()}
}

// planOf plans a list of changes. A refusal becomes an *ApplyError.
func planOf(base plan.Base, list []plan.Change) (*plan.Plan, error) {
	p, err := plan.Make(base, list)
	var refusal plan.Refusal
	if !errors.As(err, &refusal) {
		return p, err
	}
	failed := failures{}
	for _, v := range refusal {
		failed[v.Change] = violation(v)
	}
	return p, failed.err()
}

// end releases everything that t holds, except the deployments that are published.
func (d *Deployer) end(t *transaction, err error) {
	stored := false
	for _, p := range t.prepared {
		stored = stored || p.release != nil
		d.abandon(p)
	}
	if t.unclaim != nil {
		t.unclaim()
	}
	if t.audited != nil {
		t.audited(err)
	}
	if stored && err != nil { // else failing deploys fill the disk with their blobs
		d.retiring.Go(d.collectGarbage)
	}
}

// commit commits the prepared plan and publishes it. Its error matches ErrStale if t has to be planned again.
func (d *Deployer) commit(ctx context.Context, t *transaction) (results []Result, err error) {
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	p, err := planOf(d.base(), t.changes.list)
	if err != nil || !p.Equivalent(t.plan) {
		return nil, registry.ErrStale // only another writer changes claimed services
	}
	if p.Next == p.Base && d.applied.Load() {
		return nil, nil
	}
	placed, fresh, err := d.placeSteps(t, p)
	if err == nil {
		err = d.switchTo(ctx, t, p, placed, fresh)
	}
	if err != nil {
		for _, l := range fresh {
			d.dropLimiter(l)
		}
		return nil, err
	}
	for _, p := range t.prepared {
		if p.used {
			p.deployment = nil // it is not t's any more
		}
	}
	return d.report(t, p, placed), nil
}

// placeSteps returns the placements after the steps of a plan, and the new versions among them.
func (d *Deployer) placeSteps(t *transaction, p *plan.Plan) (placed []*placement, fresh []*live, err error) {
	for _, own := range t.prepared {
		own.used = false
	}
	for _, step := range p.Prepare {
		key := step.Service.Key
		served := d.placementAt(key)
		if !d.holdsAll(t, step.Service) {
			all := d.awayFrom(step.Service, p.Next.Generation, true)
			fresh, placed = append(fresh, all...), append(placed, d.place(step.Service, all, p.Next.Generation))
			continue
		}
		var all []*live
		for _, n := range step.Service.Live() {
			l := served.at(n)
			if own := t.prepared[versionKey{key, n}]; own != nil {
				l = d.newLive(only(step.Service, n), own.deployment, nil)
				own.used = true
				fresh = append(fresh, l)
			} else if l == nil {
				return nil, fresh, fmt.Errorf("deploy: version %d of %s is not served", n, key)
			}
			all = append(all, l)
		}
		placed = append(placed, d.place(step.Service, all, p.Next.Generation))
	}
	return placed, fresh, nil
}

// holdsAll reports whether this host is to serve a service itself, and has all its versions. Those that it has not served
// before come by the next Adopt.
func (d *Deployer) holdsAll(t *transaction, s registry.Service) bool {
	if !d.holds(s) {
		return false
	}
	served := d.placementAt(s.Key)
	return !slices.ContainsFunc(s.Live(), func(n registry.Number) bool {
		l := served.at(n)
		own := t.prepared[versionKey{s.Key, n}]
		return (own == nil || own.deployment == nil) && l != nil && l.away
	})
}

// switchTo makes p the current state of catalogue and table.
func (d *Deployer) switchTo(ctx context.Context, t *transaction, p *plan.Plan, placed []*placement, fresh []*live) error {
	if len(placed)+len(p.Remove) == 0 && !t.file { // records alone: the table stays
		if err := d.cfg.Registry.Commit(ctx, p.Base, p.Next); err != nil {
			return asProblem("store the change", err)
		}
		return nil
	}
	all := d.with(placed, p.Remove)
	if err := checkNeighbours(fresh, versionsOf(all)); err != nil {
		return asProblem("route to the service", err)
	}
	table, err := d.buildTable(all)
	if err != nil {
		return asProblem("route to the service", err)
	}
	if p.Next != p.Base {
		if err := d.cfg.Registry.Commit(ctx, p.Base, p.Next); err != nil {
			return asProblem("store the change", err)
		}
	}
	// The point of no return: nothing from here on can fail.
	if t.file {
		table = table.Complete()
	}
	d.publishLocked(table, placed, p.Remove)
	if t.file {
		d.applied.Store(true) // now the server is ready: not before its table, which takes a while with many services
	}
	return nil
}

// report reports the changes of a published plan.
func (d *Deployer) report(t *transaction, p *plan.Plan, placed []*placement) (results []Result) {
	var origin []any
	if t.file {
		origin = []any{"origin", registry.OriginFile}
	}
	for i, step := range p.Prepare {
		result := resultOf(step)
		result.Status = placed[i].all[0].deployment.Status()
		results = append(results, result)
		what, current := "service deployed", step.Service.Current
		if current.Generation == step.Before.Generation {
			what = "traffic of the service changed"
		}
		fields := append([]any{"prefix", step.Service.Key, "digest", d.logged(current), "generation", current.Generation, "created", step.Created}, origin...)
		d.log.Info(what, append(append(fields, "version", current.Number), trafficLog(p.Base.Services[step.Service.Key], step.Service)...)...)
		d.cfg.Events.Deployed(result)
	}
	for _, key := range p.Remove {
		d.log.Info("service removed", append([]any{"prefix", key, "generation", p.Next.Generation}, origin...)...)
		d.cfg.Events.Removed(key)
	}
	return results
}
