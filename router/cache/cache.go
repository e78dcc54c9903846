package cache

import (
	"container/list"
	"context"
	"time"
)

// Cache holds the answers of one version of a service. Store.Open returns it. It is safe for concurrent use.
type Cache struct {
	store   *Store // immutable
	service string // immutable
	version string // immutable: the same on all hosts; "" if the answers are not shared

	// Guarded by Store.mu.
	entries map[Key][]*entry // answers by target, the newest last; no list is empty
	flights map[Key]*flight  // targets whose answers are being recorded
	recent  *list.List       // of *entry, the most recently used first
	used    int64            // bytes of entries
	epoch   uint64           // of clear
	closed  bool
}

// flight is a target whose answers are being recorded.
type flight struct {
	fills  int    // recordings
	epoch  uint64 // of invalidations: recordings that began before one are not stored
	leader *Fill  // the one that requests wait for; nil if there is none
}

// Why says why a request was not answered from the cache: a value of fwd in Cache-Status, RFC 9211 section 2.2.
type Why string

// The values of Why.
const (
	WhyMiss    Why = "uri-miss"
	WhyVary    Why = "vary-miss"
	WhyStale   Why = "stale"
	WhyRequest Why = "request" // the client asks for a newer one
	WhyBypass  Why = "bypass"  // the cache is not for such requests
	WhyMethod  Why = "method"
)

// Found is the result of Fetch. At most one of Hit and Fill is set.
type Found struct {
	Hit       *Hit          // the answer; the caller releases it
	Fill      *Fill         // records the answer of the service; the caller ends it
	Why       Why           // without a Hit
	Shared    bool          // Hit was in the second level
	Collapsed bool          // the request has waited for another one
	Waited    time.Duration // for how long
}

// Close empties the cache for good. It may be called more than once, and while requests use it.
func (c *Cache) Close() {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	c.clear()
	c.closed = true
	delete(s.services[c.service], c)
	if len(s.services[c.service]) == 0 {
		delete(s.services, c.service)
	}
}

// clear removes all entries. Store.mu is held.
func (c *Cache) clear() {
	for c.recent.Len() > 0 {
		c.store.remove(c.recent.Back().Value.(*entry))
	}
	c.epoch++
}

// Invalidate removes the answers of a target, in all versions of the service: a request may have changed it.
func (c *Cache) Invalidate(key Key) {
	s := c.store
	answers := s.invalidate(c.service, key)
	if s.sharing != nil && c.version != "" {
		s.sharing.remove(c.service, key, answers)
	}
}

// Pass counts a request that the cache has nothing to do with.
func (c *Cache) Pass() { c.store.counts.passed.Add(1) }

// Fetch returns a stored answer, or else a Fill for the answer of the service. If the answer to another request for the same target
// is being recorded, it waits for that for at most MaxWait. Its error is that of ctx. HEAD, and requests of clients that want
// a stored answer or none, get no Fill. A request with a Fill asks the second level.
func (c *Cache) Fetch(ctx context.Context, q *Request) (found Found, err error) {
	var timer *time.Timer
	begin, alone := q.Arrived, !q.plain()
	for now := begin; ; now = time.Now() {
		var leader *Fill
		if found.Hit, found.Fill, found.Why, leader = c.fetch(q, now, alone); leader == nil {
			break
		}
		if timer == nil {
			c.store.counts.collapsed.Add(1)
			timer = time.NewTimer(MaxWait)
			defer timer.Stop()
			found.Collapsed, begin = true, now
		}
		select {
		case <-leader.settled:
			alone = leader.outcome != failed
		case <-timer.C:
			alone = true
		case <-ctx.Done():
			return found, ctx.Err()
		}
		found.Waited = time.Since(begin)
	}
	if found.Fill != nil {
		if hit := found.Fill.look(ctx); hit != nil {
			found.Hit, found.Fill, found.Why, found.Shared = hit, nil, "", true
		}
	}
	switch {
	case found.Hit == nil:
		c.store.counts.misses.Add(1)
	case found.Hit.Stale():
		c.store.counts.stale.Add(1)
		fallthrough
	default:
		c.store.counts.hits.Add(1)
	}
	return found, nil
}

// fetch is Fetch without waiting: leader is the Fill to wait for, if any. A request that is alone does not wait.
func (c *Cache) fetch(q *Request, now time.Time, alone bool) (hit *Hit, fill *Fill, why Why, leader *Fill) {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if hit, why = c.lookup(q, now); hit != nil || q.Head || q.control.onlyIfCached || c.closed {
		return hit, nil, why, nil
	}
	f := c.flights[q.Key]
	m, hash := s.markOf(c, q.Key)
	hopeless := m.hash == hash && now.Before(m.until)
	alone = alone || hopeless
	if f != nil && f.leader != nil && now.Sub(f.leader.asked) >= MaxWait {
		alone = true
	}
	if !alone && f != nil && f.leader != nil {
		return nil, nil, why, f.leader
	}
	if f == nil {
		f = &flight{}
		c.flights[q.Key] = f
	}
	f.fills++
	fill = newFill(c, q, f, now)
	fill.hopeless = hopeless
	fill.instead = c.spare(q, now)
	if !alone {
		f.leader = fill
	}
	return nil, fill, why, nil
}

// lookup returns the newest answer that may be used for a request, or why there is none. Store.mu is held.
func (c *Cache) lookup(q *Request, now time.Time) (*Hit, Why) {
	e := c.newest(q)
	switch {
	case e == nil && len(c.entries[q.Key]) == 0:
		return nil, WhyMiss
	case e == nil:
		return nil, WhyVary
	case q.credentials && !e.shared:
		return nil, WhyRequest
	}
	age := e.age(now)
	switch {
	case age >= e.fresh && !c.bridges(e, age):
		if age >= e.kept() {
			c.store.remove(e)
		}
		return nil, WhyStale
	case q.control.noCache, q.control.maxAge != absent && age > q.control.maxAge, q.control.maxAge == 0,
		q.control.minFresh != absent && e.fresh-age < q.control.minFresh:
		return nil, WhyRequest
	}
	c.store.recent.MoveToFront(e.recent)
	c.recent.MoveToFront(e.own)
	e.readers++
	return &Hit{entry: e, request: q, age: age}, ""
}

// newest returns the newest answer that suits the fields of a request; nil if there is none. Store.mu is held.
func (c *Cache) newest(q *Request) *entry {
	list := c.entries[q.Key]
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].suits(q.Header) {
			return list[i]
		}
	}
	return nil
}

// bridges reports whether a stale answer may be served because a newer one is on its way. Store.mu is held.
func (c *Cache) bridges(e *entry, age time.Duration) bool {
	f := c.flights[e.key]
	return f != nil && f.leader != nil && age < e.fresh+e.whileRevalidate
}
