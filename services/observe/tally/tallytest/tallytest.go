// Package tallytest counts requests of services that tests make up.
package tallytest

import (
	"encoding/hex"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/observe/tally"
)

// Services is a Tally, with the table of routes that it follows.
type Services struct {
	*tally.Tally
	t  testing.TB
	mu sync.Mutex
	in map[string]*router.Route // guarded by mu; the routes of the table
}

// New returns a Services without routes.
func New(t testing.TB) *Services {
	return &Services{Tally: tally.New(nil), t: t, in: make(map[string]*router.Route)}
}

// Listen counts a request of the service and version that the record names. A new version takes the place of the one before.
func (s *Services) Listen(rec *accesslog.Record) {
	if rec.Generation == 0 {
		s.Tally.Listen(rec)
		return
	}
	s.version(rec).Count(rec)
}

// Add makes the services and versions that records name, in one table.
func (s *Services) Add(all ...*accesslog.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var retired []*router.Route
	for _, rec := range all {
		if before := s.in[rec.Service]; before != nil {
			retired = append(retired, before)
		}
		s.in[rec.Service] = router.NewRoute(router.Binding{
			Key:        routekey.Key{Prefix: routekey.Prefix("/" + hex.EncodeToString([]byte(rec.Service)))},
			Service:    rec.Service,
			Version:    rec.Version,
			Number:     rec.Number,
			Generation: rec.Generation,
			Handler:    router.HandlerFunc(nil),
		})
	}
	s.followLocked(retired...)
}

func (s *Services) version(rec *accesslog.Record) *tally.Version {
	for {
		_, all := s.Service(rec.Service)
		if at := slices.IndexFunc(all, func(v *tally.Version) bool { return v.Number == rec.Number }); at >= 0 {
			return all[at]
		}
		s.Add(rec)
	}
}

// Remove removes a service. Its requests are over.
func (s *Services) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := s.in[name]
	delete(s.in, name)
	s.followLocked(gone)
}

func (s *Services) followLocked(retired ...*router.Route) {
	routes := make([]*router.Route, 0, len(s.in))
	for _, r := range s.in {
		routes = append(routes, r)
	}
	table, err := router.BuildTable(routes)
	require.NoError(s.t, err)
	s.Follow(table)
	for _, r := range retired {
		r.Retire()
	}
}
