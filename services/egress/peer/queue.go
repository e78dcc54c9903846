package peer

import (
	"context"
	"slices"
	"sync"
)

// queue hands out the turns of a Fetcher: to blobs that are asked for now first, then to others. The others leave some
// turns free, so that a large transfer in advance never delays a request.
type queue struct {
	reserved int // immutable: turns that are not for blobs in advance

	mu      sync.Mutex
	free    int       // guarded by mu
	now     []*ticket // guarded by mu: waiting, first in, first out
	advance []*ticket // guarded by mu: as now, for blobs in advance
}

// ticket is a place in a queue.
type ticket struct {
	granted chan struct{}
	hurried bool // guarded by queue.mu: hurry came before enter
}

func newTicket() *ticket { return &ticket{granted: make(chan struct{})} }

// enter waits for a turn. The caller ends it by leave.
func (q *queue) enter(ctx context.Context, t *ticket, advance bool) error {
	q.mu.Lock()
	if advance && !t.hurried {
		q.advance = append(q.advance, t)
	} else {
		q.now = append(q.now, t)
	}
	q.grantLocked()
	q.mu.Unlock()
	select {
	case <-t.granted:
		return nil
	case <-ctx.Done():
		q.withdraw(t)
		return context.Cause(ctx)
	}
}

// hurry makes a ticket that waits in advance, or is about to, one for now.
func (q *queue) hurry(t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.hurried = true
	if i := slices.Index(q.advance, t); i >= 0 {
		q.advance = slices.Delete(q.advance, i, i+1)
		q.now = append(q.now, t)
		q.grantLocked()
	}
}

// leave ends a turn.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	q.grantLocked()
}

// withdraw removes a ticket whose caller does not wait any more.
func (q *queue) withdraw(t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-t.granted:
		q.free++
		q.grantLocked()
	default:
		other := func(o *ticket) bool { return o == t }
		q.now, q.advance = slices.DeleteFunc(q.now, other), slices.DeleteFunc(q.advance, other)
	}
}

func (q *queue) grantLocked() {
	for q.free > 0 && len(q.now) > 0 {
		q.now = q.grantFirst(q.now)
	}
	for q.free > q.reserved && len(q.advance) > 0 {
		q.advance = q.grantFirst(q.advance)
	}
}

// grantFirst lets the first ticket of a list go on, and returns the others.
func (q *queue) grantFirst(waiting []*ticket) []*ticket {
	q.free--
	close(waiting[0].granted)
	return slices.Delete(waiting, 0, 1)
}
