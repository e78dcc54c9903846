package ratelimit

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// Sizes of a table. A limiter by address or header has shards x shardKeys keys, of some 100 bytes each.
const (
	shards    = 64
	shardKeys = 1024
)

// MaxKeys is the maximum number of keys of a limiter.
const MaxKeys = shards * shardKeys

// Limiter applies a Policy. It is safe for concurrent use. Create it with New or NewShared.
type Limiter struct {
	policy  Policy                  // immutable
	start   time.Time               // immutable; zero of all times
	seed    maphash.Seed            // immutable; unless the keys are shared
	sharing *Sharing                // immutable; nil: the counts are those of this host
	scope   string                  // immutable; of shared keys
	whole   Key                     // immutable; of all requests
	space   *Space                  // immutable; of the keys of several limiters; nil: they have no bound together
	table   atomic.Pointer[[]shard] // of the keys; nil before the first request; one shard if all requests have the same key
	_       [64]byte                // all requests read the fields above
	held    atomic.Int64            // places of space; may be more for a moment
	dirty   atomic.Bool             // in Sharing.dirty
}

// Key identifies what a request is counted by.
type Key [2]uint64

// New returns a limiter whose keys take places of a space, which may be nil. It panics if the policy is not valid. The caller must close
// a limiter with a space.
func New(p Policy, space *Space) *Limiter {
	if p.Period <= 0 || p.Burst < 1 {
		panic("ratelimit: a policy needs a period and a burst")
	}
	l := &Limiter{policy: p, start: time.Now(), seed: maphash.MakeSeed()}
	if p.By != ByService { // its one key is part of the limiter
		l.space = space
		space.add(l)
	}
	return l
}

// NewShared returns a limiter whose counts are shared with those of the same service and policy on other hosts.
func NewShared(p Policy, space *Space, service string, s *Sharing) *Limiter {
	l := New(p, space)
	l.sharing, l.scope = s, fmt.Sprintf("%q %d %d %d %q ", service, p.Period, p.Burst, p.By, p.Header)
	l.whole = l.hashed("")
	return l
}

// Policy returns the limit.
func (l *Limiter) Policy() Policy { return l.policy }

// OfAll returns the key of all requests, for ByService.
func (l *Limiter) OfAll() Key { return l.whole }

// OfAddr returns the key of a client.
func (l *Limiter) OfAddr(addr netip.Addr) Key {
	if l.sharing != nil {
		var text [64]byte
		return l.hashed("address " + string(addr.AppendTo(text[:0])))
	}
	return Key{maphash.Comparable(l.seed, addr), uint64(ByAddress)}
}

// OfText returns the key of the value of a header field.
func (l *Limiter) OfText(value string) Key {
	if l.sharing != nil {
		return l.hashed("header " + value)
	}
	return Key{maphash.String(l.seed, value), uint64(ByHeader)}
}

// hashed returns a key that is the same on all hosts, and does not show the value, which may be a secret.
func (l *Limiter) hashed(value string) Key {
	var room [256]byte
	sum := sha256.Sum256(append(append(room[:0], l.scope...), value...))
	return Key{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
}

// Take counts a request at a time. It returns 0 if the request is within the limit; otherwise the request is not
// counted, and wait is the time until one would be.
func (l *Limiter) Take(key Key, t time.Time) (wait time.Duration) {
	wait, tell, crowded := l.shard(key).take(key, int64(t.Sub(l.start)), l)
	if crowded {
		l.space.reclaim(t)
	}
	if tell && !l.dirty.Load() && l.dirty.CompareAndSwap(false, true) {
		l.sharing.note(l)
	}
	return wait
}

// Close returns the places of the keys. Later requests have no bursts of their own.
func (l *Limiter) Close() {
	l.space.remove(l)
	table := l.made()
	for i := range table {
		table[i].close(l)
	}
}

// made returns the table, which it makes if there is none: many services have a limit and no requests.
func (l *Limiter) made() []shard {
	if t := l.table.Load(); t != nil {
		return *t
	}
	n := shards
	if l.policy.By == ByService {
		n = 1
	}
	own := make([]shard, n)
	l.table.CompareAndSwap(nil, &own)
	return *l.table.Load()
}

// known returns the table, empty if there is none.
func (l *Limiter) known() []shard {
	if t := l.table.Load(); t != nil {
		return *t
	}
	return nil
}

func (l *Limiter) shard(key Key) *shard {
	table := l.made()
	return &table[key[0]%uint64(len(table))]
}

// collect appends the costs since the last call.
func (l *Limiter) collect(costs []Cost) []Cost {
	table := l.known()
	for i := range table {
		costs = table[i].collect(costs, l.policy)
	}
	return costs
}

// Stats describes the keys of a limiter.
type Stats struct {
	Keys   int    // keys in the table
	Shared uint64 // requests since New whose key had no place, and that were counted with others
}

// Stats returns the current state.
func (l *Limiter) Stats() (s Stats) {
	table := l.known()
	for i := range table {
		own := table[i].stats()
		s.Keys += own.Keys
		s.Shared += own.Shared
	}
	return s
}
