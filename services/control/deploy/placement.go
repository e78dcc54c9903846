package deploy

import (
	"slices"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
)

// placement holds the live versions of a service, and the route that leads to them. It is immutable.
type placement struct {
	service registry.Service
	all     []*live // in the order of service.Live: the current version first
	route   *router.Route

	generation registry.Generation // of the state that it is from
}

// place returns the placement of a service, as of a generation. It panics unless all has a version for each number of service.Live.
func (d *Deployer) place(service registry.Service, all []*live, g registry.Generation) *placement {
	p := &placement{service: service, all: all, generation: g}
	if len(service.Split.Arms) == 0 && service.Mirror.Number == 0 || p.away() {
		p.route = all[0].route
		return p
	}
	split := router.Split{
		Own:    all[0].route,
		Sticky: router.Sticky{Header: service.Split.Sticky.Header, Cookie: service.Split.Sticky.Cookie},
	}
	for _, l := range all {
		if weight := service.Weight(l.number()); weight > 0 {
			split.Arms = append(split.Arms, router.Arm{Route: l.route, Weight: weight})
		}
	}
	if m := service.Mirror; m.Number != 0 && d.cfg.Mirrors != nil {
		i := slices.IndexFunc(all, func(l *live) bool { return l.number() == m.Number })
		split.Mirror = &router.Mirror{
			Route:  all[i].route,
			Weight: m.Weight,
			Offer:  func(c *router.Copy) { d.cfg.Mirrors.Offer(service.Key, m, c) },
		}
	}
	slices.SortFunc(split.Arms, func(a, b router.Arm) int { return int(a.Route.Number) - int(b.Route.Number) })
	p.route = router.NewSplit(service.Key, split)
	return p
}

// at returns the live version with a number, or nil.
func (p *placement) at(n registry.Number) *live {
	if p == nil {
		return nil
	}
	for _, l := range p.all {
		if l.number() == n {
			return l
		}
	}
	return nil
}

// has reports whether l is one of the versions.
func (p *placement) has(l *live) bool { return p != nil && slices.Contains(p.all, l) }

// replacing returns the placement with a version in place of that with the same number.
func (d *Deployer) replacing(p *placement, fresh *live) *placement {
	all := slices.Clone(p.all)
	for i, l := range all {
		if l.number() == fresh.number() {
			all[i] = fresh
		}
	}
	return d.place(p.service, all, p.generation)
}

// number returns the number of the version.
func (l *live) number() registry.Number { return l.service.Current.Number }

// only returns a service as one of its versions alone.
func only(service registry.Service, n registry.Number) registry.Service {
	v, _ := service.Numbered(n)
	return registry.Service{Key: service.Key, Current: v}
}

// versionsOf returns the versions of all placements.
func versionsOf(all []*placement) (versions []*live) {
	for _, p := range all {
		versions = append(versions, p.all...)
	}
	return versions
}

// servedKeys returns the keys of all placements.
func servedKeys(all []*placement) (keys []routekey.Key) {
	for _, p := range all {
		keys = append(keys, p.service.Key)
	}
	return keys
}
