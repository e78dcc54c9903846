package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services"
)

// discard closes what was prepared and never published.
func (d *Deployer) discard(l *live) {
	if err := d.close(l); err != nil {
		d.log.Error("closing a deployment that was not published failed", "prefix", l.service.Prefix, "error", err)
	}
}

// retire drains and closes a version that no published table has any more, on a goroutine that Close waits for.
// Called with the writer lock held.
func (d *Deployer) retire(l *live) {
	l.route.Retire()
	if l.startup != nil { // there is nothing to close, and what waits looks again
		close(l.startup.done)
		return
	}
	if r, ok := l.deployment.(services.Retirer); ok {
		r.Retire()
	}
	d.trackRetired(l)
	d.retiring.Go(func() { d.drain(l) })
}

// trackRetired notes a retired version. If its prefix has too many, the oldest is stopped.
func (d *Deployer) trackRetired(l *live) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := append(d.retired[l.service.Prefix], l)
	d.retired[l.service.Prefix] = all
	for _, old := range all[:max(0, len(all)-d.cfg.MaxRetired)] {
		select {
		case old.stop <- struct{}{}:
		default: // told before
		}
	}
}

func (d *Deployer) untrackRetired(l *live) {
	d.mu.Lock()
	defer d.mu.Unlock()
	prefix := l.service.Prefix
	d.retired[prefix] = slices.DeleteFunc(d.retired[prefix], func(other *live) bool { return other == l })
	if len(d.retired[prefix]) == 0 {
		delete(d.retired, prefix)
	}
}

func (d *Deployer) drain(l *live) {
	reason := d.drained(l)
	drain := Drain{Forced: reason != ""}
	drain.Err = d.close(l)
	d.untrackRetired(l)
	prefix, generation := l.service.Prefix, l.service.Current.Generation
	switch {
	case drain.Err != nil:
		d.log.Error("closing a retired version failed", "prefix", prefix, "generation", generation, "error", drain.Err)
	case drain.Forced:
		d.log.Warn("requests on a retired version were stopped", "prefix", prefix, "generation", generation, "reason", reason)
	default:
		d.log.Debug("version retired", "prefix", prefix, "generation", generation)
	}
	d.cfg.Events.Retired(prefix, generation, drain)
	d.collectGarbage()
}

// drained waits for the requests on l. The reason is empty if they all ended in time.
func (d *Deployer) drained(l *live) (reason string) {
	select {
	case <-l.route.Drained():
		return ""
	default:
	}
	d.log.Info("version goes on for the requests that it has", "prefix", l.service.Prefix,
		"generation", l.service.Current.Generation, "requests", l.route.InUse(), "at_most", d.cfg.RetireAfter)
	if l.deployment.Status().Warm > 0 { // instances without a request hold slots that the next version wants
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
	}
	return reason
}

// collectGarbage follows what may have taken the last name from a blob. An orphan harms nobody, so a failure is only
// logged.
func (d *Deployer) collectGarbage() {
	deleted, err := d.cfg.Registry.CollectGarbage(context.Background())
	if err != nil {
		d.log.Warn("collecting blobs that no version names failed", "error", err)
	}
	if len(deleted) > 0 {
		d.log.Debug("blobs that no version names were deleted", "count", len(deleted))
		d.cfg.Events.Collected(deleted)
	}
}

// BeginClose is the first step of Close: no change is accepted any more, and those under way are broken off. Requests go on.
func (d *Deployer) BeginClose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.beginClosing()
}

// Close ends all: no change is accepted any more and those under way are broken off, new requests are answered 503, and those in flight are
// waited for until ctx ends and stopped then. It returns when every deployment is closed; the error says whether requests
// had to be stopped, or matches ErrStuck. The HTTP server should have been shut down before. A second call waits for the
// same and returns nil.
func (d *Deployer) Close(ctx context.Context) error {
	d.BeginClose()
	d.changes.Wait() // soon, as prepare does not wait for kinds any more
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

// awaitPreparing waits for preparations that were told to stop, for CloseTimeout.
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

// retireAllLocked publishes a table that refuses everything, and retires all that is live.
func (d *Deployer) retireAllLocked() {
	all := d.snapshot()
	d.cfg.Router.Publish(d.refusingTable(all))
	for _, l := range all {
		d.replace(l.service.Prefix, nil)
		d.retire(l)
	}
}

func (d *Deployer) refusingTable(all []*live) *router.Table {
	refuse := refusal{kind: problem.NotReady, detail: "the server is shutting down", cause: ErrClosed, state: services.StateFailed}
	var refusing []*router.Route
	for _, r := range routes(all) {
		b := r.Binding
		b.Handler, b.Await = refuse, nil
		refusing = append(refusing, router.NewRoute(b))
	}
	table, err := router.BuildTable(refusing)
	if err != nil { // the same prefixes have been built before
		panic("deploy: a table that was valid is not any more: " + err.Error())
	}
	return table
}
