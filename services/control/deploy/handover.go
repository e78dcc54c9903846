package deploy

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// handover is a service whose start has ended.
type handover struct {
	to      *live  // prepared, or a refusal
	release func() // releases the claim
}

// handOverAll hands over the services of a start, in batches, until finished is closed.
func (d *Deployer) handOverAll(ctx context.Context, finished <-chan handover) {
	var batch []handover
	var pace pace
	timer := time.NewTimer(0)
	defer timer.Stop()
	awaited := false
	for open := true; open || len(batch) > 0; {
		began := time.Now()
		wait := pace.wait(began, awaited)
		if !open || len(batch) > 0 && wait <= 0 {
			d.handOver(ctx, batch)
			batch, awaited = nil, false
			pace.ran(began, time.Now())
			continue
		}
		var due <-chan time.Time
		if len(batch) > 0 {
			timer.Reset(wait)
			due = timer.C
		}
		var h handover
		select {
		case h, open = <-finished:
			if open {
				batch = append(batch, h)
				awaited = awaited || d.awaited(h.to.service.Key)
			}
		case <-d.hurry:
			awaited = true
		case <-due:
		}
	}
}

// awaited reports whether requests wait for the start of a service.
func (d *Deployer) awaited(key routekey.Key) bool {
	p := d.placementAt(key)
	d.mu.Lock()
	defer d.mu.Unlock()
	return p != nil && slices.ContainsFunc(p.all, func(l *live) bool { return l.startup != nil && l.startup.waiting > 0 })
}

// pace bounds the time that a start spends on tables. A table takes time in proportion to all services, and a start of many
// services would make one for each.
type pace struct {
	took  time.Duration // of the last table
	ended time.Time
}

// The pause after a table, as a multiple of the time that it took.
const (
	pauseTables   = 10
	awaitedTables = 1 // requests wait for the next one
)

// wait returns the time until the next table.
func (p *pace) wait(now time.Time, awaited bool) time.Duration {
	pause := pauseTables * p.took
	if awaited {
		pause = awaitedTables * p.took
	}
	return p.ended.Add(pause).Sub(now)
}

// ran records the time of a table.
func (p *pace) ran(began, ended time.Time) { p.took, p.ended = ended.Sub(began), ended }

// handOver publishes the prepared versions.
func (d *Deployer) handOver(ctx context.Context, batch []handover) {
	d.writer <- struct{}{} // others hold it only briefly
	defer func() { <-d.writer }()
	if d.interrupted(ctx) != nil {
		for _, h := range batch {
			d.discard(h.to)
			h.release()
		}
		return
	}
	placed := d.placeStarted(ctx, batch)
	all := d.with(placed, nil)
	table, err := d.buildTable(all)
	if err != nil { // the same prefixes have been built before
		panic("deploy: a table that was valid is not any more: " + err.Error())
	}
	d.publishLocked(table, placed, nil)
	for _, h := range batch {
		h.release()
	}
}

// placeStarted returns the placements of the services of a batch, with the prepared versions. One that cannot be beside the others is replaced by a
// refusal.
func (d *Deployer) placeStarted(ctx context.Context, batch []handover) []*placement {
	changed := make(map[routekey.Key]bool)
	for _, h := range batch {
		changed[h.to.service.Key] = true
	}
	beside := versionsOf(slices.DeleteFunc(d.placements(), func(p *placement) bool { return changed[p.service.Key] }))
	placed := make(map[routekey.Key]*placement)
	for _, h := range batch {
		l := h.to
		beside = append(beside, l)
		if err := checkNeighbours([]*live{l}, beside); err != nil { // one was deployed while the other had failed
			d.discard(l)
			p := d.placementAt(l.service.Key)
			l = d.newLiveOr(ctx, versionIn{p.service, l.number(), p.generation}, nil, err)
			beside[len(beside)-1] = l
		}
		key := l.service.Key
		if placed[key] == nil {
			placed[key] = d.placementAt(key)
		}
		placed[key] = d.replacing(placed[key], l)
	}
	return slices.Collect(maps.Values(placed))
}
