package queue

import (
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/services/kinds/queue/internal/lease"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/stored"
)

// attach adds a durable version. The first one loads the stored requests of the prefix.
func (l *line) attach(store *stored.Store) error {
	now := time.Now()
	l.mu.Lock()
	defer l.unlock(now)
	if l.durable == 0 && l.engine == nil {
		requests, err := store.Unfinished(l.prefix)
		if err != nil {
			return fmt.Errorf("read the requests that %s has kept: %w", l.prefix, err)
		}
		l.store = store
		for _, r := range requests {
			l.restoreLocked(r)
		}
	}
	l.durable++
	return nil
}

func (l *line) restoreLocked(r stored.Request) {
	j := &job{environment: r.Environment, stored: r.ID, done: make(chan struct{}), added: r.Accepted}
	j.entry = l.queue.Restore(lease.Entry{
		Terms:      lease.Terms{Deadline: r.Deadline, Lease: r.LeaseTime, Redeliver: r.Redeliver},
		Value:      j,
		LeaseID:    r.Lease.ID,
		LeaseEnd:   r.Lease.End,
		Deliveries: r.Lease.Deliveries,
	})
	l.kept[j] = struct{}{}
}

// detach removes a durable version. The last one leaves
// the stored requests in the store for the next version.
func (l *line) detach() {
	l.mu.Lock()
	defer l.unlock(time.Now())
	if l.durable--; l.durable > 0 {
		return
	}
	for j := range l.kept {
		l.queue.Leave(j.entry)
	}
}

// promise reserves a place for a request that is being stored.
// keep or renege must follow. The error is lease.ErrFull.
func (l *line) promise(depth int) error {
	now := time.Now()
	l.mu.Lock()
	defer l.unlock(now)
	l.queue.Advance(now)
	if l.queue.Waiting()+l.promised >= depth {
		return lease.ErrFull
	}
	l.promised++
	return nil
}

// renege releases a reserved place.
func (l *line) renege() {
	l.mu.Lock()
	defer l.unlock(time.Now())
	l.promised--
}

// keep queues a stored request in its reserved place.
func (l *line) keep(r stored.Request) {
	l.mu.Lock()
	defer l.unlock(time.Now())
	l.promised--
	l.restoreLocked(r)
}

// load stores the lease of a stored request and returns the request's body.
func (l *line) load(o *order) ([]byte, error) {
	store := l.storeOf()
	if err := store.SetLease(l.prefix, o.stored, o.lease); err != nil {
		return nil, err
	}
	return store.Body(l.prefix, o.stored)
}

// finish stores the answer to a stored request.
func (l *line) finish(j *job, r *reply) error {
	result := stored.Result{State: stored.Unusable, Ended: time.Now()}
	if r.unusable == nil {
		result.State, result.Status, result.Header, result.Body = stored.Answered, r.Status, r.Header, r.Body
	}
	return l.storeOf().Finish(l.prefix, j.stored, result)
}

func (l *line) storeOf() *stored.Store {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.store
}
