package deploy

import (
	"fmt"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// cached reports whether the answers of a service are kept.
func cached(m registry.Manifest) bool {
	type part struct {
		Cache bool `json:"cache"`
	}
	return schema.Part[part](m, schema.FieldCache).Cache
}

// openCache returns an empty cache for a new version, nil if it has none. Another host that serves the version has the cache.
func (d *Deployer) openCache(l *live) *cache.Cache {
	if d.cfg.Cache == nil || l.relays || !cached(l.service.Current.Manifest) {
		return nil
	}
	return d.cfg.Cache.OpenShared(l.service.Key.String(), sharedVersion(l.service.Current))
}

// sharedVersion returns a text that all hosts of a catalogue have for a version, until another commit makes it current anew. Catalogues that do
// not copy each other have none in common.
func sharedVersion(v registry.Version) string {
	return fmt.Sprintf("%s %d %d %d", v.ContentDigest(), v.Number, v.Generation, v.Deployed.UnixNano())
}

// emptyCache closes the cache of a version that gets no more requests. It may be called more than once.
func (l *live) emptyCache() {
	if l.cache != nil {
		l.cache.Close()
	}
}

// checkCache returns the violations of a spec about its cache.
func (d *Deployer) checkCache(spec services.Spec) (violations problem.Violations) {
	switch {
	case !cached(spec.Manifest):
	case d.cfg.Cache == nil:
		violations.Add(schema.FieldCache, "is given, and this server keeps no answers: --cache-memory is 0")
	case len(spec.Middleware()) > 0:
		violations.Add(schema.FieldCache, "cannot be given together with use: the middleware would not see requests that are answered from the cache")
	}
	return violations
}

// PurgeCache removes the kept answers of a service, of all its versions, and returns their number. Answers on their way are not kept.
// Its error matches registry.ErrNotFound.
func (d *Deployer) PurgeCache(key routekey.Key) (removed int, err error) {
	if d.placementAt(key) == nil {
		return 0, asProblem("find the service", fmt.Errorf("%w: %s", registry.ErrNotFound, key))
	}
	if d.cfg.Cache == nil {
		return 0, nil
	}
	return d.cfg.Cache.Purge(key.String()), nil
}
