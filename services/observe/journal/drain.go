package journal

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"time"
)

// batch has the entries of a service that are written together.
type batch struct {
	inbox *inbox
	items []item
	first uint64 // number of the first entry
	lines []byte
}

// written is an entry with its line.
type written struct {
	Entry
	line []byte
}

// drain writes the entries of the inboxes, and hands them to the followers, in the order of their numbers: a follower goes
// on with the number of the last entry that it has.
func (j *Journal) drain(last bool) {
	j.draining.Lock()
	defer j.draining.Unlock()
	j.removeGone()
	var batches []*batch
	now := time.Now()
	for b := range j.allInboxes() {
		if b.dirty.Load() {
			if items := b.take(now, last); len(items) > 0 {
				batches = append(batches, &batch{inbox: b, items: items})
			}
		}
	}
	if len(batches) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	all := j.numberLocked(batches)
	for _, b := range batches {
		j.writeLocked(b)
	}
	for i := range all {
		for f := range j.followers {
			f.offer(&all[i].Entry, all[i].line)
		}
	}
}

// numberLocked gives numbers to the entries in the order of their times, and encodes them. It returns them if there are followers.
func (j *Journal) numberLocked(batches []*batch) (all []written) {
	type place struct {
		of   *batch
		item *item
	}
	var order []place
	for _, b := range batches {
		for i := range b.items {
			order = append(order, place{b, &b.items[i]})
		}
	}
	slices.SortStableFunc(order, func(a, b place) int { return a.item.Time.Compare(b.item.Time) })
	for _, p := range order {
		e := p.item.entry(j.last + 1)
		j.last++
		if p.of.first == 0 {
			p.of.first = e.N
		}
		from := len(p.of.lines)
		p.of.lines = e.appendTo(p.of.lines)
		if len(j.followers) > 0 {
			all = append(all, written{e, bytes.Clone(p.of.lines[from:])})
		}
	}
	return all
}

// removeGone removes the files of removed services.
func (j *Journal) removeGone() {
	j.adding.Lock()
	gone := j.gone
	j.gone = nil
	j.adding.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, name := range gone {
		s := j.stores[name]
		if s == nil {
			continue
		}
		delete(j.stores, name)
		j.bytes -= s.bytes
		if err := j.root.RemoveAll(s.dir); err != nil {
			j.cfg.Log.Warn("the log of a removed service could not be removed", "service", name, "error", err)
		}
	}
}

// writeLocked writes the lines of a batch.
func (j *Journal) writeLocked(b *batch) {
	s := j.stores[b.inbox.name]
	if s == nil {
		s = &store{dir: directoryOf(b.inbox.name)}
		j.stores[b.inbox.name] = s
	}
	before := s.bytes
	err := s.append(j.root, b.first, b.lines, max(1, j.cfg.ServiceBytes/segmentShare))
	j.bytes += s.bytes - before
	j.noteLocked(b.inbox, b.items, err)
	j.shrinkLocked(s)
}

// noteLocked counts written or lost entries. The first of several failures in a row is logged.
func (j *Journal) noteLocked(b *inbox, items []item, err error) {
	if err == nil {
		j.stats.Written += uint64(len(items))
		if j.failed != "" {
			j.failed = ""
			j.cfg.Log.Info("the logs of services are kept again")
		}
		return
	}
	j.stats.Lost += uint64(len(items))
	b.lose(items, reasonOf(err))
	if j.failed == "" {
		j.failed = err.Error()
		j.cfg.Log.Error("the logs of services cannot be kept: requests are served without", "error", err)
	}
}

// reasonOf returns the reason of a failure for the readers of a log, without paths of the server.
func reasonOf(err error) string {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return "they could not be written: " + failed.Err.Error()
	}
	return "they could not be written"
}

// shrinkLocked removes the oldest segments of a service, and of the services with the most, until they have their sizes: one
// with much output, or with many services, takes no room that others need.
func (j *Journal) shrinkLocked(s *store) {
	for len(s.segments) > 1 && (s.bytes > j.cfg.ServiceBytes || len(s.segments) > maxSegments) {
		j.removeOldestLocked(s)
	}
	for j.bytes > j.cfg.TotalBytes {
		var largest *store
		for _, other := range j.stores {
			if len(other.segments) > 0 && (largest == nil || other.bytes > largest.bytes) {
				largest = other
			}
		}
		if largest == nil {
			return
		}
		j.removeOldestLocked(largest)
	}
}

func (j *Journal) removeOldestLocked(s *store) {
	before := s.bytes
	if err := s.removeOldest(j.root); err != nil {
		j.cfg.Log.Warn("an old part of a service's log could not be removed", "directory", s.dir, "error", err)
	}
	j.bytes -= before - s.bytes
}
