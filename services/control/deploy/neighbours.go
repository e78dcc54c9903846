package deploy

import (
	"github.com/vespo-dev/vespo/services"
)

// checkNeighbours calls CheckBeside on the Neighbours among fresh, with the other deployments of all.
func checkNeighbours(fresh, all []*live) error {
	for _, l := range fresh {
		n, asks := l.deployment.(services.Neighbour)
		if !asks {
			continue
		}
		var others []services.Deployment
		for _, other := range all {
			if other != l && other.service.Key != l.service.Key {
				others = append(others, behindMiddleware(other.deployment))
			}
		}
		if err := n.CheckBeside(others); err != nil {
			return err
		}
	}
	return nil
}
