package lambda

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/services/events"
)

const (
	// leaseTime is the duration of a lease. It is renewed during an attempt, so it bounds how long the events of a host
	// that has ended wait for another one.
	leaseTime = 30 * time.Second
	// settleTime is how long the result of an attempt is offered to a store that fails.
	settleTime = time.Minute
	// maxLost is how many attempts in a row may end without a result, as with the host, before an event is given up.
	maxLost = 5
	// lookEvery is how often a backlog that may not take events looks again, and the pause after an error.
	lookEvery = time.Second
)

// backlog runs the events of a store. It is safe for concurrent use.
type backlog struct {
	cfg     *Config
	carry   func(context.Context, *event) (retry time.Duration, final error)
	running atomic.Int64  // attempts in progress
	buried  atomic.Uint64 // dead letters
	failing atomic.Bool   // the last Take has failed
	others  foreign       // services that other hosts run

	cut    context.Context // ends attempts in progress; their events are given back
	endAll context.CancelFunc

	letters sync.Mutex // serialises writes of dead letters, so that lines stay whole
}

func newBacklog(cfg *Config, carry func(context.Context, *event) (time.Duration, error)) *backlog {
	q := &backlog{cfg: cfg, carry: carry}
	q.cut, q.endAll = context.WithCancel(context.Background())
	return q
}

// accept stores an event.
func (q *backlog) accept(ctx context.Context, e *event) error {
	err := q.cfg.Events.Put(ctx, events.Event{ID: e.call.RequestID, Function: e.target.name, Service: e.target.key.String(), Content: e.encode()})
	switch {
	case errors.Is(err, events.ErrFull):
		return busy("EventQueueFull", "too many events are queued; try again later")
	case errors.Is(err, events.ErrUncertain):
		return unavailable("it is not known whether the event was accepted; try again if it may run twice", err)
	case err != nil:
		return unavailable("events cannot be accepted at present; try again later", err)
	}
	return nil
}

// run carries out events until ctx ends, and waits for the attempts in progress.
func (q *backlog) run(ctx context.Context) {
	var attempts sync.WaitGroup
	defer attempts.Wait()
	free := make(chan struct{}, q.cfg.Parallel)
	for range q.cfg.Parallel {
		free <- struct{}{}
	}
	for {
		places := 0
		select {
		case <-ctx.Done():
			return
		case <-free:
			if ctx.Err() != nil { // a select does not prefer a case
				return
			}
			places = 1 + len(free)
			for range places - 1 {
				<-free
			}
		}
		taken, wait := q.take(ctx, places)
		for range places - len(taken) {
			free <- struct{}{}
		}
		for _, t := range taken {
			attempts.Go(func() {
				defer func() { free <- struct{}{} }()
				q.attempt(ctx, t)
			})
		}
		if len(taken) == 0 {
			q.await(ctx, wait)
		}
	}
}

// await waits until events may be due, at most so long.
func (q *backlog) await(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.cfg.Events.Due():
	case <-ctx.Done():
	}
}

// take leases events. It logs the first of several errors.
func (q *backlog) take(ctx context.Context, most int) (taken []events.Taken, wait time.Duration) {
	if !q.cfg.Catalogue.Ready() || q.cfg.Paused() {
		return nil, lookEvery
	}
	taken, wait, err := q.cfg.Events.Take(ctx, most, leaseTime, q.others.names(q.cfg.Catalogue.Away)...)
	if failed := err != nil; q.failing.Swap(failed) != failed && failed {
		q.cfg.Log.Error("accepted events cannot be run at present", slog.Any("error", err))
	}
	if err != nil {
		wait = lookEvery
	}
	return taken, wait
}

// attempt carries out an event once, and stores the result. stop ends when the server stops.
func (q *backlog) attempt(stop context.Context, t events.Taken) {
	q.running.Add(1)
	defer q.running.Add(-1)
	defer q.renew(t.LeaseID)()
	e, err := decodeEvent(t.Content)
	switch {
	case err != nil && t.Age > events.MaxAge:
		q.cfg.Log.Error("a stored event of an unknown form was deleted", slog.String("id", t.ID), slog.Any("error", err))
		q.settle(stop, t, q.done(t))
		return
	case err != nil: // a later version of the program may know it
		q.cfg.Log.Error("a stored event has an unknown form", slog.String("id", t.ID), slog.Any("error", err))
		q.settle(stop, t, q.retry(t, leaseTime, t.Progress))
		return
	}
	e.Progress = t.Progress
	switch {
	case len(t.Final) > 0:
		q.bury(stop, t, e)
		return
	case t.Age > events.MaxAge:
		q.giveUp(stop, t, e, "EventAgeExceeded", nil)
		return
	case t.Lost >= maxLost:
		q.giveUp(stop, t, e, retriesExhausted, errLost)
		return
	}
	if q.cfg.Shared && q.cfg.Catalogue.Away(e.target.key) {
		q.leave(stop, t, e)
		return
	}
	retry, final := q.carry(q.cut, e)
	switch {
	case (retry != 0 || final != nil) && stop.Err() != nil: // the server may have ended the attempt
		q.settle(stop, t, q.retry(t, 0, t.Progress))
	case final != nil:
		q.giveUp(stop, t, e, retriesExhausted, final)
	case retry == 0:
		q.settle(stop, t, q.done(t))
	default:
		q.settle(stop, t, q.retry(t, retry, e.Progress))
	}
}

// leave ends the lease of an event for another host. It does not count as an attempt.
func (q *backlog) leave(stop context.Context, t events.Taken, e *event) {
	after := time.Duration(0)
	if !q.others.add(e.target.key) || t.Service != e.target.key.String() { // this host may take it again
		after = lookEvery
	}
	q.settle(stop, t, q.retry(t, after, t.Progress))
}

// renew renews a lease until the returned function is called, which waits.
func (q *backlog) renew(leaseID string) (end func()) {
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(leaseTime / 4)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				if err := q.cfg.Events.Renew(context.Background(), leaseID, leaseTime); errors.Is(err, events.ErrEnded) {
					return // another host may have it: the result will be refused
				}
			}
		}
	})
	return func() { close(stop); done.Wait() }
}

func (q *backlog) done(t events.Taken) func() error {
	return func() error { return q.cfg.Events.Done(context.Background(), t.LeaseID) }
}

func (q *backlog) retry(t events.Taken, after time.Duration, p events.Progress) func() error {
	return func() error { return q.cfg.Events.Retry(context.Background(), t.LeaseID, after, p) }
}

// settle stores the result of an attempt. If the store fails, it tries again for settleTime, or once if the server stops; then
// the event is run again when the lease has ended.
func (q *backlog) settle(stop context.Context, t events.Taken, store func() error) {
	begin, pause := time.Now(), lookEvery
	for {
		err := store()
		if err == nil {
			return
		}
		if errors.Is(err, events.ErrEnded) || stop.Err() != nil || time.Since(begin) > settleTime {
			q.cfg.Log.Warn("the result of an event could not be stored: it may run again", slog.String("id", t.ID), slog.Any("error", err))
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-stop.Done():
		}
		timer.Stop()
		pause *= 2
	}
}

// end cuts off the attempts in progress after a time, unless they have ended. Their events are given back.
func (q *backlog) end(ctx context.Context, after time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, after)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for q.running.Load() > 0 && ctx.Err() == nil {
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	q.endAll()
}
