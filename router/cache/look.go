package cache

import (
	"context"
	"net/http"
	"time"
)

// look returns the answer of the engine to the request of a new Fill, which has ended then; nil if there is none that can be used.
func (f *Fill) look(ctx context.Context) *Hit {
	sh := f.cache.store.sharing
	if sh == nil || f.cache.version == "" || f.hopeless {
		return nil
	}
	f.names = namesOf(f.cache.service, f.cache.version, f.request.Key)
	found := sh.ask(ctx, f.names, f.request.Header)
	f.stamp, f.stamped = found.stamp, found.stamped
	if found.entry == nil {
		return nil
	}
	hit := f.adopt(found.entry)
	if hit != nil {
		sh.counts.hits.Add(1)
	} else {
		sh.counts.misses.Add(1)
	}
	return hit
}

// looked is the result of a lookup.
type looked struct {
	entry   *entry // nil: there is no usable answer
	stamp   stamp
	stamped bool
	err     error
}

// ask asks the engine for an answer, and waits for at most lookTime. A call that takes longer goes on in the background, with its place. The
// header must not change any more.
func (sh *Sharing) ask(ctx context.Context, n names, h http.Header) looked {
	if sh.away.Load() || sh.waits(n) {
		sh.counts.skipped.Add(1)
		return looked{}
	}
	select {
	case sh.places <- struct{}{}:
	default:
		sh.counts.skipped.Add(1)
		return looked{}
	}
	result := make(chan looked, 1)
	go func() {
		defer func() { <-sh.places }()
		own, cancel := context.WithTimeout(context.Background(), callTime)
		defer cancel()
		result <- sh.read(own, n, h)
	}()
	timer := time.NewTimer(lookTime)
	defer timer.Stop()
	select {
	case r := <-result:
		if r.err == nil {
			if r.entry == nil {
				sh.counts.misses.Add(1)
			}
			return r
		}
	case <-timer.C:
	case <-ctx.Done():
		return looked{}
	}
	sh.counts.failed.Add(1)
	sh.fail()
	return looked{}
}

// waits reports whether the engine does not know yet that answers to a target are not usable.
func (sh *Sharing) waits(n names) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, mark := range [...]string{n.service, n.target} {
		if _, ok := sh.removed[mark]; ok {
			return true
		}
		if _, ok := sh.sending[mark]; ok {
			return true
		}
	}
	return false
}

// read reads the answer to a request from the engine. Two calls are needed if fields of the request select it.
func (sh *Sharing) read(ctx context.Context, n names, h http.Header) (r looked) {
	asked := time.Now()
	values, at, err := sh.engine.Read(ctx, []string{n.service, n.target, n.answers}, maxShared)
	if err != nil || len(values) != 3 {
		return looked{err: orReply(err)}
	}
	if r.stamp, r.stamped = stampOf(values[0], values[1]); !r.stamped {
		sh.want(n.service)
		return r
	}
	key, value := n.answers, values[2]
	form, rest, ok := unseal(key, value)
	var vary []string
	if ok && form == formRule {
		if vary, ok = decodeRule(rest); !ok {
			return r
		}
		key, asked = n.variant(vary, h), time.Now()
		if values, at, err = sh.engine.Read(ctx, []string{key}, maxShared); err != nil || len(values) != 1 {
			return looked{err: orReply(err)}
		}
		form, rest, ok = unseal(key, values[0])
	}
	now := time.Now()
	sh.note(at, now)
	if ok && form == formAnswer {
		r.entry = usable(rest, r.stamp, vary, h, at, now.Sub(asked))
	}
	return r
}

// usable decodes an answer. It returns nil if the answer was removed, is too old, or has other selecting fields. took is the time of the
// call.
func usable(rest []byte, s stamp, vary []string, h http.Header, at time.Time, took time.Duration) *entry {
	e, stamped, birth, ok := decodeAnswer(rest)
	if !ok || stamped != s || len(e.vary) != len(vary) {
		return nil
	}
	for i, name := range vary {
		if e.vary[i] != name {
			return nil
		}
		e.selected = append(e.selected, selecting(h, name))
	}
	age := at.Sub(birth)
	if age < 0 || age >= e.kept() {
		return nil
	}
	e.initial, e.received = age+took, time.Now()
	e.measure()
	return e
}

// adopt stores an answer of the engine, and ends the Fill with it. It returns nil if the answer does not suit the request; the Fill goes on
// then. An answer that was removed meanwhile is not stored.
func (f *Fill) adopt(e *entry) *Hit {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, s, now := f.cache, f.cache.store, time.Now()
	e.cache, e.key = c, f.request.Key
	e.detach()
	e.measure()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.closed || c.epoch != f.cacheSeen || f.flight.epoch != f.flightSeen || e.size > s.maxEntry() {
		return nil
	}
	left := e.fresh - e.age(now)
	for _, own := range c.entries[e.key] {
		if own.suits(f.request.Header) && own.fresh-own.age(now) >= left {
			return nil
		}
	}
	c.replace(e.key, f.request.Header)
	if !s.makeRoom(c, e.size) {
		return nil
	}
	s.insert(e)
	if left <= 0 { // for others, until this request has a newer one
		if f.instead == nil {
			f.instead = c.spare(f.request, now)
		}
		return nil
	}
	hit, _ := c.lookup(f.request, now)
	if hit != nil {
		f.ended = true
		f.settleLocked(stored)
		f.leave()
	}
	return hit
}
