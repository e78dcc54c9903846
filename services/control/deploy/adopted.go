package deploy

import (
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
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

// unavailable returns the keys of the services that are not served, or not in their latest state.
func (d *Deployer) unavailable() (keys []routekey.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, p := range d.live {
		if _, behind := d.behind[key]; behind || p.failed() {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b routekey.Key) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// takeBehind takes those services out of an adoption that serve, and would not with a version whose blobs are absent.
func (d *Deployer) takeBehind(ad *adoption) []registry.Service {
	var behind []registry.Service
	ad.changed = slices.DeleteFunc(ad.changed, func(s registry.Service) bool {
		served := d.placementAt(s.Key)
		if served == nil || served.failed() || !ad.lacks(s) {
			return false
		}
		for _, n := range s.Live() {
			if p := ad.fresh[versionKey{s.Key, n}]; p != nil {
				d.closeUnpublished(p.key, p.deployment)
				delete(ad.fresh, p.versionKey)
			}
		}
		behind = append(behind, s)
		return true
	})
	return behind
}

// lacks reports whether blobs of a version of the service are absent.
func (ad *adoption) lacks(s registry.Service) bool {
	return slices.ContainsFunc(s.Live(), func(n registry.Number) bool {
		p := ad.fresh[versionKey{s.Key, n}]
		return p != nil && p.absent
	})
}

// setBehind remembers the services that an adoption has left as they were. exchange forgets them.
func (d *Deployer) setBehind(all []registry.Service) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range all {
		if _, known := d.behind[s.Key]; !known {
			d.log.Warn("modules of another host cannot be fetched; the version before goes on", "prefix", s.Key, "generation", s.Current.Generation)
		}
		d.behind[s.Key] = s
	}
}
