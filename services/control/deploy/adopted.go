package deploy

import (
	"context"
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
		if served == nil || served.failed() || !ad.hasFresh(s, func(p *adopted) bool { return p.absent }) {
			return false
		}
		d.dropFresh(ad, s)
		behind = append(behind, s)
		return true
	})
	return behind
}

// takePostponed takes those services out of an adoption that have a version without a place, and reports whether there are any.
func (d *Deployer) takePostponed(ad *adoption) bool {
	before := len(ad.changed)
	ad.changed = slices.DeleteFunc(ad.changed, func(s registry.Service) bool {
		postponed := ad.hasFresh(s, func(p *adopted) bool { return p.postponed })
		if postponed {
			d.dropFresh(ad, s)
		}
		return postponed
	})
	return len(ad.changed) < before
}

// hasFresh reports whether a fresh version of the service matches.
func (ad *adoption) hasFresh(s registry.Service, match func(*adopted) bool) bool {
	return slices.ContainsFunc(s.Live(), func(n registry.Number) bool {
		p := ad.fresh[versionKey{s.Key, n}]
		return p != nil && match(p)
	})
}

// dropFresh closes the fresh versions of a service.
func (d *Deployer) dropFresh(ad *adoption, s registry.Service) {
	for _, n := range s.Live() {
		if p := ad.fresh[versionKey{s.Key, n}]; p != nil {
			d.closeUnpublished(p.key, p.deployment)
			delete(ad.fresh, p.versionKey)
		}
	}
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

// liveAdopted returns the live version of p, one of v's, or a refusal if it cannot be beside the others.
func (d *Deployer) liveAdopted(ctx context.Context, p *adopted, v versionIn, beside []*live) *live {
	if p.err == nil {
		l := d.newLive(p.service, p.deployment, nil)
		if p.err = checkNeighbours([]*live{l}, append(slices.Clip(beside), l)); p.err == nil {
			return l
		}
		d.dropLimiter(l)
		d.closeUnpublished(p.key, p.deployment)
		p.deployment = nil
	}
	return d.newLiveOr(ctx, v, nil, p.err)
}
