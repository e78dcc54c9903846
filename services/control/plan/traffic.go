package plan

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Causes of violations of changes of the traffic.
var (
	// ErrNoCanary is the cause if the canary to conclude is not running.
	ErrNoCanary = errors.New("there is no such canary")
	// ErrServes is the cause if the version of a mirror has a share of the requests.
	ErrServes = errors.New("this version serves requests already")
)

// Rollout describes how a new version gets its requests. With the zero value, it gets all of them at once.
type Rollout struct {
	Weight int           // share of the new version, of registry.Whole; 0: all
	For    time.Duration // how long it is on trial; 0: without a trial, until the split is changed
	Rules  registry.CanaryRules
	Sticky registry.Sticky
	Mirror registry.Mirror // instead of a share: the new version gets copies. Its Number is set by the plan
}

// gradual reports whether the current version keeps requests.
func (r Rollout) gradual() bool { return r.Weight != 0 || r.Mirror.Weight != 0 }

// Split divides the requests of a service among its versions.
type Split struct {
	Key   routekey.Key
	Split registry.Split // its weights add up to registry.Whole; with one arm, that version gets all
}

// Conclude ends a canary, also of a service of the configuration file: the server decides.
type Conclude struct {
	Key     routekey.Key
	Number  registry.Number // of the version on trial
	Began   time.Time       // of the canary
	Promote bool            // else roll back
	Reason  string
}

func (c Split) key() routekey.Key    { return c.Key }
func (c Conclude) key() routekey.Key { return c.Key }

func (c Split) decide(p *planner) {
	service, ok := p.changeableService(c.Key)
	if !ok {
		return
	}
	next, err := service.WithSplit(c.Split, p.next.Generation+1, p.base.Now)
	if err != nil {
		p.refuse(fieldSplit, err)
		return
	}
	p.divide(next)
}

func (c Conclude) decide(p *planner) {
	if !p.unique(c.Key) {
		return
	}
	p.touch(c.Key)
	service := p.base.State.Services[c.Key]
	if canary := service.Canary; !canary.Running() || canary.Number != c.Number || !canary.Began.Equal(c.Began) {
		p.refuse(fieldPrefix, ErrNoCanary)
		return
	}
	winner, state := service.Canary.Against, registry.CanaryRolledBack
	if c.Promote {
		winner, state = service.Canary.Number, registry.CanaryPromoted
	}
	canary := service.Canary.End(state, c.Reason, p.base.Now)
	next, err := service.WithSplit(registry.Split{Arms: []registry.Arm{{Number: winner, Weight: registry.Whole}}}, p.next.Generation+1, p.base.Now)
	if err != nil {
		p.refuse(fieldPrefix, err)
		return
	}
	next.Canary = canary
	p.divide(next)
}

// changeableService returns the service that a change concerns. It refuses the change if there is none.
func (p *planner) changeableService(key routekey.Key) (service registry.Service, ok bool) {
	if !p.changeable(key) {
		return service, false
	}
	if service, ok = p.base.State.Services[key]; !ok {
		p.refuse(fieldPrefix, fmt.Errorf("%w: %s", registry.ErrNotFound, key))
	}
	return service, ok
}

// deploy makes v the current version of a service, or one of several.
func (p *planner) deploy(key routekey.Key, v registry.Version, r Rollout) {
	service, ok := p.base.State.Services[key]
	if !ok || !r.gradual() || service.Current.SameContent(v) {
		p.put(key, v)
		return
	}
	v.Deployed, v.Generation = p.base.Now, p.next.Generation+1
	current := service.Current.Number
	next, staged := service.Staging(v)
	next.Canary = next.Canary.End(registry.CanaryEnded, fmt.Sprintf("version %d was deployed", staged.Number), p.base.Now)
	next.Mirror = registry.Mirror{}
	if r.Weight == 0 {
		next.Mirror = r.Mirror
		next.Mirror.Number = staged.Number
		if next.Weight(staged.Number) > 0 {
			p.refuse(fieldMirror, fmt.Errorf("%w: %d", ErrServes, staged.Number))
			return
		}
	} else {
		next.Split = registry.Split{Arms: []registry.Arm{{Number: current, Weight: registry.Whole - r.Weight}, {Number: staged.Number, Weight: r.Weight}}, Sticky: r.Sticky}
		slices.SortFunc(next.Split.Arms, func(a, b registry.Arm) int { return int(a.Number) - int(b.Number) })
	}
	if r.Weight != 0 && r.For > 0 {
		next.Canary = registry.Canary{
			Number:  staged.Number,
			Against: current,
			Weight:  r.Weight,
			State:   registry.CanaryRunning,
			Began:   p.base.Now.UTC().Round(0),
			Ends:    p.base.Now.Add(r.For).UTC().Round(0),
			Rules:   r.Rules,
		}
	}
	p.divide(next, staged.Number)
	p.plan.Prepare[len(p.plan.Prepare)-1].Staged = staged.Number
}

// divide makes service the next state of a service that exists. Versions that get requests and did not before are prepared, as
// are those of again.
func (p *planner) divide(service registry.Service, again ...registry.Number) {
	p.next.Generation++
	service = service.Trimmed()
	before := p.base.State.Services[service.Key]
	p.next.Services[service.Key] = service
	step := Step{Change: p.index, Before: before.Current, Service: service}
	served := before.Live()
	for _, n := range service.Live() {
		if p.base.Failed[service.Key] || slices.Contains(again, n) || !slices.Contains(served, n) {
			step.Fresh = append(step.Fresh, n)
		}
	}
	p.plan.Prepare = append(p.plan.Prepare, step)
}

// endTrial ends the trial of a version that was never current: the current version gets all requests. A rollback without a
// version means this during a canary.
func (p *planner) endTrial(key routekey.Key) bool {
	service, ok := p.base.State.Services[key]
	trial := slices.ContainsFunc(service.Live(), func(n registry.Number) bool {
		v, _ := service.Numbered(n)
		return v.Staged
	})
	if !ok || !trial {
		return false
	}
	service.Canary = service.Canary.End(registry.CanaryRolledBack, "by request", p.base.Now)
	service.Split, service.Mirror = registry.Split{}, registry.Mirror{}
	p.divide(service)
	return true
}

// tried reports whether a declared version is on trial, has its declared share, or was rolled back after its trial. The file is
// applied again and again: it must not begin the same trial twice.
func (p *planner) tried(key routekey.Key, v registry.Version, r Rollout) bool {
	service, ok := p.base.State.Services[key]
	if !ok || !r.gradual() || p.base.Failed[key] || service.Current.Origin != registry.OriginFile {
		return false
	}
	for _, have := range service.History {
		if !have.SameContent(v) {
			continue
		}
		switch canary := service.Canary; {
		case r.Mirror.Weight != 0:
			return service.Mirror.Number == have.Number && service.Mirror.Weight == r.Mirror.Weight
		case r.For == 0:
			return service.Weight(have.Number) == r.Weight && service.Split.Sticky == r.Sticky
		default:
			return canary.Number == have.Number && (canary.Running() || canary.State == registry.CanaryRolledBack)
		}
	}
	return false
}
