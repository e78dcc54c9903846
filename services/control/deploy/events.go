package deploy

import (
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
		Removed: func(prefix registry.Prefix) {
			for _, e := range all {
				e.Removed(prefix)
			}
		},
		Unavailable: func(prefix registry.Prefix, err error) {
			for _, e := range all {
				e.Unavailable(prefix, err)
			}
		},
		Retired: func(prefix registry.Prefix, g registry.Generation, d Drain) {
			for _, e := range all {
				e.Retired(prefix, g, d)
			}
		},
		Scaled: func(prefix registry.Prefix, to services.Scale, err error) {
			for _, e := range all {
				e.Scaled(prefix, to, err)
			}
		},
		Collected: func(blobs []registry.Digest) {
			for _, e := range all {
				e.Collected(blobs)
			}
		},
	}
}
