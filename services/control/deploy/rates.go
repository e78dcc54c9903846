package deploy

import (
	"maps"
	"slices"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/ratelimit"
	"github.com/vespo-dev/vespo/services/rate"
)

// rateKey identifies the counts of a limit. Versions of a service with equal limits share them, so that a deploy that
// keeps the limit keeps the counts. A changed limit begins with full bursts.
type rateKey struct {
	key    routekey.Key
	policy ratelimit.Policy
}

// sharedRate is the limit of the rate of a service, with its counts.
type sharedRate struct {
	*ratelimit.Limiter         // immutable
	of                 rateKey // immutable
	users              int     // guarded by Deployer.mu: live versions that refer to it
}

// useRate returns the limit of a service and adds a user to it; nil if there is none.
func (d *Deployer) useRate(service registry.Service) *sharedRate {
	policy, limited := rate.Of(service.Current.Manifest)
	if !limited {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	of := rateKey{key: service.Key, policy: policy}
	s := d.rates[of]
	if s == nil {
		s = &sharedRate{Limiter: ratelimit.New(policy, d.rateKeys), of: of}
		if d.cfg.Sharing != nil {
			s.Limiter = ratelimit.NewShared(policy, d.rateKeys, service.Key.String(), d.cfg.Sharing)
		}
		d.rates[of] = s
	}
	s.users++
	return s
}

// dropRateLocked removes a user from a limit, which may be nil, and deletes it with its last user.
func (d *Deployer) dropRateLocked(s *sharedRate) {
	if s == nil {
		return
	}
	if s.users--; s.users == 0 {
		delete(d.rates, s.of)
		d.crowded += s.Stats().Shared
		s.Close()
	}
}

// RateStats returns the sums of the limits of all services. It takes some 3 us for each, but not with the lock that requests and changes need.
func (d *Deployer) RateStats() ratelimit.Stats {
	d.mu.Lock()
	sum := ratelimit.Stats{Shared: d.crowded}
	all := slices.Collect(maps.Values(d.rates))
	d.mu.Unlock()
	for _, s := range all { // one that is closed meanwhile keeps its counts
		own := s.Stats()
		sum.Keys += own.Keys
		sum.Shared += own.Shared
	}
	return sum
}
