package queue

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/services/queue/internal/lease"
	"github.com/vespo-dev/vespo/services/queue/internal/stored"
)

// line is the requests to one prefix that have not ended, whichever version they came to, and the workers that wait for them. Its timer
// ends what is due; close waits for that.
type line struct {
	prefix string       // immutable
	log    *slog.Logger // immutable
	users  int          // guarded by Kind.mu: deployments

	mu       sync.Mutex
	queue    *lease.Queue  // guarded by mu
	ended    []*job        // guarded by mu: since mu was taken
	workers  *list.List    // guarded by mu: of *worker, who has waited longest first
	promised int           // guarded by mu: places in the queue for requests that are being stored
	closed   bool          // guarded by mu
	store    *stored.Store // guarded by mu; nil if no durable version is there
	durable  int           // guarded by mu: durable versions

	kept map[*job]struct{} // guarded by mu: jobs that are in the store

	unwritten []*job    // guarded by mu: expired jobs whose end could not be stored
	retryAt   time.Time // guarded by mu: when that is tried again; zero if there are none
	said      time.Time // guarded by mu: when a failure of the store was logged last

	timer   *time.Timer    // guarded by mu; nil before there is something to wait for
	alarm   time.Time      // guarded by mu: when timer fires; zero if it does not
	running sync.WaitGroup // one for a timer that fires or will
}

// storeAgain is the pause before what could not be stored is tried again, and between two lines of the log about that.
const storeAgain = 5 * time.Second

// worker is one that waits for a request.
type worker struct {
	ready chan struct{} // closed when there is something, or nothing any more
	order *order        // written before; nil if there is nothing
}

// order is a job that was handed to a worker.
type order struct {
	*job
	line    *line
	leaseID string
	lease   stored.Lease // for a stored job
}

func newLine(prefix string, log *slog.Logger) *line {
	l := &line{prefix: prefix, log: log, workers: list.New(), kept: make(map[*job]struct{})}
	l.queue = lease.New(func(e *lease.Entry) { l.ended = append(l.ended, e.Value.(*job)) })
	return l
}

// unlock follows every use of the queue: it hands out what waits, tells of what has ended and sets the alarm. What must be written about
// stored jobs is written after that.
func (l *line) unlock(now time.Time) {
	l.dispatchLocked(now)
	ended, store := l.ended, l.store
	l.ended = nil
	expired := slices.DeleteFunc(slices.Clone(ended), func(j *job) bool {
		return j.stored == "" || j.entry.State != lease.Expired
	})
	for _, j := range ended {
		delete(l.kept, j)
		j.state = j.entry.State
		close(j.done)
	}
	if store != nil && !l.retryAt.IsZero() && !l.retryAt.After(now) {
		expired, l.unwritten, l.retryAt = append(expired, l.unwritten...), nil, time.Time{}
	}
	l.setAlarmLocked(now)
	l.mu.Unlock()
	l.storeExpired(store, expired, now)
}

// storeExpired stores the ends of expired jobs. What cannot be stored is tried again; meanwhile the store tells from the times of a request
// that it has no result any more.
func (l *line) storeExpired(store *stored.Store, expired []*job, now time.Time) {
	var failed []*job
	for _, j := range expired {
		switch err := store.Fail(l.prefix, j.stored, now); {
		case err == nil, errors.Is(err, stored.ErrEnded), errors.Is(err, stored.ErrNotFound):
		default:
			failed = append(failed, j)
			l.complain("the end of a stored request could not be stored; it is tried again", err)
		}
	}
	if len(failed) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unwritten = append(l.unwritten, failed...)
	l.retryAt = now.Add(storeAgain)
	l.setAlarmLocked(now)
}

// complain logs a failure of the store, unless it did so a moment ago.
func (l *line) complain(what string, err error) {
	l.mu.Lock()
	now := time.Now()
	quiet := now.Sub(l.said) < storeAgain
	if !quiet {
		l.said = now
	}
	l.mu.Unlock()
	if !quiet {
		l.log.Error(what, "prefix", l.prefix, "error", err)
	}
}

// dispatchLocked gives what waits to the workers that do.
func (l *line) dispatchLocked(now time.Time) {
	l.queue.Advance(now)
	for l.workers.Len() > 0 && l.queue.Waiting() > 0 {
		w := l.workers.Remove(l.workers.Front()).(*worker)
		w.order = l.takeLocked(now)
		close(w.ready)
	}
}

// takeLocked leases the next job; nil if none waits.
func (l *line) takeLocked(now time.Time) *order {
	id := newID()
	e := l.queue.Take(now, id)
	if e == nil {
		return nil
	}
	j := e.Value.(*job)
	j.taken = now
	return &order{job: j, line: l, leaseID: id, lease: stored.Lease{ID: id, End: e.LeaseEnd, Deliveries: e.Deliveries}}
}

// setAlarmLocked makes the timer fire when something is due. One that fires too early does no harm.
func (l *line) setAlarmLocked(now time.Time) {
	next := l.queue.Next()
	if !l.retryAt.IsZero() && (next.IsZero() || l.retryAt.Before(next)) {
		next = l.retryAt
	}
	if l.closed || next.IsZero() || !l.alarm.IsZero() && !l.alarm.After(next) {
		return
	}
	l.stopAlarmLocked()
	l.alarm = next
	l.running.Add(1)
	l.timer = time.AfterFunc(next.Sub(now), l.ring)
}

func (l *line) stopAlarmLocked() {
	if l.timer != nil && l.timer.Stop() {
		l.running.Done()
	}
	l.timer, l.alarm = nil, time.Time{}
}

// ring is called by the timer.
func (l *line) ring() {
	defer l.running.Done()
	l.mu.Lock()
	l.alarm = time.Time{}
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.unlock(time.Now())
}

// add puts a job into the line; the error is lease.ErrFull.
func (l *line) add(depth int, t lease.Terms, j *job) (err error) {
	now := time.Now()
	l.mu.Lock()
	defer l.unlock(now)
	j.added = now
	j.entry, err = l.queue.Add(now, depth-l.promised, t, j)
	return err
}

// full tells whether another one would not be taken.
func (l *line) full(depth int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.Waiting()+l.promised >= depth
}

// leave ends a job that nobody waits for any more, unless it has ended. Afterwards it has.
func (l *line) leave(j *job) {
	l.mu.Lock()
	defer l.unlock(time.Now())
	l.queue.Leave(j.entry)
}

// take gives a job that waits; nil if there is none.
func (l *line) take() *order {
	now := time.Now()
	l.mu.Lock()
	defer l.unlock(now)
	l.queue.Advance(now)
	return l.takeLocked(now)
}

// await is take that waits until ctx ends. Workers are served in the order of their coming.
func (l *line) await(ctx context.Context) *order {
	w := &worker{ready: make(chan struct{})}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	place := l.workers.PushBack(w)
	l.unlock(time.Now())
	select {
	case <-w.ready:
	case <-ctx.Done():
		l.mu.Lock()
		l.workers.Remove(place) // nothing happens if it is not there any more
		l.unlock(time.Now())
	}
	return w.order
}

// giveBack undoes the handing out of what did not reach the worker.
func (l *line) giveBack(o *order) {
	now := time.Now()
	l.mu.Lock()
	defer l.unlock(now)
	l.queue.GiveBack(now, o.leaseID)
}

// leased returns the job with this lease; nil if there is none, or the lease is over.
func (l *line) leased(leaseID string) *job {
	now := time.Now()
	l.mu.Lock()
	defer l.unlock(now)
	if e := l.queue.Find(now, leaseID); e != nil {
		return e.Value.(*job)
	}
	return nil
}

// answer ends the job with this lease, for whose answer a client waits; nil if there is none, or the lease is over. The reply then belongs to
// the job.
func (l *line) answer(leaseID string, r *reply) *job {
	now := time.Now()
	l.mu.Lock()
	defer l.unlock(now)
	e := l.queue.Answer(now, leaseID)
	if e == nil {
		return nil
	}
	j := e.Value.(*job)
	j.answer = r
	return j
}

// waited is how long a job was in the line before it was handed out last, if it was taken at all.
func (l *line) waited(j *job) (wait time.Duration, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if j.taken.IsZero() {
		return time.Since(j.added), false
	}
	return j.taken.Sub(j.added), true
}

// counts tells how many jobs wait, and how many are leased.
func (l *line) counts() (waiting, leased int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.Waiting(), l.queue.Leased()
}

// close sends the workers away and stops the timer.
func (l *line) close() {
	l.mu.Lock()
	l.closed = true
	for w := l.workers.Front(); w != nil; w = l.workers.Front() {
		close(l.workers.Remove(w).(*worker).ready)
	}
	l.stopAlarmLocked()
	l.mu.Unlock()
	l.running.Wait()
}
