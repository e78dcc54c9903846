package deploy

import (
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// maxAdoptedLogged bounds the log lines of one adoption about single services.
const maxAdoptedLogged = 16

// resultsOf describes the changed services, whose placements are not published yet.
func (d *Deployer) resultsOf(placed []*placement) (results []Result) {
	for _, p := range placed {
		r := Result{Service: p.service, Status: p.all[0].deployment.Status(), Created: true}
		if before := d.placementAt(p.service.Key); before != nil {
			r.Created, r.Before = false, before.service.Current
		}
		results = append(results, r)
	}
	return results
}

// reportAdopted reports a published adoption.
func (d *Deployer) reportAdopted(ad *adoption, results []Result) {
	many := len(results)+len(ad.removed) > maxAdoptedLogged
	for _, r := range results {
		if current := r.Service.Current; !many {
			d.log.Info("service adopted", "prefix", r.Service.Key, "digest", d.logged(current), "generation", current.Generation,
				"version", current.Number, "created", r.Created)
		}
		d.cfg.Events.Deployed(r)
	}
	for _, key := range ad.removed {
		if !many {
			d.log.Info("service removed", "prefix", key, "generation", ad.target.Generation)
		}
		d.cfg.Events.Removed(key)
	}
	if many {
		d.log.Info("catalogue adopted", "generation", ad.target.Generation, "changed", len(results), "removed", len(ad.removed))
	}
}

// unavailable returns the keys of the services that are not served.
func (d *Deployer) unavailable() (keys []routekey.Key) {
	for _, p := range d.placements() {
		if p.failed() {
			keys = append(keys, p.service.Key)
		}
	}
	slices.SortFunc(keys, func(a, b routekey.Key) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
