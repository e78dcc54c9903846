package journal

import "time"

// drain writes what the inboxes have, and hands it to the followers.
func (j *Journal) drain(last bool) {
	j.removeGone()
	now := time.Now()
	var spare []item
	for _, b := range *j.inboxes.Load() {
		if !b.dirty.Load() {
			continue
		}
		items := b.take(now, last, spare)
		spare = nil
		if len(items) == 0 {
			continue
		}
		j.write(b, items)
		if cap(items) <= keepItems {
			clear(items)
			spare = items
		}
	}
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

// write numbers and writes the items of a service.
func (j *Journal) write(b *inbox, items []item) {
	j.mu.Lock()
	defer j.mu.Unlock()
	entries := make([]Entry, 0, len(items))
	var lines []byte
	ends := make([]int, 0, len(items))
	first := j.last + 1
	for i := range items {
		e := items[i].entry(j.last + 1)
		longer, err := e.appendTo(lines)
		if err != nil { // no text or record can cause that
			continue
		}
		j.last++
		lines = longer
		entries, ends = append(entries, e), append(ends, len(lines))
	}
	s := j.stores[b.name]
	if s == nil {
		s = &store{dir: directoryOf(b.name)}
		j.stores[b.name] = s
	}
	before := s.bytes
	err := s.append(j.root, first, lines, max(1, j.cfg.ServiceBytes/segmentShare))
	j.bytes += s.bytes - before
	j.noteLocked(b, items, err)
	j.shrinkLocked(s)
	begin := 0
	for i, end := range ends {
		for f := range j.followers {
			f.offer(&entries[i], lines[begin:end])
		}
		begin = end
	}
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
	b.lose(items, err.Error())
	if j.failed == "" {
		j.failed = err.Error()
		j.cfg.Log.Error("the logs of services cannot be kept: requests are served without", "error", err)
	}
}

// shrinkLocked removes the oldest segments of a service, and of all, until they have their sizes.
func (j *Journal) shrinkLocked(s *store) {
	for len(s.segments) > 1 && (s.bytes > j.cfg.ServiceBytes || len(s.segments) > maxSegments) {
		j.removeOldestLocked(s)
	}
	for j.bytes > j.cfg.TotalBytes {
		var oldest *store
		for _, other := range j.stores {
			if len(other.segments) > 0 && (oldest == nil || other.segments[0].first < oldest.segments[0].first) {
				oldest = other
			}
		}
		if oldest == nil {
			return
		}
		j.removeOldestLocked(oldest)
	}
}

func (j *Journal) removeOldestLocked(s *store) {
	before := s.bytes
	if err := s.removeOldest(j.root); err != nil {
		j.cfg.Log.Warn("an old part of a service's log could not be removed", "directory", s.dir, "error", err)
	}
	j.bytes -= before - s.bytes
}
