package rolling

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/services/observe/tally"
)

// Sizes of a Rolling.
const (
	Interval    = 5 * time.Second // length of a point of a series
	Points      = 60              // of a series
	MaxVersions = 16              // of a service; the one without requests for the longest time goes first
)

// Rolling keeps the statistics of all services. Create it with New. It is safe for concurrent use.
type Rolling struct {
	start time.Time    // immutable; with a monotonic reading
	tally *tally.Tally // immutable

	mu       sync.Mutex
	services map[*tally.Service]*service // guarded by mu; with at least one request
	rolled   int64                       // guarded by mu; number of the fine slice that is being filled
}

// service has the statistics of one service. All of it is guarded by Rolling.mu.
type service struct {
	versions []*version
	since    time.Time // of the first request
}

// VersionID identifies a version of a service.
type VersionID struct {
	Generation uint64 // deploy that introduced it
	Number     uint64 // among the versions of the service
	Digest     string
}

func (v *version) id() VersionID {
	return VersionID{Generation: v.of.Generation(), Number: v.of.Number, Digest: v.of.Digest}
}

// New returns the statistics of the services that t counts. It starts no goroutine.
func New(t *tally.Tally) *Rolling {
	return &Rolling{start: time.Now(), tally: t, services: make(map[*tally.Service]*service)}
}

// adoptLocked adds versions of a service to its statistics, except versions without requests. It returns nil if there are no
// statistics.
func (r *Rolling) adoptLocked(of *tally.Service, counted []*tally.Version) *service {
	s := r.services[of]
	for _, one := range counted {
		c := one.Counters()
		if c == nil {
			continue
		}
		if s == nil {
			s = &service{since: c.Since()}
			r.services[of] = s
		}
		at := slices.IndexFunc(s.versions, func(v *version) bool { return v.of.Number == one.Number })
		if at < 0 {
			at = len(s.versions)
			s.versions = append(s.versions, &version{of: one})
		}
		s.versions[at].follow(one, r.rolled)
	}
	return s
}

// kept returns the versions with slices.
func (s *service) kept() (all []*version) {
	for _, v := range s.versions {
		if v.kept() {
			all = append(all, v)
		}
	}
	return all
}

// Run rolls until ctx ends.
func (r *Rolling) Run(ctx context.Context) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.Roll()
		case <-ctx.Done():
			return
		}
	}
}

// Roll ends a slice of time. It must be called once in each Interval. It forgets services that are gone, and the slices of
// versions without requests in the last hour.
func (r *Rolling) Roll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	counted := make(map[*tally.Version]bool)
	for _, v := range r.tally.Versions() {
		counted[v] = true
		if !v.Service.Gone() {
			r.adoptLocked(v.Service, []*tally.Version{v})
		}
	}
	number := r.number()
	ended := max(r.rolled, number-1) // a late roll counts for the slice that has just ended
	for of, s := range r.services {
		if of.Gone() {
			delete(r.services, of)
			continue
		}
		s.roll(ended, counted)
	}
	r.rolled = number
}

// number returns the number of the current fine slice.
func (r *Rolling) number() int64 { return int64(time.Since(r.start) / Interval) }

// roll ends a slice of time for all versions, and drops the slices of idle versions, and those beyond MaxVersions. One version
// stays. Versions without slices are forgotten unless they are still counted.
func (s *service) roll(number int64, counted map[*tally.Version]bool) {
	for _, v := range s.versions {
		v.roll(number)
	}
	kept := s.kept()
	slices.SortStableFunc(kept, func(a, b *version) int { return int(b.last - a.last) })
	for i, v := range kept {
		if i > 0 && (i >= MaxVersions || v.idle(number)) {
			v.drop()
		}
	}
	s.versions = slices.DeleteFunc(s.versions, func(v *version) bool { return !v.kept() && !counted[v.of] })
}

// Stats counts what a Rolling holds.
type Stats struct {
	Services int
	Versions int // with slices
}

// Stats returns the current state.
func (r *Rolling) Stats() (s Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Services = len(r.services)
	for _, one := range r.services {
		s.Versions += len(one.kept())
	}
	return s
}
