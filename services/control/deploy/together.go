package deploy

import (
	"context"
	"maps"
	"slices"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/plan"
)

// Changes are changes that happen together or not at all.
type Changes struct {
	// Require lists services without which nothing is changed. Unlike a claim, it waits for no other change.
	Require []routekey.Key
	Deploy  []services.Spec
	Remove  []routekey.Key
	// Records edits records by name: see plan.Record.
	Records map[string]Edit
}

// Edit returns the next content of a record, given the current one; the zero Record is none. An error refuses all
// changes. It is called several times, the last time while no other change is committed.
type Edit = func(current registry.Record) (registry.Record, error)

// Transact carries out the changes that build makes from a state of the catalogue. The services at the claimed
// prefixes, and those that are changed, stay as they are in that state until the commit. Records do not: only an
// Edit sees the last one. build must be quick, and is called again if another change was first.
//
// When Transact returns without an error, all changes are durable, and every later request sees them. On an error
// nothing has changed. ctx is ignored after the commit.
func (d *Deployer) Transact(
	ctx context.Context, claimed []routekey.Key, build func(*registry.State) (Changes, error),
) ([]Result, error) {
	results, err := d.transact(ctx, &transaction{
		claimed: claimed,
		build: func(s *registry.State) (changes, error) {
			c, err := build(s)
			if err != nil {
				return changes{}, err
			}
			return d.changesOf(ctx, c)
		},
	})
	return results, first(err)
}

// changesOf returns the list of changes, after checking the specs.
func (d *Deployer) changesOf(ctx context.Context, c Changes) (changes, error) {
	all := changes{specs: make(map[routekey.Key]services.Spec)}
	for _, key := range c.Require {
		all.list = append(all.list, plan.Require{Key: key})
	}
	for _, key := range c.Remove {
		all.list = append(all.list, plan.Remove{Key: key})
	}
	for _, spec := range c.Deploy {
		put, err := d.put(ctx, spec)
		if err != nil {
			return changes{}, err
		}
		all.list = append(all.list, put.list...)
		all.specs[spec.Key] = put.specs[spec.Key]
	}
	for _, name := range slices.Sorted(maps.Keys(c.Records)) {
		all.list = append(all.list, plan.Record{Name: name, Edit: c.Records[name]})
	}
	return all, nil
}

// Record returns a record of the catalogue, or the zero Record.
func (d *Deployer) Record(name string) registry.Record { return d.cfg.Registry.State().Records[name] }
