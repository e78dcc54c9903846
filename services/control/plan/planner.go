package plan

import (
	"fmt"
	"maps"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Fields of changes.
const (
	fieldPrefix     = "prefix"
	fieldGeneration = "generation"
	fieldVersion    = "version"
	fieldSplit      = "split"
	fieldMirror     = "mirror"
	fieldRecord     = "record"
)

// planner decides the changes of a list.
type planner struct {
	base    Base
	named   map[routekey.Key]bool // prefixes of all changes
	seen    map[routekey.Key]bool // prefixes of the changes decided so far
	records map[string]bool       // names of the records decided so far
	index   int                   // of the change being decided
	next    *registry.State       // a copy of the base's with the changes so far
	plan    Plan
	refusal Refusal
}

func newPlanner(base Base, changes []Change) *planner {
	p := &planner{
		base:    base,
		named:   make(map[routekey.Key]bool),
		seen:    make(map[routekey.Key]bool),
		records: make(map[string]bool),
	}
	for _, c := range changes {
		p.named[c.key()] = true
	}
	p.next = &registry.State{
		Generation: base.State.Generation,
		Services:   make(map[routekey.Key]registry.Service, len(base.State.Services)+len(changes)),
		Records:    base.State.Records,
	}
	maps.Copy(p.next.Services, base.State.Services)
	return p
}

// result returns the plan. A plan without a change has the same Next as Base.
func (p *planner) result() (*Plan, error) {
	if len(p.refusal) > 0 {
		return &Plan{Touched: p.plan.Touched}, p.refusal
	}
	p.plan.Base, p.plan.Next = p.base.State, p.next
	if p.next.Generation == p.base.State.Generation {
		p.plan.Next = p.base.State
	}
	return &p.plan, nil
}

func (p *planner) refuse(field string, err error) {
	p.refusal = append(p.refusal, Violation{Change: p.index, Field: field, Err: err})
}

// unique refuses a second change of a prefix.
func (p *planner) unique(key routekey.Key) bool {
	if p.seen[key] {
		p.refuse(fieldPrefix, fmt.Errorf("%q %w", key, ErrRepeated))
		return false
	}
	p.seen[key] = true
	return true
}

// changeable reports whether a change that does not come from the configuration file may concern the service. It
// touches the service.
func (p *planner) changeable(key routekey.Key) bool {
	if !p.unique(key) {
		return false
	}
	p.touch(key)
	if p.base.FileRules && p.base.State.Services[key].Current.Origin == registry.OriginFile {
		p.refuse(fieldPrefix, ErrDeclared)
		return false
	}
	return true
}

func (p *planner) touch(key routekey.Key) { p.plan.Touched = append(p.plan.Touched, key) }

// serves reports whether the service is served exactly as v, except for the generation.
func (p *planner) serves(key routekey.Key, v registry.Version) bool {
	service, ok := p.base.State.Services[key]
	return ok && !p.base.Failed[key] && service.Current.Origin == v.Origin && service.Current.SameContent(v)
}

// put makes v the current version of a service.
func (p *planner) put(key routekey.Key, v registry.Version) {
	before, replaces := p.base.State.Services[key]
	p.next.Generation++
	v.Deployed, v.Generation = p.base.Now, p.next.Generation
	service := before.With(key, v)
	p.next.Services[key] = service
	p.plan.Prepare = append(p.plan.Prepare, Step{
		Change:  p.index,
		Before:  before.Current,
		Created: !replaces,
		Service: service,
		Fresh:   []registry.Number{service.Current.Number},
	})
}

func (p *planner) remove(key routekey.Key) {
	p.next.Generation++
	delete(p.next.Services, key)
	p.plan.Remove = append(p.plan.Remove, key)
}
