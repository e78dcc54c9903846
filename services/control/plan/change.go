package plan

import (
	"errors"
	"fmt"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Change is one of Put, Rollback, Remove, Declare, Prune, Split, Conclude, Record and Require.
type Change interface {
	key() routekey.Key // empty for Prune, Record and Require
	decide(*planner)
}

// Put deploys a version, also if the current one has the same content.
type Put struct {
	Key     routekey.Key
	Version registry.Version // the plan sets Generation and Deployed
	Rollout Rollout
}

// Rollback deploys an earlier version again, on behalf of the management API: a version from the configuration
// file loses that origin.
type Rollback struct {
	Key        routekey.Key
	Generation registry.Generation // in the history; zero: the version before the current one
	Number     registry.Number     // in the history; used if it is not zero
}

// Remove removes a service and its history.
type Remove struct {
	Key routekey.Key
}

// Declare deploys a version of the configuration file, unless exactly this version is served already.
type Declare struct {
	Key     routekey.Key
	Version registry.Version // the plan sets Generation, Deployed and Origin
	Rollout Rollout
}

// Prune removes the services of the configuration file that no other change of the list concerns. With it, a list
// of declarations becomes the set of services of the file.
type Prune struct{}

func (c Put) key() routekey.Key      { return c.Key }
func (c Rollback) key() routekey.Key { return c.Key }
func (c Remove) key() routekey.Key   { return c.Key }
func (c Declare) key() routekey.Key  { return c.Key }
func (Prune) key() routekey.Key      { return routekey.Key{} }

func (c Put) decide(p *planner) {
	if p.changeable(c.Key) {
		p.deploy(c.Key, c.Version, c.Rollout)
	}
}

func (c Rollback) decide(p *planner) {
	if !p.changeable(c.Key) {
		return
	}
	if c.Generation == 0 && c.Number == 0 && p.endTrial(c.Key) {
		return
	}
	find := p.base.State.Previous
	field := fieldGeneration
	switch {
	case c.Number != 0:
		field = fieldVersion
		find = func(key routekey.Key) (registry.Version, error) { return p.base.State.AtNumber(key, c.Number) }
	case c.Generation != 0:
		find = func(key routekey.Key) (registry.Version, error) { return p.base.State.At(key, c.Generation) }
	}
	version, err := find(c.Key)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		p.refuse(fieldPrefix, err)
	case err != nil:
		p.refuse(field, err)
	default:
		version.Origin = registry.OriginAPI
		p.put(c.Key, version)
		p.plan.Prepare[len(p.plan.Prepare)-1].RolledBackTo = version.Generation
	}
}

func (c Remove) decide(p *planner) {
	if !p.changeable(c.Key) {
		return
	}
	if _, ok := p.base.State.Services[c.Key]; !ok {
		p.refuse(fieldPrefix, fmt.Errorf("%w: %s", registry.ErrNotFound, c.Key))
		return
	}
	p.remove(c.Key)
}

func (c Declare) decide(p *planner) {
	c.Version.Origin = registry.OriginFile
	if p.unique(c.Key) && !p.serves(c.Key, c.Version) && !p.tried(c.Key, c.Version, c.Rollout) {
		p.touch(c.Key)
		p.deploy(c.Key, c.Version, c.Rollout)
	}
}

func (Prune) decide(p *planner) {
	for _, service := range p.base.State.Sorted() {
		if p.named[service.Key] || p.seen[service.Key] || service.Current.Origin != registry.OriginFile {
			continue
		}
		p.seen[service.Key] = true
		p.touch(service.Key)
		p.remove(service.Key)
	}
}

// Record changes a record of the catalogue.
type Record struct {
	Name string
	// Edit returns the next record, given the current one. The zero Record is none. An error refuses the change.
	// Edit is called on every base that the list is planned on.
	Edit func(current registry.Record) (registry.Record, error)
}

func (Record) key() routekey.Key { return routekey.Key{} }

func (c Record) decide(p *planner) {
	if p.records[c.Name] {
		p.refuse(fieldRecord, fmt.Errorf("%q %w", c.Name, ErrRepeated))
		return
	}
	p.records[c.Name] = true
	record, err := c.Edit(p.base.State.Records[c.Name])
	if err == nil && !record.Equal(registry.Record{}) {
		err = record.Check()
	}
	if err != nil {
		p.refuse(fieldRecord, err)
		return
	}
	p.next = p.next.PutRecord(c.Name, record)
}

// Require changes nothing. It refuses the list if there is no service at the prefix.
type Require struct {
	Key routekey.Key
}

func (Require) key() routekey.Key { return routekey.Key{} }

func (c Require) decide(p *planner) {
	if _, ok := p.base.State.Services[c.Key]; !ok {
		p.refuse(fieldPrefix, fmt.Errorf("%w: %s", registry.ErrNotFound, c.Key))
	}
}
