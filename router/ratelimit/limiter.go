package ratelimit

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// Sizes of a table. A limiter by address or header has shards x shardKeys keys, of about 50 bytes each.
const (
	shards    = 64
	shardKeys = 1024
)

// MaxKeys is the maximum number of keys of a limiter.
const MaxKeys = shards * shardKeys

// Limiter applies a Policy. It is safe for concurrent use. Create it with New.
type Limiter struct {
	policy Policy       // immutable
	start  time.Time    // immutable; zero of all times
	seed   maphash.Seed // immutable
	shards []shard      // immutable; one if all requests have the same key
}

// Key identifies what a request is counted by.
type Key [2]uint64

// New returns a limiter. It panics if the policy is not valid.
func New(p Policy) *Limiter {
	if p.Period <= 0 || p.Burst < 1 {
		panic("ratelimit: a policy needs a period and a burst")
	}
	n := shards
	if p.By == ByService {
		n = 1
	}
	return &Limiter{policy: p, start: time.Now(), seed: maphash.MakeSeed(), shards: make([]shard, n)}
}

// Policy returns the limit.
func (l *Limiter) Policy() Policy { return l.policy }

// OfAddr returns the key of a client.
func (l *Limiter) OfAddr(addr netip.Addr) Key {
	return Key{maphash.Comparable(l.seed, addr), uint64(ByAddress)}
}

// OfText returns the key of the value of a header field.
func (l *Limiter) OfText(value string) Key {
	return Key{maphash.String(l.seed, value), uint64(ByHeader)}
}

// Take counts a request at a time. It returns 0 if the request is within the limit; otherwise the request is not
// counted, and wait is the time until one would be.
func (l *Limiter) Take(key Key, t time.Time) (wait time.Duration) {
	return l.shards[key[0]%uint64(len(l.shards))].take(key, int64(t.Sub(l.start)), l.policy)
}

// Stats describes the keys of a limiter.
type Stats struct {
	Keys   int    // keys in the table
	Shared uint64 // requests since New whose key had no place, and that were counted with others
}

// Stats returns the current state.
func (l *Limiter) Stats() (s Stats) {
	for i := range l.shards {
		own := l.shards[i].stats()
		s.Keys += own.Keys
		s.Shared += own.Shared
	}
	return s
}
