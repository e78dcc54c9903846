package cache

import (
	"container/list"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// Shares of Config.Bytes.
const (
	entryShare     = 16 // one answer has at most this part
	recordingShare = 4  // answers that are being recorded have at most this part
)

// Limits that are independent of the memory.
const (
	maxVariants = 32               // answers of one target, by Vary
	marks       = 1024             // targets known to be not storable
	markTime    = 30 * time.Second // time for which such a target is known
	// MaxWait is the longest time that a request waits for the answer to another one.
	MaxWait = 5 * time.Second
)

// Store bounds the memory of all caches of a server. Create it with NewStore. It is safe for concurrent use and starts no
// goroutines.
type Store struct {
	limit int64        // immutable; bytes
	seed  maphash.Seed // immutable

	sharing *Sharing // set by Share, then immutable; nil: there is no second level

	mu        sync.Mutex
	used      int64                          // guarded by mu: bytes of entries that are stored or still read, and of recordings
	recording int64                          // guarded by mu: bytes of recordings
	recent    *list.List                     // guarded by mu: of *entry, the most recently used first
	services  map[string]map[*Cache]struct{} // guarded by mu: open caches, by the name of their service
	active    int                            // guarded by mu: caches that have entries
	marked    [marks]mark                    // guarded by mu

	counts counts
}

// mark notes a target whose answers are not storable: requests for it do not wait for each other.
type mark struct {
	hash  uint64
	until time.Time
}

// counts are atomic.
type counts struct {
	hits, stale, misses, rescued, passed, collapsed, stored, evicted, refused, invalidated atomic.Uint64
}

// Stats describes a store.
type Stats struct {
	LimitBytes int64
	UsedBytes  int64 // of answers that are stored, recorded or still sent
	Entries    int   // stored answers

	// Counts of requests to services with a cache, since NewStore.
	Hits      uint64 // answered from the cache, Stale included
	Stale     uint64 // of these, with an answer that was no longer fresh
	Misses    uint64 // passed on, as no stored answer could be used
	Rescued   uint64 // of these, answered with a stale answer, as the service failed
	Passed    uint64 // passed on, as the cache is not for them: other methods, ranges, clients that refuse it
	Collapsed uint64 // waited for the answer to another request

	// Counts of answers.
	Stored      uint64
	Evicted     uint64 // removed for others
	Refused     uint64 // not stored, as they were too large, or no memory was left for recording them
	Invalidated uint64 // removed by requests that change their target, or on demand
}

// NewStore returns an empty store that uses at most limit bytes.
func NewStore(limit int64) *Store {
	return &Store{limit: limit, seed: maphash.MakeSeed(), recent: list.New(), services: make(map[string]map[*Cache]struct{})}
}

// Stats returns the current state.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		LimitBytes:  s.limit,
		UsedBytes:   s.used,
		Entries:     s.recent.Len(),
		Hits:        s.counts.hits.Load(),
		Stale:       s.counts.stale.Load(),
		Misses:      s.counts.misses.Load(),
		Rescued:     s.counts.rescued.Load(),
		Passed:      s.counts.passed.Load(),
		Collapsed:   s.counts.collapsed.Load(),
		Stored:      s.counts.stored.Load(),
		Evicted:     s.counts.evicted.Load(),
		Refused:     s.counts.refused.Load(),
		Invalidated: s.counts.invalidated.Load(),
	}
}

// Open returns an empty cache for a version of a service, whose answers are not shared with other hosts. The caller closes it.
func (s *Store) Open(service string) *Cache { return s.OpenShared(service, "") }

// OpenShared is Open for a version whose answers are shared if the store is: with the caches of other hosts that have the same service
// and version. No other version of the service, earlier or later, may have this text.
func (s *Store) OpenShared(service, version string) *Cache {
	c := &Cache{store: s, service: service, version: version, entries: make(map[Key][]*entry), flights: make(map[Key]*flight), recent: list.New()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.services[service] == nil {
		s.services[service] = make(map[*Cache]struct{})
	}
	s.services[service][c] = struct{}{}
	return c
}

// Purge removes all answers of a service, and returns their number on this host. Answers that are being recorded are not stored.
func (s *Store) Purge(service string) (removed int) {
	removed = s.purge(service)
	if s.sharing != nil {
		s.sharing.remove(service, Key{}, nil)
	}
	return removed
}

// purge is Purge for this host.
func (s *Store) purge(service string) (removed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.services[service] {
		removed += c.recent.Len()
		c.clear()
	}
	s.counts.invalidated.Add(uint64(removed))
	return removed
}

// empty removes all answers of this host.
func (s *Store) empty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, caches := range s.services {
		for c := range caches {
			s.counts.invalidated.Add(uint64(c.recent.Len()))
			c.clear()
		}
	}
}

// invalidate removes the answers to a target in all versions of a service, on this host. It returns their keys in the second level.
func (s *Store) invalidate(service string, key Key) (answers []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.services[service] {
		for len(c.entries[key]) > 0 {
			s.remove(c.entries[key][0])
			s.counts.invalidated.Add(1)
		}
		if f := c.flights[key]; f != nil {
			f.epoch++
		}
		if s.sharing != nil && c.version != "" {
			answers = append(answers, namesOf(service, c.version, key).answers)
		}
	}
	return answers
}

// maxEntry returns the most bytes of one answer.
func (s *Store) maxEntry() int64 { return s.limit / entryShare }

// makeRoom evicts entries until n more bytes fit. A cache with more than its part of the memory evicts its own answers, so that it
// cannot push out those of all others. It reports false if too much is still read. s.mu is held.
func (s *Store) makeRoom(c *Cache, n int64) bool {
	for s.used+n > s.limit {
		victim := s.recent.Back()
		if own := c.recent.Back(); own != nil && c.used+n > s.limit/int64(max(1, s.active)) {
			victim = own
		}
		if victim == nil {
			return false
		}
		s.remove(victim.Value.(*entry))
		s.counts.evicted.Add(1)
	}
	return true
}

// insert stores an entry for which there is room. s.mu is held.
func (s *Store) insert(e *entry) {
	c := e.cache
	if c.recent.Len() == 0 {
		s.active++
	}
	e.recent, e.own = s.recent.PushFront(e), c.recent.PushFront(e)
	c.entries[e.key] = append(c.entries[e.key], e)
	c.used += e.size
	s.used += e.size
	s.counts.stored.Add(1)
}

// remove removes a stored entry. Its bytes count until it is not read any more. s.mu is held.
func (s *Store) remove(e *entry) {
	c := e.cache
	s.recent.Remove(e.recent)
	c.recent.Remove(e.own)
	e.recent, e.own = nil, nil
	c.used -= e.size
	if c.recent.Len() == 0 {
		s.active--
	}
	if e.readers == 0 {
		s.used -= e.size
	}
	left := c.entries[e.key]
	for i, other := range left {
		if other == e {
			left = append(left[:i:i], left[i+1:]...)
			break
		}
	}
	if c.entries[e.key] = left; len(left) == 0 {
		delete(c.entries, e.key)
	}
}

// release ends a use of an entry.
func (s *Store) release(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked(e)
}

// releaseLocked is release with s.mu held.
func (s *Store) releaseLocked(e *entry) {
	if e.readers--; e.readers == 0 && e.recent == nil {
		s.used -= e.size
	}
}

// reserve takes memory for a recording, and reports whether there is enough.
func (s *Store) reserve(c *Cache, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recording+n > s.limit/recordingShare || !s.makeRoom(c, n) {
		return false
	}
	s.recording += n
	s.used += n
	return true
}

// unreserve returns memory of a recording. s.mu is held.
func (s *Store) unreserve(n int64) {
	s.recording -= n
	s.used -= n
}

// markOf returns the mark that a target of a cache may have. s.mu is held.
func (s *Store) markOf(c *Cache, key Key) (*mark, uint64) {
	hash := maphash.Comparable(s.seed, struct {
		cache *Cache
		key   Key
	}{c, key})
	return &s.marked[hash%marks], hash
}
