package deploy

import (
	"slices"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// concurrencyOf returns the number of requests that the service of a manifest serves at a time; 0: it has no limit of its own.
func concurrencyOf(m registry.Manifest) int {
	type part struct {
		Concurrency int `json:"concurrency"`
	}
	return schema.Part[part](m, schema.FieldConcurrency).Concurrency
}

// concurrency returns the limit of a service's requests at a time on this host; 0: that of its admission. Requests that are passed on count on the
// host that serves them.
func (d *Deployer) concurrency(s registry.Service, relays bool) int {
	if relays {
		return 0
	}
	return concurrencyOf(s.Current.Manifest)
}

// limit gives the limiters of a service, of which versions with other weights have their own, the limit of its current version.
func (d *Deployer) limit(p *placement) {
	for _, l := range slices.Backward(p.all) { // the current version decides about a limiter that it shares
		if l.limiter != nil { // it does not start
			l.limiter.Limit(d.concurrency(p.service, l.relays))
		}
	}
}

// checkConcurrency returns the violations of a spec about its requests at a time.
func (d *Deployer) checkConcurrency(spec services.Spec) (violations problem.Violations) {
	n := concurrencyOf(spec.Manifest)
	most := d.admissionOf(spec.Kind, len(spec.Middleware())).most()
	if n < 0 || n > most {
		violations.Add(schema.FieldConcurrency, "is %d: it must be from 1 to %d, the most requests of such a service that this server serves at a time", n, most)
	}
	return violations
}

// most returns the number of requests that a service may have at a time.
func (a Admission) most() int {
	if a.Limits.Concurrency > 0 {
		return a.Limits.Concurrency
	}
	return a.Gate.Capacity() / max(1, a.Limits.Weight)
}
