package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/plan"
)

// FieldSmoke is the field of violations of smoke requests.
const FieldSmoke = "smoke"

// ErrSmoke is the cause of a problem if a new version failed its smoke requests.
var ErrSmoke = errors.New("smoke requests failed")

// How configures a deploy. With the zero How, the version gets all requests at once.
type How struct {
	Rollout plan.Rollout
	Smoke   []Smoke // requests that the version answers before it is published
	DryRun  bool    // do everything but the change: check, compile and send the smoke requests
}

// Deploy is like Change, in the way of how. The result of a dry run is that of the deploy, but for the generation and the
// number of the version, which another change may take first.
func (d *Deployer) Deploy(
	ctx context.Context, key routekey.Key, how How, build func(registry.Service) (services.Spec, error),
) (result Result, err error) {
	results, err := d.transact(ctx, &transaction{
		claimed: []routekey.Key{key},
		smoke:   map[routekey.Key][]Smoke{key: how.Smoke},
		dryRun:  how.DryRun,
		build: func(s *registry.State) (changes, error) {
			spec, err := build(s.Services[key])
			if err == nil {
				err = d.checkMirror(spec.Kind, how)
			}
			if err != nil {
				return changes{}, err
			}
			put, err := d.put(ctx, spec)
			for i, c := range put.list {
				own := c.(plan.Put)
				own.Rollout = how.Rollout
				put.list[i] = own
			}
			return put, err
		},
	})
	if len(results) > 0 {
		result = results[0]
	}
	return result, first(err)
}

// Check reports the errors of a deploy, as far as they are known without its modules: a client can ask before it builds or
// uploads these. It changes nothing and waits for nothing.
func (d *Deployer) Check(
	ctx context.Context, key routekey.Key, how How, build func(registry.Service) (services.Spec, error),
) error {
	if d.cfg.ReadOnly != nil {
		return d.cfg.ReadOnly
	}
	if err := d.checkPhase(phaseServing); err != nil {
		return err
	}
	base := d.base()
	spec, err := build(base.State.Services[key])
	if err == nil {
		err = d.checkMirror(spec.Kind, how)
	}
	if err == nil {
		err = d.ValidateFields(spec)
	}
	if err != nil {
		return err
	}
	p, err := planOf(base, []plan.Change{plan.Put{Key: key, Version: versionOf(spec), Rollout: how.Rollout}})
	if err != nil {
		return first(err)
	}
	return permitted(ctx, &transaction{plan: p})
}

// checkMirror returns a problem if the version is to be a mirror and those of its kind cannot be.
func (d *Deployer) checkMirror(kind string, how How) error {
	if how.Rollout.Mirror.Weight == 0 {
		return nil
	}
	if _, inert := d.kinds[kind].(services.Inert); inert && d.cfg.Mirrors != nil {
		return nil
	}
	return invalidSpec([]problem.Violation{problem.Violate("mirror", "is given for a service of the kind %s, whose requests have effects outside of this server: only modules that serve HTTP, static files and redirects can be mirrors", kind)})
}

// Split divides the requests of a service among its versions. A split with one arm makes that version the current one.
func (d *Deployer) Split(ctx context.Context, key routekey.Key, split registry.Split) (Result, error) {
	return d.changeTraffic(ctx, key, plan.Split{Key: key, Split: split})
}

// Conclude ends the running canary of a service. It fails if that is another one by now.
func (d *Deployer) Conclude(ctx context.Context, key routekey.Key, canary registry.Canary, promote bool, reason string) error {
	_, err := d.changeTraffic(ctx, key, plan.Conclude{Key: key, Number: canary.Number, Began: canary.Began, Promote: promote, Reason: reason})
	return err
}

func (d *Deployer) changeTraffic(ctx context.Context, key routekey.Key, change plan.Change) (Result, error) {
	c := changes{list: []plan.Change{change}}
	return d.changeOne(ctx, key, func(registry.Service) (changes, error) { return c, nil })
}

// smokeOf returns the smoke requests of services.
func smokeOf(hows map[routekey.Key]How) map[routekey.Key][]Smoke {
	all := make(map[routekey.Key][]Smoke)
	for key, how := range hows {
		all[key] = how.Smoke
	}
	return all
}

// smokeAll sends the smoke requests of a transaction to its new versions.
func (d *Deployer) smokeAll(ctx context.Context, t *transaction) error {
	for _, step := range t.plan.Prepare {
		for _, n := range step.Fresh {
			key := step.Service.Key
			p := t.prepared[versionKey{key, n}]
			if p == nil || p.smoked || p.deployment == nil {
				continue
			}
			if err := d.smoke(ctx, p.service, p.deployment, t.smoke[key]); err != nil {
				return err
			}
			p.smoked = true
		}
	}
	return nil
}

// rehearsed returns the results of a transaction that is not carried out.
func (d *Deployer) rehearsed(t *transaction) (results []Result) {
	for _, step := range t.plan.Prepare {
		result := resultOf(step)
		result.DryRun = true
		if p := t.prepared[versionKey{step.Service.Key, step.Service.Current.Number}]; p != nil && p.deployment != nil {
			result.Status = p.deployment.Status()
		} else if l := d.liveAt(step.Service.Key); l != nil {
			result.Status = l.deployment.Status()
		}
		results = append(results, result)
	}
	return results
}

// resultOf returns the result of a step, without the status.
func resultOf(step plan.Step) Result {
	return Result{
		Created:      step.Created,
		RolledBackTo: step.RolledBackTo,
		Before:       step.Before,
		Service:      step.Service,
		Staged:       step.Staged,
	}
}

// Canaries returns the services with a running canary, with their live state. Those that other hosts alone serve are judged there.
func (d *Deployer) Canaries() (all []Entry) {
	for _, p := range d.placements() {
		if p.service.Canary.Running() && !p.away() {
			all = append(all, d.entry(p))
		}
	}
	return all
}

// trafficLog returns the fields of the log about the traffic of a service. A canary that had ended before is left out: s keeps it
// until the next one.
func trafficLog(before, s registry.Service) (fields []any) {
	if len(s.Split.Arms) > 0 {
		text := ""
		for _, arm := range s.Split.Arms {
			text += fmt.Sprintf(" %d=%g%%", arm.Number, float64(arm.Weight)/10)
		}
		fields = append(fields, "split", text[1:])
	}
	if s.Mirror.Number != 0 {
		fields = append(fields, "mirror", fmt.Sprintf("%d=%g%%", s.Mirror.Number, float64(s.Mirror.Weight)/10))
	}
	if c := s.Canary; c.Number != 0 && (c.Running() || c != before.Canary) {
		fields = append(fields, "canary", c.State, "canary_version", c.Number)
		if c.Running() {
			fields = append(fields, "canary_ends", c.Ends.Format(time.RFC3339))
		} else {
			fields = append(fields, "canary_reason", c.Reason)
		}
	}
	return fields
}

// trafficProblem returns the problem of a refused change of the traffic, or nil.
func trafficProblem(v plan.Violation) error {
	switch {
	case errors.Is(v.Err, plan.ErrNoCanary):
		return problem.New(problem.Conflict, "this canary has ended, or another one is running").WithCause(v.Err)
	case errors.Is(v.Err, plan.ErrServes):
		return problem.New(problem.Conflict, "the version of the mirror has a share of the requests: choose another one, or end its share").WithCause(v.Err)
	}
	return nil
}
