package deploy

import (
	"github.com/vespo-dev/vespo/services"
)

// checkNeighbours asks those of fresh that want to be asked whether they can be beside the others of all.
func checkNeighbours(fresh, all []*live) error {
	for _, l := range fresh {
		n, asks := l.deployment.(services.Neighbour)
		if !asks {
			continue
		}
		var others []services.Deployment
		for _, other := range all {
			if other != l {
				others = append(others, behindMiddleware(other.deployment))
			}
		}
		if err := n.CheckBeside(others); err != nil {
			return err
		}
	}
	return nil
}
