package ratelimit

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of a Sharing.
const (
	maxBatch = 500                   // keys in one call of the engine
	roundGap = 10 * time.Millisecond // least time between two rounds
	keyGap   = 20 * time.Microsecond // the same for each key of a round: at most 50,000 keys a second
	awayGap  = time.Second           // after a round that has failed
	callTime = time.Second           // of one call of the engine
)

// Sharing shares the counts of limiters with other hosts. Requests do not wait for the engine: each host decides by the
// time of a key that the engine had last, and by what it has admitted itself since then. Run tells the engine of that, key by
// key, and takes over what it says. Hosts can together admit more than the limit for the duration of a round, but they admit
// that much less afterwards.
//
// Without the engine, limiters count for their host alone. Those counts are never sent.
type Sharing struct {
	engine Engine        // immutable
	woken  chan struct{} // immutable; capacity 1: there are dirty limiters

	mu    sync.Mutex
	dirty []*Limiter // guarded by mu; limiters with unsent costs, each once

	sent, failed atomic.Uint64
	away         atomic.Bool
}

// NewSharing returns a Sharing that uses an engine until Run ends.
func NewSharing(engine Engine) *Sharing {
	return &Sharing{engine: engine, woken: make(chan struct{}, 1)}
}

// Run sends costs to the engine until ctx ends.
func (s *Sharing) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select { // not before the gap is over
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-s.woken:
		}
		keys, err := s.round(ctx)
		gap := max(roundGap, time.Duration(keys)*keyGap)
		if err != nil {
			gap = awayGap
		}
		timer.Reset(gap)
	}
}

// SharingStats describes a Sharing.
type SharingStats struct {
	Away   bool   // the last call of the engine has failed
	Keys   uint64 // told to the engine since New
	Failed uint64 // keys of calls that have failed
}

// Stats returns the current state.
func (s *Sharing) Stats() SharingStats {
	return SharingStats{Away: s.away.Load(), Keys: s.sent.Load(), Failed: s.failed.Load()}
}

// note makes the next round ask a limiter.
func (s *Sharing) note(l *Limiter) {
	s.mu.Lock()
	s.dirty = append(s.dirty, l)
	s.mu.Unlock()
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// round sends all costs, and returns their number. After an error, the rest is dropped.
func (s *Sharing) round(ctx context.Context) (keys int, err error) {
	s.mu.Lock()
	dirty := s.dirty
	s.dirty = nil
	s.mu.Unlock()
	var costs []Cost
	var of []*Limiter // by index of costs
	for _, l := range dirty {
		l.dirty.Store(false)
		costs = l.collect(costs)
		for len(of) < len(costs) {
			of = append(of, l)
		}
	}
	s.sent.Add(uint64(len(costs)))
	for i := 0; i < len(costs); i += maxBatch {
		end := min(len(costs), i+maxBatch)
		if err = s.tell(ctx, of[i:end], costs[i:end]); err != nil {
			s.failed.Add(uint64(len(costs) - i))
			break
		}
	}
	return len(costs), err
}

// errReply is the error of a reply that does not fit its call.
var errReply = errors.New("the engine's reply has another number of keys")

// tell tells the engine of some keys, each of a limiter.
func (s *Sharing) tell(ctx context.Context, of []*Limiter, costs []Cost) error {
	own, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	ahead, err := s.engine.Spend(own, costs)
	if err == nil && len(ahead) != len(costs) {
		err = errReply
	}
	if ctx.Err() != nil {
		return ctx.Err() // the end of the server is no failure
	}
	if s.away.Store(err != nil); err != nil {
		return err
	}
	now := time.Now()
	for i, l := range of {
		l.shard(costs[i].Key).learn(costs[i].Key, int64(now.Sub(l.start)+ahead[i]), l.policy)
	}
	return nil
}
