package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
)

// discard closes a version that was never published.
func (d *Deployer) discard(l *live) {
	if err := d.close(l); err != nil {
		d.log.Error("closing a deployment that was not published failed", "prefix", l.service.Key, "error", err)
	}
}

// retire drains and closes a version that is no longer in the published table, on a goroutine that Close
// waits for. It is called with the writer lock held.
func (d *Deployer) retire(l *live) {
	l.route.Retire()
	l.emptyCache()
	if l.startup != nil { // waiting requests look up their route again
		close(l.startup.done)
		if !l.relays { // nothing to close
			return
		}
	}
	if r, ok := l.deployment.(services.Retirer); ok {
		r.Retire()
	}
	if f, ok := l.deployment.(services.Forgetter); ok && d.phase.Load() != phaseClosed {
		f.Forget()
	}
	d.trackRetired(l)
	d.retiring.Go(func() { d.drain(l) })
}

// trackRetired records a retired version. If its prefix has more than MaxRetired, the oldest is stopped.
func (d *Deployer) trackRetired(l *live) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := append(d.retired[l.service.Key], l)
	d.retired[l.service.Key] = all
	for _, old := range all[:max(0, len(all)-d.cfg.MaxRetired)] {
		select {
		case old.stop <- struct{}{}:
		default: // already told
		}
	}
}

func (d *Deployer) untrackRetired(l *live) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := l.service.Key
	d.retired[key] = slices.DeleteFunc(d.retired[key], func(other *live) bool { return other == l })
	if len(d.retired[key]) == 0 {
		delete(d.retired, key)
	}
}

func (d *Deployer) drain(l *live) {
	reason := d.drained(l)
	drain := Drain{Forced: reason != ""}
	drain.Err = d.close(l)
	d.untrackRetired(l)
	key, generation := l.service.Key, l.service.Current.Generation
	switch {
	case drain.Err != nil:
		d.log.Error("closing a retired version failed", "prefix", key, "generation", generation, "error", drain.Err)
	case drain.Forced:
		d.log.Warn("requests on a retired version were stopped", "prefix", key, "generation", generation, "reason", reason)
	default:
		d.log.Debug("version retired", "prefix", key, "generation", generation)
	}
	d.cfg.Events.Retired(key, generation, drain)
	d.collectGarbage()
}

// drained waits for the requests on l. The reason is empty if all of them ended in time.
func (d *Deployer) drained(l *live) (reason string) {
	select {
	case <-l.route.Drained():
		return ""
	default:
	}
	d.log.Info("version goes on for the requests that it has", "prefix", l.service.Key,
		"generation", l.service.Current.Generation, "requests", l.route.InUse(), "at_most", d.cfg.RetireAfter)
	if l.deployment.Status().Warm > 0 { // instances without a request hold slots that the next version needs
		d.scale(context.Background(), l, services.ScaleToZero)
	}
	timeout := time.NewTimer(d.cfg.RetireAfter)
	defer timeout.Stop()
	select {
	case <-l.route.Drained():
		return ""
	case <-timeout.C:
		reason = "the time to retire is over"
	case <-l.stop:
		reason = "the service has too many retired versions"
	case <-d.draining.Done():
		reason = "the server ends"
	}
	select {
	case <-l.route.Drained():
		return ""
	default:
	}
	if d.draining.Err() != nil {
		d.cut.Add(1)
	} else {
		d.acts.versions.Add(1)
	}
	return reason
}

// collectGarbage is called after changes that may have left a blob unreferenced. Calls during a collection return at
// once: it is repeated for all of them. An Apply of many services would otherwise start one collection for each.
func (d *Deployer) collectGarbage() {
	if d.garbage.Add(1) > 1 {
		return
	}
	for {
		calls := d.garbage.Load()
		d.collectOnce()
		if d.garbage.CompareAndSwap(calls, 0) {
			return
		}
	}
}

// collectOnce collects garbage. An orphan is harmless, so failures are only logged.
func (d *Deployer) collectOnce() {
	deleted, err := d.cfg.Registry.CollectGarbage(context.Background())
	if err != nil {
		d.log.Warn("collecting blobs that no version names failed", "error", err)
	}
	if len(deleted) > 0 {
		d.log.Debug("blobs that no version names were deleted", "count", len(deleted))
		d.cfg.Events.Collected(deleted)
	}
}

// BeginClose is the first step of Close: it refuses new changes and aborts those in progress. Requests
// continue.
func (d *Deployer) BeginClose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.beginClosing()
}

// Close refuses new changes, aborts those in progress, answers new requests with 503 and waits for the
// requests in flight until ctx ends, when it stops them. It returns when every deployment is closed. The
// error matches ErrCutOff if requests had to be stopped, and ErrStuck if a preparation does not stop. Shut
// the HTTP server down first. A second call waits as well and does not report ErrCutOff again.
func (d *Deployer) Close(ctx context.Context) error {
	d.BeginClose()
	d.changes.Wait() // soon, as prepare no longer waits for kinds
	d.writer <- struct{}{}
	if d.phase.Swap(phaseClosed) != phaseClosed {
		d.retireAllLocked()
	}
	<-d.writer
	stop := context.AfterFunc(ctx, d.stopDrain)
	defer stop()
	d.retiring.Wait()
	stuck := d.awaitPreparing()
	d.stopDrain()
	if cut := d.cut.Swap(0); cut > 0 {
		return errors.Join(fmt.Errorf("close: %w, on %d versions", ErrCutOff, cut), stuck)
	}
	return stuck
}

// awaitPreparing waits at most CloseTimeout for preparations that were told to stop.
func (d *Deployer) awaitPreparing() error {
	ended := make(chan struct{})
	go func() { // outlives this call if a kind is stuck, until the process ends
		d.preparing.Wait()
		close(ended)
	}()
	patience := time.NewTimer(d.cfg.CloseTimeout)
	defer patience.Stop()
	select {
	case <-ended:
		return nil
	case <-patience.C:
	}
	return fmt.Errorf("close: %w", ErrStuck)
}

// retireAllLocked publishes a table that refuses all requests, and retires all live versions.
func (d *Deployer) retireAllLocked() {
	all := d.placements()
	d.publishLocked(d.refusingTable(all), nil, servedKeys(all))
}

func (d *Deployer) refusingTable(all []*placement) *router.Table {
	refuse := refusal{kind: problem.NotReady, detail: "the server is shutting down", cause: ErrClosed, state: services.StateFailed}
	var refusing []*router.Route
	for _, p := range all {
		if p.all[0].unroutable {
			continue
		}
		b := p.all[0].route.Binding
		b.Handler, b.Await, b.Passable = refuse, nil, false
		refusing = append(refusing, router.NewRoute(b))
	}
	table, err := router.BuildTable(refusing)
	if err != nil { // the same prefixes have been built before
		panic("deploy: a table that was valid is not any more: " + err.Error())
	}
	return table
}
