package cluster

import (
	"context"
	"math/rand/v2"
	"time"
)

// Times of places. A host prepares without one after placeTime, as it must serve what the others serve.
const (
	placeTime  = 30 * time.Second
	placePause = 500 * time.Millisecond // between two attempts, half of it at random
)

// place waits until fewer than Surge hosts prepare new versions, for placeTime at most. Without the store it does not wait.
func (n *Node) place(ctx context.Context) (release func()) {
	none := func() {}
	if n.cfg.Surge == 0 {
		return none
	}
	began := time.Now()
	for time.Since(began) < placeTime {
		release, err := n.store.Place(ctx, n.cfg.Surge)
		switch {
		case err != nil:
			n.log.Debug("new versions are prepared without a place among the hosts", "error", err)
			return none
		case release != nil:
			return release
		}
		select {
		case <-time.After(placePause/2 + rand.N(placePause/2)):
		case <-ctx.Done():
			return none
		}
	}
	n.log.Info("new versions are prepared without a place among the hosts, as others took long", "waited", placeTime, "surge", n.cfg.Surge)
	return none
}
