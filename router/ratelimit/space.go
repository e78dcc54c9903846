package ratelimit

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// MaxAllKeys is the maximum number of keys of all limiters of a server.
const MaxAllKeys = 16 * MaxKeys

// share bounds the keys of a limiter: it may have at most share times the places that are left, so that none takes them all.
const share = 3

// spaceGap is the least time between two searches for keys that are not in use, each of one shard, while a Space is full.
const spaceGap = time.Millisecond

// Space bounds the keys of several limiters together. It is safe for concurrent use. Create it with NewSpace; nil has no bound.
type Space struct {
	left atomic.Int64 // places for keys

	mu       sync.Mutex
	limiters []*Limiter // guarded by mu; that are not closed
	next     int        // guarded by mu; shard of a limiter that is searched next: the index in limiters, and in shards above it
	searched time.Time  // guarded by mu; last search
}

// NewSpace returns a Space for a number of keys.
func NewSpace(keys int) *Space {
	s := &Space{}
	s.left.Store(int64(keys))
	return s
}

// take takes the place of a key of a limiter, and reports whether there was one.
func (s *Space) take(l *Limiter) bool {
	if s == nil {
		return true
	}
	left, held := s.left.Add(-1), l.held.Add(1)
	if left >= 0 && held/share <= left {
		return true
	}
	s.give(l, 1)
	return false
}

// give returns places of a limiter.
func (s *Space) give(l *Limiter, places int) {
	if s != nil {
		l.held.Add(-int64(places))
		s.left.Add(int64(places))
	}
}

// add adds a limiter, whose keys are searched when the space is full.
func (s *Space) add(l *Limiter) {
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.limiters = append(s.limiters, l)
	}
}

func (s *Space) remove(l *Limiter) {
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.limiters = slices.DeleteFunc(s.limiters, func(o *Limiter) bool { return o == l })
	}
}

// reclaim searches one shard for keys that are not in use, the next one at each call. No shard may be locked.
func (s *Space) reclaim(now time.Time) {
	if l, i := s.turn(now); l != nil {
		if table := l.known(); table != nil {
			table[i].search(int64(now.Sub(l.start)), l)
		}
	}
}

// turn returns the shard to search now, no limiter if the last search was just before.
func (s *Space) turn(now time.Time) (l *Limiter, i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.limiters) == 0 || now.Sub(s.searched) < spaceGap {
		return nil, 0
	}
	s.searched = now
	l, i = s.limiters[s.next%len(s.limiters)], s.next/len(s.limiters)%shards // the only ones with another number have no space
	s.next++
	return l, i
}
