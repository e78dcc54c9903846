package tally

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// Versions that have left the table are listed for the last scrapes.
const (
	Linger    = 5 * time.Minute  // and until the last request of the version is over
	minLinger = 10 * time.Second // even if there are too many of them
	maxLinger = 1024             // of them, besides those with requests; the oldest are dropped first
)

// Tally counts the requests of all services. Create it with New. It is safe for concurrent use.
type Tally struct {
	beside func(service string) accesslog.Listener // immutable; may be nil
	none   *Version                                // immutable; for requests without a service
	own    *Version                                // immutable; for the management API

	mu       sync.Mutex
	services map[string]*Service // guarded by mu; of the table
	gone     []*Service          // guarded by mu; removed ones with versions that linger
}

// Service is a service of the catalogue, from its first version until its removal.
type Service struct {
	Name     string             // immutable; the route key
	beside   accesslog.Listener // immutable; may be nil
	gone     atomic.Bool
	versions []*Version // guarded by Tally.mu; of the table, and lingering ones
}

// Gone reports whether the service has been removed.
func (s *Service) Gone() bool { return s.gone.Load() }

// Version is a version of a service.
type Version struct {
	Service    *Service  // immutable
	Number     uint64    // immutable
	Digest     string    // immutable
	Created    time.Time // immutable
	generation atomic.Uint64
	counters   atomic.Pointer[Counters]

	routes []*router.Route // guarded by Tally.mu; that may count further requests
	left   time.Time       // guarded by Tally.mu; when the version left the table; zero if it has not
}

// Generation returns the latest deploy that introduced the version.
func (v *Version) Generation() uint64 { return v.generation.Load() }

// Counters returns the counts of the version; nil if it has had no requests.
func (v *Version) Counters() *Counters { return v.counters.Load() }

// New returns a Tally without services. Beside returns a further listener of the requests of a service; nil: there is none.
func New(beside func(service string) accesslog.Listener) *Tally {
	version := func(name string) *Version { return &Version{Service: &Service{Name: name}, Created: time.Now()} }
	return &Tally{
		beside: beside,
		none:   version(""),
		own:    version(routekey.ReservedSegment),
	}
}

// Listen counts a request that no route has served: one of the management API, or one without a service. It is an
// accesslog.Listener.
func (t *Tally) Listen(rec *accesslog.Record) {
	if rec.Service == routekey.ReservedSegment {
		t.own.Count(rec)
		return
	}
	t.none.Count(rec)
}

// Count counts a request of the version.
func (v *Version) Count(rec *accesslog.Record) {
	c := v.counters.Load()
	if c == nil {
		v.counters.CompareAndSwap(nil, &Counters{since: time.Now()})
		c = v.counters.Load()
	}
	c.count(rec)
}

// listener returns the listener of the version's routes.
func (v *Version) listener() accesslog.Listener {
	beside := v.Service.beside
	if beside == nil {
		return v.Count
	}
	return func(rec *accesslog.Record) {
		v.Count(rec)
		beside(rec)
	}
}

// Follow makes the routes of a table those whose requests are counted. It has to be called before the table is published.
func (t *Tally) Follow(table *router.Table) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	services := make(map[string]*Service, len(t.services))
	live := make(map[*Version]bool, len(t.services))
	for route := range served(table) {
		s := services[route.Service]
		if s == nil {
			s = t.serviceLocked(route.Service)
			services[s.Name] = s
		}
		live[s.followLocked(route, now)] = true
	}
	for name, s := range t.services {
		if services[name] == nil {
			s.gone.Store(true)
			t.gone = append(t.gone, s)
		}
	}
	t.services = services
	for s := range t.allLocked() {
		for _, v := range s.versions {
			switch {
			case live[v]:
				v.left = time.Time{}
			case v.left.IsZero():
				v.left = now
			}
		}
	}
	t.pruneLocked(now)
}

// serviceLocked returns the service with a name, which it makes if the last table did not have it.
func (t *Tally) serviceLocked(name string) *Service {
	if s := t.services[name]; s != nil {
		return s
	}
	s := &Service{Name: name}
	if t.beside != nil {
		s.beside = t.beside(name)
	}
	return s
}

// followLocked returns the version of a route, which it makes if there is none.
func (s *Service) followLocked(route *router.Route, now time.Time) *Version {
	at := slices.IndexFunc(s.versions, func(v *Version) bool { return v.Number == route.Number })
	if at < 0 {
		at = len(s.versions)
		s.versions = append(s.versions, &Version{
			Service: s,
			Number:  route.Number,
			Digest:  route.Version,
			Created: now,
		})
	}
	v := s.versions[at]
	if !slices.Contains(v.routes, route) {
		route.Observe(v.listener())
		v.routes = append(v.routes, route)
		v.generation.Store(route.Generation)
	}
	return v
}

// served yields the routes that serve requests: those of the table, and the arms of splits.
func served(t *router.Table) iter.Seq[*router.Route] {
	return func(yield func(*router.Route) bool) {
		for _, route := range t.Routes() {
			arms := route.Split()
			if arms == nil && !yield(route) {
				return
			}
			for _, arm := range arms {
				if !yield(arm.Route) {
					return
				}
			}
		}
	}
}

// allLocked yields the services of the table, and removed ones.
func (t *Tally) allLocked() iter.Seq[*Service] {
	return func(yield func(*Service) bool) {
		for _, s := range t.services {
			if !yield(s) {
				return
			}
		}
		for _, s := range t.gone {
			if !yield(s) {
				return
			}
		}
	}
}

// pruneLocked drops the versions whose time is over.
func (t *Tally) pruneLocked(now time.Time) {
	var done []*Version
	for s := range t.allLocked() {
		for _, v := range s.versions {
			if v.routes = slices.DeleteFunc(v.routes, drained); !v.left.IsZero() && len(v.routes) == 0 {
				done = append(done, v)
			}
		}
	}
	slices.SortFunc(done, func(a, b *Version) int { return b.left.Compare(a.left) })
	for i, v := range done {
		if age := now.Sub(v.left); age >= Linger || i >= maxLinger && age >= minLinger {
			v.Service.versions = slices.DeleteFunc(v.Service.versions, func(o *Version) bool { return o == v })
		}
	}
	t.gone = slices.DeleteFunc(t.gone, func(s *Service) bool { return len(s.versions) == 0 })
}

func drained(route *router.Route) bool {
	select {
	case <-route.Drained():
		return true
	default:
		return false
	}
}

// Unserved returns the counts of requests without a service, and of the management API.
func (t *Tally) Unserved() [2]*Version { return [...]*Version{t.none, t.own} }

// Versions returns the versions of all services, ordered by the names of services and by numbers. A version of a service that
// is gone comes after one with the same name and number. Each version that has left the list has its last counts.
func (t *Tally) Versions() (all []*Version) {
	t.mu.Lock()
	t.pruneLocked(time.Now())
	for s := range t.allLocked() {
		all = append(all, s.versions...)
	}
	t.mu.Unlock()
	slices.SortFunc(all, func(a, b *Version) int {
		return cmp.Or(cmp.Compare(a.Service.Name, b.Service.Name), cmp.Compare(a.Number, b.Number), b.Created.Compare(a.Created))
	})
	return all
}

// Service returns the service with a name, and its versions; nil if there is none.
func (t *Tally) Service(name string) (*Service, []*Version) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.services[name]
	if s == nil {
		return nil, nil
	}
	return s, slices.Clone(s.versions)
}

// Names returns the names of the services in the table; nil before the first table.
func (t *Tally) Names() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.services == nil {
		return nil
	}
	names := make(map[string]bool, len(t.services))
	for name := range maps.Keys(t.services) {
		names[name] = true
	}
	return names
}
