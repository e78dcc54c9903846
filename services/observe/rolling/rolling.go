package rolling

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// Sizes of a Rolling.
const (
	Interval    = 5 * time.Second // length of a point of a series
	Points      = 60              // of a series
	MaxVersions = 16              // of a service; the one without requests for the longest time goes first
)

// Rolling keeps the statistics of all services. Create it with New. It is safe for concurrent use.
type Rolling struct {
	start time.Time // immutable; with a monotonic reading

	services atomic.Pointer[map[string]*service] // the map is immutable; replaced with mu held

	mu     sync.Mutex
	rolled int64 // guarded by mu; number of the fine slice that is being filled
}

// service has the statistics of one service.
type service struct {
	versions atomic.Pointer[[]*version] // the slice is immutable; replaced with Rolling.mu held
	since    time.Time                  // immutable
}

// VersionID identifies a version of a service.
type VersionID struct {
	Generation uint64 // deploy that introduced it
	Number     uint64 // among the versions of the service
	Digest     string
}

// New returns a Rolling without services. It starts no goroutine.
func New() *Rolling {
	r := &Rolling{start: time.Now()}
	r.services.Store(&map[string]*service{})
	return r
}

// Listen counts a request. It is an accesslog.Listener. Requests that no route has served are ignored.
func (r *Rolling) Listen(rec *accesslog.Record) {
	if rec.Generation == 0 {
		return
	}
	if s := (*r.services.Load())[rec.Service]; s != nil {
		for _, v := range *s.versions.Load() {
			if v.id.Generation == rec.Generation {
				v.counters.count(rec)
				return
			}
		}
	}
	r.add(rec.Service, VersionID{Generation: rec.Generation, Number: rec.Number, Digest: rec.Version}).counters.count(rec)
}

// add returns a version, which it adds if there is none.
func (r *Rolling) add(name string, id VersionID) *version {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := (*r.services.Load())[name]
	if s == nil {
		s = &service{since: time.Now()}
		s.versions.Store(&[]*version{})
		all := maps.Clone(*r.services.Load())
		all[name] = s
		r.services.Store(&all)
	}
	versions := slices.Clone(*s.versions.Load())
	for _, v := range versions {
		if v.id.Generation == id.Generation {
			return v
		}
	}
	if len(versions) >= MaxVersions {
		oldest := slices.MinFunc(versions, func(a, b *version) int { return int(a.last - b.last) })
		versions = slices.DeleteFunc(versions, func(v *version) bool { return v == oldest })
	}
	v := newVersion(id, r.rolled)
	versions = append(versions, v)
	s.versions.Store(&versions)
	return v
}

// Run rolls until ctx ends. Known returns the services of the catalogue; nil means that they are not known yet.
func (r *Rolling) Run(ctx context.Context, known func() map[string]bool) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.Roll(known())
		case <-ctx.Done():
			return
		}
	}
}

// Roll ends a slice of time. It must be called once in each Interval. It forgets services that are not known, unless known
// is nil, and versions without requests in the last hour.
func (r *Rolling) Roll(known map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	number := r.number()
	ended := max(r.rolled, number-1) // a late roll counts for the slice that has just ended
	gone := false
	for name, s := range *r.services.Load() {
		if known != nil && !known[name] {
			gone = true
			continue
		}
		s.roll(ended)
	}
	r.rolled = number
	if gone {
		r.keepLocked(func(name string) bool { return known[name] })
	}
}

// Forget removes a service.
func (r *Rolling) Forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keepLocked(func(other string) bool { return other != name })
}

// keepLocked removes the services that keep does not want.
func (r *Rolling) keepLocked(keep func(name string) bool) {
	all := maps.Clone(*r.services.Load())
	maps.DeleteFunc(all, func(name string, _ *service) bool { return !keep(name) })
	r.services.Store(&all)
}

// number returns the number of the current fine slice.
func (r *Rolling) number() int64 { return int64(time.Since(r.start) / Interval) }

// roll ends a slice of time for all versions, and drops idle versions. One stays.
func (s *service) roll(number int64) {
	versions := *s.versions.Load()
	for _, v := range versions {
		v.roll(number)
	}
	latest := slices.MaxFunc(versions, func(a, b *version) int { return int(a.last - b.last) })
	kept := slices.DeleteFunc(slices.Clone(versions), func(v *version) bool { return v != latest && v.idle(number) })
	if len(kept) < len(versions) {
		s.versions.Store(&kept)
	}
}

// Stats counts what a Rolling holds.
type Stats struct {
	Services int
	Versions int
}

// Stats returns the current state.
func (r *Rolling) Stats() (s Stats) {
	all := *r.services.Load()
	s.Services = len(all)
	for _, one := range all {
		s.Versions += len(*one.versions.Load())
	}
	return s
}
