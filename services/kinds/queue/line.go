package queue

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/services/kinds/queue/internal/lease"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/stored"
	"github.com/vespo-dev/vespo/services/queues"
)

// line holds the unfinished requests to one prefix, of all versions, and the workers
// that wait for them. Its timer expires requests and leases. close waits for the timer.
type line struct {
	prefix string       // immutable
	log    *slog.Logger // immutable
	users  int          // guarded by Kind.mu: number of deployments

	mu       sync.Mutex
	queue    *lease.Queue  // guarded by mu
	ended    []*job        // guarded by mu: since mu was taken
	workers  *list.List    // guarded by mu: of *worker, longest wait first
	promised int           // guarded by mu: places in the queue reserved for requests that are being stored
	closed   bool          // guarded by mu
	store    *stored.Store // guarded by mu; nil without a durable version
	durable  int           // guarded by mu: number of durable versions

	kept map[*job]struct{} // guarded by mu: stored jobs

	unwritten []*job    // guarded by mu: expired jobs whose end could not be stored
	retryAt   time.Time // guarded by mu: when the write is retried; zero if there are none
	said      time.Time // guarded by mu: time of the last logged store failure

	engine  queues.Store    // immutable; of durable versions, if several hosts share them; else nil
	woken   <-chan struct{} // immutable; of engine: has an element if it may have requests that no worker has looked for
	release func()          // immutable; ends woken; nil without an engine
	looked  atomic.Int64    // when a worker looked into the engine last, in nanoseconds since 1970

	timer   *time.Timer    // guarded by mu; nil before its first use
	alarm   time.Time      // guarded by mu: when timer fires; zero if not set
	running sync.WaitGroup // counts a timer that is set or firing
}

// storeAgain is the delay before a failed write to the store is
// retried, and the minimum interval between log lines about it.
const storeAgain = 5 * time.Second

// worker is a waiting worker.
type worker struct {
	ready chan struct{} // closed when order is set, or when the line closes
	order *order        // set before ready is closed; nil if there is none
}

// order is a job that was handed to a worker.
type order struct {
	*job
	line    *line
	leaseID string
	lease   stored.Lease // for a stored job
	shared  bool         // the lease is in the engine
}

func newLine(prefix string, engine queues.Store, log *slog.Logger) *line {
	l := &line{prefix: prefix, engine: engine, log: log, workers: list.New(), kept: make(map[*job]struct{})}
	if engine != nil {
		l.woken, l.release = engine.Signals().Requests(prefix)
	}
	l.queue = lease.New(func(e *lease.Entry) { l.ended = append(l.ended, e.Value.(*job)) })
	return l
}

// unlock follows every use of the queue. It hands out waiting jobs, signals the ends of
// finished ones, sets the alarm and unlocks mu. It then stores the ends of stored jobs.
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

// storeExpired stores the ends of expired jobs. Failed writes are retried later. Until
// then the store derives from a request's deadline and lease that it has failed.
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

// complain logs a failure of the store, at most once per storeAgain.
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

// dispatchLocked hands waiting jobs to waiting workers.
func (l *line) dispatchLocked(now time.Time) {
	l.queue.Advance(now)
	for l.workers.Len() > 0 && l.queue.Waiting() > 0 {
		w := l.workers.Remove(l.workers.Front()).(*worker)
		w.order = l.takeLocked(now)
		close(w.ready)
	}
}

// takeLocked leases the next job. It returns nil if none waits.
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

// setAlarmLocked sets the timer for the next due time. A timer that fires too early is harmless.
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

// add queues a job. The error is lease.ErrFull.
func (l *line) add(depth int, t lease.Terms, j *job) (err error) {
	l.mu.Lock()
	now := time.Now() // after the wait for the lock: the queue's time does not go back
	defer l.unlock(now)
	return l.addLocked(now, depth, t, j)
}

func (l *line) addLocked(now time.Time, depth int, t lease.Terms, j *job) (err error) {
	j.added = now
	j.entry, err = l.queue.Add(now, depth-l.promised, t, j)
	return err
}

// full reports whether the queue has reached depth.
func (l *line) full(depth int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.Waiting()+l.promised >= depth
}

// leave ends a job without an answer. It does nothing if the job has ended.
func (l *line) leave(j *job) {
	l.mu.Lock()
	defer l.unlock(time.Now())
	l.queue.Leave(j.entry)
}

// take leases the next waiting job. It returns nil if there is none.
func (l *line) take() *order {
	l.mu.Lock()
	now := time.Now()
	defer l.unlock(now)
	l.queue.Advance(now)
	return l.takeLocked(now)
}

// await is like take but waits for a job until ctx is done, or until it gets an element of woken, which it reports. Workers
// are served in order of arrival.
func (l *line) await(ctx context.Context, woken <-chan struct{}) (o *order, signalled bool) {
	w := &worker{ready: make(chan struct{})}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, false
	}
	place := l.workers.PushBack(w)
	l.unlock(time.Now())
	select {
	case <-w.ready:
		return w.order, false
	case <-woken:
		signalled = true
	case <-ctx.Done():
	}
	l.mu.Lock()
	l.workers.Remove(place) // a no-op if it was removed already
	l.unlock(time.Now())
	return w.order, signalled
}

// giveBack returns an order to the queue that could not be delivered to the worker.
func (l *line) giveBack(ctx context.Context, o *order) {
	if o.shared {
		if err := l.engine.GiveBack(ctx, l.prefix, o.leaseID); err != nil && !errors.Is(err, queues.ErrEnded) {
			l.complain("a request could not be given back; it waits for the end of its lease", err)
		}
		return
	}
	l.mu.Lock()
	now := time.Now()
	defer l.unlock(now)
	l.queue.GiveBack(now, o.leaseID)
}

// leased returns the job with this lease. It returns nil if there is none or the lease has ended.
func (l *line) leased(leaseID string) *job {
	l.mu.Lock()
	now := time.Now()
	defer l.unlock(now)
	if e := l.queue.Find(now, leaseID); e != nil {
		return e.Value.(*job)
	}
	return nil
}

// answer ends the job with this lease, whose client is waiting. It returns nil
// if there is none or the lease has ended. Otherwise the job owns the reply.
func (l *line) answer(leaseID string, r *reply) *job {
	l.mu.Lock()
	now := time.Now()
	defer l.unlock(now)
	e := l.queue.Answer(now, leaseID)
	if e == nil {
		return nil
	}
	j := e.Value.(*job)
	j.answer = r
	return j
}

// waited returns how long a job waited until its last hand-out, or until now if it was never taken.
func (l *line) waited(j *job) (wait time.Duration, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if j.taken.IsZero() {
		return time.Since(j.added), false
	}
	return j.taken.Sub(j.added), true
}

// lineStats is a snapshot of a line.
type lineStats struct {
	waiting int // jobs that no worker holds
	leased  int
	workers int // that wait for a job
	oldest  time.Time
}

// stats returns the current state.
func (l *line) stats() lineStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := lineStats{waiting: l.queue.Waiting(), leased: l.queue.Leased(), workers: l.workers.Len()}
	if first := l.queue.First(); first != nil {
		s.oldest = first.Value.(*job).added
	}
	return s
}

// close releases the waiting workers and stops the timer.
func (l *line) close() {
	l.mu.Lock()
	l.closed = true
	for w := l.workers.Front(); w != nil; w = l.workers.Front() {
		close(l.workers.Remove(w).(*worker).ready)
	}
	l.stopAlarmLocked()
	l.mu.Unlock()
	l.running.Wait()
	if l.release != nil {
		l.release()
	}
}
