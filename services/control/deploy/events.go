package deploy

import (
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// Tee returns Events that call the callbacks of all subscribers, in order.
func Tee(subscribers ...Events) Events {
	all := make([]Events, 0, len(subscribers))
	for _, e := range subscribers {
		all = append(all, e.filled())
	}
	return Events{
		Deployed: func(r Result) {
			for _, e := range all {
				e.Deployed(r)
			}
		},
		Removed: func(key routekey.Key) {
			for _, e := range all {
				e.Removed(key)
			}
		},
		Unavailable: func(key routekey.Key, err error) {
			for _, e := range all {
				e.Unavailable(key, err)
			}
		},
		Retired: func(key routekey.Key, g registry.Generation, d Drain) {
			for _, e := range all {
				e.Retired(key, g, d)
			}
		},
		Scaled: func(key routekey.Key, to services.Scale, err error) {
			for _, e := range all {
				e.Scaled(key, to, err)
			}
		},
		Collected: func(blobs []registry.Digest) {
			for _, e := range all {
				e.Collected(blobs)
			}
		},
	}
}
