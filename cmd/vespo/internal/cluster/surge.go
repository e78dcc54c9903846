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

// turn is the place of this host among the hosts that prepare new versions. It is confined to Follow and its adoptions.
type turn struct {
	node    *Node
	since   time.Time // when there was no place first; zero: the host does not wait for one
	release func()    // of a place that no adoption has used yet; nil: none
}

// pause returns the time until the next attempt.
func (t *turn) pause() time.Duration { return placePause/2 + rand.N(placePause/2) }

// waits reports whether the host waits for a place.
func (t *turn) waits() bool { return !t.since.IsZero() }

// ready reports whether new versions may be prepared: fewer than Surge hosts do, the store cannot be reached, or the host
// has waited for placeTime.
func (t *turn) ready(ctx context.Context) bool {
	n := t.node
	switch {
	case t.release != nil:
		return true
	case n.cfg.Surge == 0:
		t.release = func() {}
		return true
	case t.waits() && time.Since(t.since) >= placeTime:
		n.log.Info("new versions are prepared without a place among the hosts, as others took long", "waited", placeTime, "surge", n.cfg.Surge)
		t.release = func() {}
		return true
	}
	release, err := n.store.Place(ctx, n.cfg.Surge)
	if err != nil {
		n.log.Debug("new versions are prepared without a place among the hosts", "error", err)
		release = func() {}
	}
	if t.release = release; release == nil && !t.waits() {
		t.since = time.Now()
	}
	return release != nil
}

// take is the Place of an adoption.
func (t *turn) take(ctx context.Context) (release func(), ok bool) {
	if !t.ready(ctx) {
		return nil, false
	}
	release, t.release = t.release, nil
	return release, true
}

// end follows an adoption. A place that it did not use is released.
func (t *turn) end(postponed bool) {
	if t.release != nil {
		t.release()
		t.release = nil
	}
	if !postponed {
		t.since = time.Time{}
	}
}
