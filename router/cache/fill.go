package cache

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// firstBytes is the size of the buffer that a recording of unknown length begins with.
const firstBytes = 4 << 10

// outcome is the result of a Fill.
type outcome int

const (
	failed   outcome = iota // the request did not end well: another one may
	unusable                // the answer is not storable
	stored                  // the answer is stored
)

// Fill records the answer of a service to one request. The answer is stored by End. A stray goroutine of a handler may call
// Answer and Write after that.
type Fill struct {
	cache      *Cache   // immutable
	request    *Request // immutable; with a header of its own
	flight     *flight  // immutable
	flightSeen uint64   // immutable: flight.epoch at the begin
	cacheSeen  uint64   // immutable: Cache.epoch at the begin
	asked      time.Time
	settled    chan struct{} // closed when outcome is set

	// Of the second level; set before Fetch returns, then immutable.
	hopeless bool // it is not asked: answers to the target are not storable
	names    names
	stamp    stamp
	stamped  bool // the answer may be shared

	instead *entry  // guarded by Store.mu: may be sent if the service fails, and counts the Fill as a reader; nil if there is none
	outcome outcome // guarded by Store.mu until settled is closed, then immutable

	mu       sync.Mutex
	entry    *entry // guarded by mu: being recorded; nil if nothing is
	reserved int64  // guarded by mu: bytes taken of the store
	length   int64  // guarded by mu: declared length of the body; -1: unknown
	answered bool   // guarded by mu: Answer was called
	ended    bool   // guarded by mu
}

// newFill returns a Fill. Store.mu is held.
func newFill(c *Cache, q *Request, f *flight, now time.Time) *Fill {
	own := *q
	own.Header = q.Header.Clone() // the handler may change it
	return &Fill{cache: c, request: &own, flight: f, flightSeen: f.epoch, cacheSeen: c.epoch, asked: now, settled: make(chan struct{})}
}

// Answer takes the status and the header of the final response. It returns "" if the answer is to be stored, else a token that says
// why not; requests that wait for it go on then.
func (f *Fill) Answer(status int, h http.Header, now time.Time) (reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answered || f.ended { // a failed handler is answered anew
		f.drop()
		f.settle(unusable)
		return "failed"
	}
	f.answered, f.length = true, -1
	life, reason := judge(status, h, f.request.credentials, f.asked, now)
	if values := h["Content-Length"]; len(values) > 0 && reason == "" {
		var err error
		if f.length, err = strconv.ParseInt(values[0], 10, 64); err != nil || len(values) > 1 {
			reason = "malformed"
		}
	}
	if reason == "" {
		reason = f.begin(status, h, life, now)
	}
	if reason != "" {
		f.supersede(status)
		f.settle(unusable)
	}
	return reason
}

// begin begins to record an answer. f.mu is held.
func (f *Fill) begin(status int, h http.Header, life lifetime, now time.Time) (reason string) {
	e := &entry{cache: f.cache, key: f.request.Key, status: status, header: storedHeader(h, now), lifetime: life, received: now}
	e.vary, _ = varyOf(h)
	for _, name := range e.vary {
		e.selected = append(e.selected, selecting(f.request.Header, name))
	}
	e.measure()
	s := f.cache.store
	if e.size+max(0, f.length) > s.maxEntry() {
		s.counts.refused.Add(1)
		return "too-large"
	}
	if !f.take(e.size + max(0, f.length)) {
		return "no-memory"
	}
	if f.length > 0 {
		e.body = make([]byte, 0, f.length)
	}
	f.entry = e
	return ""
}

// take takes more memory of the store, and counts a failure. f.mu is held.
func (f *Fill) take(n int64) bool {
	s := f.cache.store
	if !s.reserve(f.cache, n) {
		s.counts.refused.Add(1)
		return false
	}
	f.reserved += n
	return true
}

// Write adds a part of the body. Write never fails: an answer that becomes too large is not stored.
func (f *Fill) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.entry != nil && !f.ended && !f.add(p) {
		f.drop()
		f.settle(unusable)
	}
	return len(p), nil
}

// add adds a part of the body, and reports whether there is room. f.mu is held.
func (f *Fill) add(p []byte) bool {
	e := f.entry
	need := len(e.body) + len(p)
	if f.length >= 0 && int64(need) > f.length {
		return false
	}
	if need > cap(e.body) {
		s := f.cache.store
		if e.size+int64(need) > s.maxEntry() {
			s.counts.refused.Add(1)
			return false
		}
		room := max(need, min(2*cap(e.body), int(s.maxEntry()-e.size)), firstBytes)
		if !f.take(int64(room - cap(e.body))) {
			return false
		}
		grown := make([]byte, len(e.body), room)
		copy(grown, e.body)
		e.body = grown
	}
	e.body = append(e.body, p...)
	return true
}

// drop gives up the recording. f.mu is held.
func (f *Fill) drop() {
	s := f.cache.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unreserve(f.reserved)
	f.entry, f.reserved = nil, 0
}

// End ends the recording. complete reports whether the client was sent the whole answer; header is that of the response at its
// end. It must be called once.
func (f *Fill) End(complete bool, header http.Header) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	result := failed
	if f.entry != nil {
		result = f.keep(complete && !trailed(header))
	}
	s := f.cache.store
	s.mu.Lock()
	defer s.mu.Unlock()
	f.settleLocked(result)
	f.leave()
}

// leave ends the part of the Fill in its flight. Store.mu is held.
func (f *Fill) leave() {
	if f.flight.fills--; f.flight.fills == 0 {
		delete(f.cache.flights, f.request.Key)
	}
	if f.instead != nil {
		f.cache.store.releaseLocked(f.instead)
		f.instead = nil
	}
}

// keep stores the recorded answer if it is complete and nothing has changed its target since the begin. f.mu is held.
func (f *Fill) keep(complete bool) outcome {
	e, c, s := f.entry, f.cache, f.cache.store
	complete = complete && (f.length < 0 || int64(len(e.body)) == f.length)
	if spare := cap(e.body) - len(e.body); complete && spare > len(e.body)/8 {
		e.body = slices.Clone(e.body)
	}
	e.detach()
	e.measure()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unreserve(f.reserved)
	f.entry, f.reserved = nil, 0
	if !complete || c.closed || c.epoch != f.cacheSeen || f.flight.epoch != f.flightSeen {
		return failed
	}
	c.replace(e.key, f.request.Header)
	if !s.makeRoom(c, e.size) {
		s.counts.refused.Add(1)
		return unusable
	}
	s.insert(e)
	if f.stamped && time.Since(f.asked) < fillTime {
		s.sharing.offer(offer{entry: e, names: f.names, stamp: f.stamp})
	}
	if m, hash := s.markOf(c, e.key); m.hash == hash {
		*m = mark{}
	}
	return stored
}

// replace removes the answers to a target that suit a request with the header, and the oldest if there are too many. Store.mu is held.
func (c *Cache) replace(key Key, h http.Header) {
	old := slices.Clone(c.entries[key])
	for i, other := range old {
		if other.suits(h) || len(old)-i >= maxVariants {
			c.store.remove(other)
		}
	}
}

// settle lets the requests that wait for the answer go on. f.mu is held.
func (f *Fill) settle(result outcome) {
	s := f.cache.store
	s.mu.Lock()
	defer s.mu.Unlock()
	f.settleLocked(result)
}

// settleLocked is settle with Store.mu held. The first result counts.
func (f *Fill) settleLocked(result outcome) {
	select {
	case <-f.settled:
		return
	default:
	}
	f.outcome = result
	if f.flight.leader == f {
		f.flight.leader = nil
		if result == unusable {
			m, hash := f.cache.store.markOf(f.cache, f.request.Key)
			*m = mark{hash: hash, until: time.Now().Add(markTime)}
		}
	}
	close(f.settled)
}

// trailed reports whether a response has trailers that were not announced.
func trailed(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}
