package servicetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// Deploy adds or replaces a service, which must succeed.
func (s *Server) Deploy(spec services.Spec) deploy.Result {
	s.tb.Helper()
	result, err := s.Add(s.tb.Context(), spec)
	require.NoError(s.tb, err)
	return result
}

// Replace replaces a service and waits until the version before is closed.
func (s *Server) Replace(spec services.Spec) deploy.Result {
	s.tb.Helper()
	result := s.Deploy(spec)
	require.False(s.tb, result.Created, "there was no service at %s", spec.Key)
	s.AwaitRetired(spec.Key.String(), result.Before.Generation)
	return result
}

// Withdraw removes a service and waits until it is closed. Its requests have Config.Deploy.RetireAfter to end.
func (s *Server) Withdraw(key string) {
	s.tb.Helper()
	entry, err := s.Inspect(routekey.MustParse(key))
	require.NoError(s.tb, err)
	require.NoError(s.tb, s.Remove(s.tb.Context(), routekey.MustParse(key)))
	s.AwaitRetired(key, entry.Service.Current.Generation)
}

// Status returns the status of a service.
func (s *Server) Status(key string) services.Status {
	s.tb.Helper()
	entry, err := s.Inspect(routekey.MustParse(key))
	require.NoError(s.tb, err)
	return entry.Status
}

// AwaitStatus waits until a service has a status.
func (s *Server) AwaitStatus(key string, wanted func(services.Status) bool) {
	s.tb.Helper()
	require.Eventually(s.tb, func() bool {
		entry, err := s.Inspect(routekey.MustParse(key))
		return err == nil && wanted(entry.Status)
	}, HangTimeout, time.Millisecond)
}

// Deployment returns the deployment that was prepared last at a key, without middleware.
func (s *Server) Deployment(key string) services.Deployment {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.prepared[routekey.MustParse(key)]
	require.NotNil(s.tb, d, key)
	return d
}

// AwaitRetired waits until a version of a service is closed.
func (s *Server) AwaitRetired(key string, g registry.Generation) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	closed := awaitLocked(s.changed, func() bool { return s.retired[version{routekey.MustParse(key), g}] })
	require.True(s.tb, closed, "version %d of %s is not closed", g, key)
}

func (s *Server) noteRetired(v version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired[v] = true
	s.changed.Broadcast()
}
