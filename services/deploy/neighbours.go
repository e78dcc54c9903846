package deploy

import (
	"context"

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

// refuseNeighbours replaces what cannot be beside those before it in a catalogue that is loaded, which can happen if one of them could not be
// prepared while the other was deployed.
func (d *Deployer) refuseNeighbours(ctx context.Context, all []*live) {
	for i, l := range all {
		err := checkNeighbours(all[i:i+1], all[:i])
		if err == nil {
			continue
		}
		d.discard(l)
		all[i] = d.unavailable(ctx, l.service, err)
	}
}
