package deploy

import (
	"context"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// Bounds of the idle loop.
const (
	scaleTimeout = 10 * time.Second // of one Scale
	idleRoundGap = time.Second      // minimum between two rounds
	// idleRounds is the minimum number of rounds within the shortest time of the policy. A service used after
	// a round found it cold is noticed up to one such fraction late; all others are noticed in time.
	idleRounds = 4
)

// RunIdle releases the resources of idle services as configured by Config.Idle, until ctx ends or Close is
// called. It returns at once if the policy is disabled. The caller provides the goroutine; one is enough.
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

// shortestBound returns the shortest time of the policy, or zero if the policy is disabled.
func shortestBound(p registry.IdlePolicy) time.Duration {
	switch {
	case p.Idle <= 0:
		return max(p.EvictCode, 0)
	case p.EvictCode <= 0:
		return p.Idle
	}
	return min(p.Idle, p.EvictCode)
}

// idleRound scales the services that are due and returns the time of the next round: when the next service is
// due, but no later than after longest.
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

// usage returns the input of the idle decision. A request counts from queueing until it releases the limiter.
// Services without a guest ABI have no code.
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

// scale scales a version unless it was retired meanwhile. A later round retries failures.
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
		d.log.Warn("scaling an idle service failed", "prefix", l.service.Key, "to", to.String(), "error", err)
	} else {
		d.log.Debug("idle service scaled", "prefix", l.service.Key, "to", to.String())
	}
	d.cfg.Events.Scaled(l.service.Key, to, err)
}
