package pgqueue

import (
	"context"
	"sync"
)

// lostTake is a take of events whose answer did not arrive.
type lostTake struct {
	leases []string
	tries  int // how often it was given back in vain: the take may still be made
	wait   int // beats until the next try
}

// lostTakes are takes to give back, at most maxLost. Leases of others end by themselves, which counts as an attempt without a result.
type lostTakes struct {
	mu  sync.Mutex
	all []lostTake // guarded by mu
}

func (l *lostTakes) add(some ...lostTake) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, some[:min(len(some), max(0, maxLost-len(l.all)))]...)
}

// giveBackLost returns the events of lost takes to the queue. It is called once a beat.
func (e *eventStore) giveBackLost(ctx context.Context) {
	e.lost.mu.Lock()
	all := e.lost.all
	e.lost.all = nil
	e.lost.mu.Unlock()
	for i, l := range all {
		if l.wait > 0 {
			l.wait--
			e.lost.add(l)
			continue
		}
		var n int64
		err := e.s.run(ctx, func(ctx context.Context, _ bool) error {
			return e.s.row(ctx, []any{&n}, `SELECT @schema@.event_give_back($1)`, l.leases)
		})
		if err != nil {
			e.lost.add(all[i:]...)
			return
		}
		if n > 0 {
			e.s.announce("e", "")
		} else if l.tries++; l.tries < lostTries {
			l.wait = 1<<l.tries - 1
			e.lost.add(l)
		}
	}
}

// sweep deletes the counts of functions without events.
func (e *eventStore) sweep(ctx context.Context) error {
	return e.s.run(ctx, func(ctx context.Context, _ bool) error {
		return e.s.row(ctx, []any{nil}, `SELECT @schema@.event_sweep($1)`, sweepRows)
	})
}
