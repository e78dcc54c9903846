package cache

import (
	"net/http"
	"time"
)

// failure reports whether a stale answer may be sent instead of an answer with the status, RFC 5861 section 4.
func failure(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// spare returns the answer that may be sent to a request if the service fails, with a reader; nil if there is none. A client that limits
// the age of answers gets none. Store.mu is held.
func (c *Cache) spare(q *Request, now time.Time) *entry {
	if q.control.noCache || q.control.maxAge != absent || q.control.minFresh != absent {
		return nil
	}
	e := c.newest(q)
	if e == nil || e.ifError == 0 || e.age(now) >= e.fresh+e.ifError || q.credentials && !e.shared {
		return nil
	}
	e.readers++
	return e
}

// Instead returns the stale answer to send instead of an answer of the service with the status; nil if it is not a failure, or there is
// no such answer. The caller must not release the Hit, nor use it after End.
func (f *Fill) Instead(status int, now time.Time) *Hit {
	if !failure(status) {
		return nil
	}
	s := f.cache.store
	s.mu.Lock()
	defer s.mu.Unlock()
	e := f.instead
	if e == nil || e.age(now) >= e.fresh+e.ifError || f.flight.epoch != f.flightSeen || f.cache.epoch != f.cacheSeen {
		return nil
	}
	s.counts.rescued.Add(1)
	return &Hit{entry: e, request: f.request, age: e.age(now)}
}

// supersede removes the stale answer that the service has replaced by one that is not stored. Failures, and answers that say nothing about the
// target, leave it.
func (f *Fill) supersede(status int) {
	switch status {
	case http.StatusNotModified, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return
	}
	if status >= http.StatusInternalServerError || f.request.credentials {
		return
	}
	s := f.cache.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := f.instead; e != nil && e.recent != nil {
		s.remove(e)
	}
}
