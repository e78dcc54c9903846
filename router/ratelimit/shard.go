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
	times    map[Key]int64 // guarded by mu; nil before the first key
	rest     int64         // guarded by mu; the time of all keys that have no place
	shared   uint64        // guarded by mu; requests counted by rest
	searched int64         // guarded by mu; time of the last sweep
	_        [128 - 48]byte
}

// take is Policy.take for a key.
func (s *shard) take(key Key, now int64, p Policy) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.times[key]
	if !ok {
		if !s.room(now) {
			s.shared++
			s.rest, wait = p.take(s.rest, now)
			return wait
		}
		at = math.MinInt64
	}
	if at, wait = p.take(at, now); wait == 0 {
		s.times[key] = at
	}
	return wait
}

// room reports whether there is a place for another key.
func (s *shard) room(now int64) bool {
	if s.times == nil {
		s.times = make(map[Key]int64)
	}
	full := len(s.times) >= shardKeys
	if age := now - s.searched; full && age >= sweepGap || age >= sweepAge {
		s.sweep(now)
		full = len(s.times) >= shardKeys
	}
	return !full
}

// sweep drops the keys whose burst is full.
func (s *shard) sweep(now int64) {
	s.searched = now
	before := len(s.times)
	for key, at := range s.times {
		if at <= now {
			delete(s.times, key)
		}
	}
	if len(s.times) < before/8 { // a map keeps its memory
		kept := make(map[Key]int64, len(s.times))
		for key, at := range s.times {
			kept[key] = at
		}
		s.times = kept
	}
}

func (s *shard) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Keys: len(s.times), Shared: s.shared}
}
