package deploy

import (
	"context"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// Bounds of the idle loop.
const (
	scaleTimeout = 10 * time.Second // for one Scale
	idleRoundGap = time.Second      // least time between two rounds
	// idleRounds is how many rounds there are at least in the shortest time that the policy names. A service that was
	// used after the last round had found it cold is noticed late by one such part; all others in time.
	idleRounds = 4
)

// RunIdle gives back what idle services hold, as Config.Idle says, until ctx ends or Close is called. It returns at
// once if the policy is never to. Its caller owns the goroutine; one is enough.
func (d *Deployer) RunIdle(ctx context.Context) {
	longest := shortestBound(d.cfg.Idle) / idleRounds
	if longest <= 0 {
		return
	}
	timer := time.NewTimer(longest)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-d.closing.Done():
			return
		case <-ctx.Done():
			return
		}
		next := d.idleRound(ctx, time.Now(), longest)
		timer.Reset(max(time.Until(next), min(idleRoundGap, longest)))
	}
}

// shortestBound is the shortest time after which the policy asks for anything; zero if it never does.
func shortestBound(p registry.IdlePolicy) time.Duration {
	switch {
	case p.Idle <= 0:
		return max(p.EvictCode, 0)
	case p.EvictCode <= 0:
		return p.Idle
	}
	return min(p.Idle, p.EvictCode)
}

// idleRound decides about every service, carries it out, and gives the time of the next round: when the first of them
// is due, or after the longest wait.
func (d *Deployer) idleRound(ctx context.Context, now time.Time, longest time.Duration) time.Time {
	next := now.Add(longest)
	for _, l := range d.snapshot() {
		if l.startup != nil {
			continue
		}
		action, again := registry.DecideIdle(now, l.usage(), d.cfg.Idle)
		switch action {
		case registry.ReleaseSlots:
			d.scale(ctx, l, services.ScaleToZero)
		case registry.EvictCode:
			d.scale(ctx, l, services.EvictCode)
		}
		if !again.IsZero() && again.Before(next) {
			next = again
		}
	}
	return next
}

// usage is what the decision looks at. A request counts from its wait in the queue to the release of the limiter. What has no guest ABI
// has no code.
func (l *live) usage() registry.Usage {
	status, limiter := l.deployment.Status(), l.limiter.Stats()
	used := l.since
	for _, t := range []time.Time{status.LastUsed, limiter.LastUsed} {
		if t.After(used) {
			used = t
		}
	}
	return registry.Usage{
		LastUsed: used,
		Warm:     status.Warm,
		Compiled: status.ABI != "" && (status.State == services.StateReady || status.State == services.StateIdle),
		InFlight: max(status.InFlight, limiter.InFlight+limiter.Queued),
	}
}

// scale carries a decision out, unless the version was retired meanwhile. A failure is tried again in a later round.
func (d *Deployer) scale(ctx context.Context, l *live, to services.Scale) {
	l.scaleMu.Lock()
	defer l.scaleMu.Unlock()
	if l.closed {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, scaleTimeout)
	defer cancel()
	defer context.AfterFunc(d.closing, cancel)()
	err := guarded(ctx, d.log, "scale", func() error { return l.deployment.Scale(ctx, to) })
	if err != nil {
		d.log.Warn("scaling an idle service failed", "prefix", l.service.Prefix, "to", to.String(), "error", err)
	} else {
		d.log.Debug("idle service scaled", "prefix", l.service.Prefix, "to", to.String())
	}
	d.cfg.Events.Scaled(l.service.Prefix, to, err)
}
