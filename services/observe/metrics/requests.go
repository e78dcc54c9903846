package metrics

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

// Series of versions that have left the table of routes stay for the last scrapes.
const (
	linger    = 5 * time.Minute // and until the last request of the version is over
	maxLinger = 1024            // of them; the oldest are dropped first
)

// Requests counts requests by service and version. Create it with NewRequests.
type Requests struct {
	known atomic.Pointer[map[version]*series] // immutable maps

	mu   sync.Mutex // guards the changes of known
	gone int        // guarded by mu; series in known whose version has left the table
}

// NewRequests returns a Requests that knows the management API and requests without a service.
func NewRequests() *Requests {
	r := &Requests{}
	known := make(map[version]*series)
	for _, service := range [...]string{"", routekey.ReservedSegment} {
		v := version{service: service}
		known[v] = newSeries(v, time.Now())
	}
	r.known.Store(&known)
	return r
}

// Listen is an accesslog.Listener.
func (r *Requests) Listen(rec *accesslog.Record) {
	known := *r.known.Load()
	s := known[version{rec.Service, rec.Number}]
	if s == nil { // dropped: the version has left long ago
		s = known[version{}]
	}
	s.count(rec)
}

// Follow makes the routes of a table those whose requests are counted. It has to be called before the table is published.
func (r *Requests) Follow(t *router.Table) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	old := *r.known.Load()
	known := make(map[version]*series, len(old)+1)
	for route := range served(t) {
		v := version{route.Service, route.Number}
		s := old[v]
		if s == nil {
			s = newSeries(v, now)
		}
		s.route, s.left = route, time.Time{}
		known[v] = s
	}
	var gone []*series
	for v, s := range old {
		switch {
		case known[v] != nil:
			continue
		case s.route != nil:
			if s.left.IsZero() {
				s.left = now
			}
			gone = append(gone, s)
		}
		known[v] = s
	}
	r.pruneLocked(known, gone, now)
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

// pruneLocked publishes known without the series whose time is over.
func (r *Requests) pruneLocked(known map[version]*series, gone []*series, now time.Time) {
	slices.SortFunc(gone, func(a, b *series) int { return b.left.Compare(a.left) })
	r.gone = 0
	for _, s := range gone {
		if r.gone < maxLinger && !(now.Sub(s.left) >= linger && drained(s.route)) {
			r.gone++
			continue
		}
		delete(known, s.version)
	}
	r.known.Store(&known)
}

func drained(route *router.Route) bool {
	select {
	case <-route.Drained():
		return true
	default:
		return false
	}
}

// snapshot returns all series, ordered by service and version.
func (r *Requests) snapshot() []*series {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone > 0 {
		known := maps.Clone(*r.known.Load())
		var gone []*series
		for _, s := range known {
			if s.route != nil && !s.left.IsZero() {
				gone = append(gone, s)
			}
		}
		r.pruneLocked(known, gone, time.Now())
	}
	return slices.SortedFunc(maps.Values(*r.known.Load()), func(a, b *series) int {
		return cmp.Or(cmp.Compare(a.version.service, b.version.service), cmp.Compare(a.version.number, b.version.number))
	})
}
