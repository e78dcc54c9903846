package deploy

import (
	"context"
	"fmt"
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
	if r, ok := l.deployment.(services.Retirer); ok {
		r.Retire()
	}
	d.retiring.Go(func() { d.drain(l) })
}

func (d *Deployer) drain(l *live) {
	drain := Drain{Forced: !d.drained(l)}
	drain.Err = d.close(l)
	prefix, generation := l.service.Prefix, l.service.Current.Generation
	switch {
	case drain.Err != nil:
		d.log.Error("closing a retired version failed", "prefix", prefix, "generation", generation, "error", drain.Err)
	case drain.Forced:
		d.log.Warn("requests outlived the drain and were stopped", "prefix", prefix, "generation", generation)
	default:
		d.log.Debug("version retired", "prefix", prefix, "generation", generation)
	}
	d.cfg.Events.Retired(prefix, generation, drain)
	d.collectGarbage()
}

// drained waits for the requests on l and reports whether they all ended in time.
func (d *Deployer) drained(l *live) bool {
	timeout := time.NewTimer(d.cfg.DrainTimeout)
	defer timeout.Stop()
	select {
	case <-l.route.Drained():
		return true
	case <-timeout.C:
	case <-d.draining.Done():
	}
	select {
	case <-l.route.Drained():
		return true
	default:
	}
	if d.draining.Err() != nil {
		d.cut.Add(1)
	}
	return false
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

// Close ends all: no change is accepted any more and a deploy under way is broken off, new requests are answered 503,
// and those in flight are waited for until ctx ends and stopped then. It returns when every deployment is closed; the
// error says whether requests had to be stopped. The HTTP server should have been shut down before. A second call
// waits for the same and returns nil.
func (d *Deployer) Close(ctx context.Context) error {
	d.beginClosing() // a deploy under way ends soon; lock and wait for it, since what it has prepared must be closed
	d.writer <- struct{}{}
	if d.phase.Swap(phaseClosed) != phaseClosed {
		d.retireAllLocked()
	}
	<-d.writer
	stop := context.AfterFunc(ctx, d.stopDrain)
	defer stop()
	d.retiring.Wait()
	d.stopDrain()
	if cut := d.cut.Swap(0); cut > 0 {
		return fmt.Errorf("close: %w, on %d versions", ErrCutOff, cut)
	}
	return nil
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
	refuse := refusal{kind: problem.NotReady, detail: "the server is shutting down", cause: ErrClosed}
	var refusing []*router.Route
	for _, r := range routes(all) {
		b := r.Binding
		b.Handler = refuse
		refusing = append(refusing, router.NewRoute(b))
	}
	table, err := router.BuildTable(refusing)
	if err != nil { // the same prefixes have been built before
		panic("deploy: a table that was valid is not any more: " + err.Error())
	}
	return table
}
