package ratelimit

import (
	"math"
	"sync"
	"time"
)

// sweepGap is the least time between two searches of a full shard for keys that are not in use, in nanoseconds. A search
// takes some 10 us.
const sweepGap = int64(10 * time.Millisecond)

// sweepAge is the time after which a shard that gets a new key is searched although it is not full, in nanoseconds: the keys of clients
// that have left should not keep memory.
const sweepAge = int64(time.Minute)

// shard is a part of the keys.
type shard struct {
	mu       sync.Mutex
	cells    map[Key]cell // guarded by mu; nil before the first key
	rest     int64        // guarded by mu; the time of all keys that have no place
	shared   uint64       // guarded by mu; requests counted by rest
	searched int64        // guarded by mu; time of the last sweep
	untold   []Key        // guarded by mu; keys of cells with untold requests
	closed   bool         // guarded by mu; no key gets a place any more
	_        [128 - 72]byte
}

// cell is the state of a key.
type cell struct {
	at     int64 // time, as of Policy.take
	untold int64 // requests that the engine of a Sharing does not know
}

// take is Policy.take for a key. tell reports whether there is something to tell, and crowded whether the space of the limiter has no place.
func (s *shard) take(key Key, now int64, l *Limiter) (wait time.Duration, tell, crowded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.cells[key]
	if !ok {
		room := s.room(now, l)
		if crowded = room && !l.space.take(l); crowded || !room {
			s.shared++
			s.rest, wait = l.policy.take(s.rest, now)
			return wait, false, crowded
		}
		c.at = math.MinInt64
	}
	if c.at, wait = l.policy.take(c.at, now); wait > 0 {
		return wait, false, false
	}
	tell = l.sharing != nil
	if tell {
		if c.untold == 0 {
			s.untold = append(s.untold, key)
		}
		c.untold++
	}
	s.cells[key] = c
	return 0, tell, false
}

// collect appends the costs since the last call.
func (s *shard) collect(costs []Cost, p Policy) []Cost {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range s.untold {
		c := s.cells[key]
		costs = append(costs, Cost{Key: key, Time: time.Duration(c.untold) * p.Period})
		c.untold = 0
		s.cells[key] = c
	}
	s.untold = nil
	return costs
}

// learn takes over the time that a key has on all hosts. Requests that were admitted after they were collected follow it.
func (s *shard) learn(key Key, at int64, p Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.cells[key]; ok {
		c.at = at + c.untold*int64(p.Period)
		s.cells[key] = c
	}
}

// room reports whether there is a place for another key.
func (s *shard) room(now int64, l *Limiter) bool {
	if s.closed {
		return false
	}
	if s.cells == nil {
		s.cells = make(map[Key]cell)
	}
	full := len(s.cells) >= shardKeys
	if age := now - s.searched; full && age >= sweepGap || age >= sweepAge {
		s.sweep(now, l)
		full = len(s.cells) >= shardKeys
	}
	return !full
}

// sweep drops the keys whose burst is full, unless they have something to tell.
func (s *shard) sweep(now int64, l *Limiter) {
	s.searched = now
	before := len(s.cells)
	for key, c := range s.cells {
		if c.at <= now && c.untold == 0 {
			delete(s.cells, key)
		}
	}
	l.space.give(l, before-len(s.cells))
	if len(s.cells) < before/8 { // a map keeps its memory
		kept := make(map[Key]cell, len(s.cells))
		for key, c := range s.cells {
			kept[key] = c
		}
		s.cells = kept
	}
}

// search is sweep for others than the holder of the lock.
func (s *shard) search(now int64, l *Limiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now, l)
}

// close drops all keys.
func (s *shard) close(l *Limiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.space.give(l, len(s.cells))
	s.cells, s.untold, s.closed = nil, nil, true
}

func (s *shard) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Keys: len(s.cells), Shared: s.shared}
}
