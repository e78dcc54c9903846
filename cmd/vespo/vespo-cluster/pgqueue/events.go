package pgqueue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/pgstore"
	"github.com/vespo-dev/vespo/services/events"
	"github.com/vespo-dev/vespo/services/queues"
)

const (
	lookEvery = time.Second // how often a host looks for events: signals of other hosts can be lost
	takeBytes = 1 << 20     // of the content of events that are taken together; a larger one is taken alone
	slowTimes = 4           // how much longer a take may last after one that was too slow
)

// eventStore implements events.Store over the pool, the background work and the signals of a Store.
type eventStore struct {
	s *Store

	due     chan struct{} // has an element if events may have become due
	damaged atomic.Uint64
	refused atomic.Uint64
	known   atomic.Pointer[events.Stats] // as last read
	slow    atomic.Bool                  // the last take was cut off: the next one gets more time for less
	lost    lostTakes
}

var _ events.Store = (*eventStore)(nil)

func newEventStore(s *Store) *eventStore { return &eventStore{s: s, due: make(chan struct{}, 1)} }

// Events returns the store of events. It ends with Close.
func (s *Store) Events() events.Store { return s.events }

// eventParts returns the parts of the schema for events. The first host of this version adds the missing ones to a schema.
func eventParts() []pgstore.Part {
	return []pgstore.Part{
		{Format: "event_format", Version: eventsVersion, Script: eventTables + eventFunctions},
		{Format: "event_format_2", Version: eventsVersion, Script: eventAdditions},
	}
}

// eventError returns the error of an operation on events.
func eventError(err error) error {
	switch {
	case errors.Is(err, queues.ErrUncertain):
		return reason{events.ErrUncertain, err}
	case err != nil:
		return reason{events.ErrUnavailable, err}
	}
	return nil
}

// Put implements events.Store.
func (e *eventStore) Put(ctx context.Context, event events.Event) error {
	var status string
	err := e.s.run(ctx, func(ctx context.Context, _ bool) error {
		return e.s.row(ctx, []any{&status}, `SELECT @schema@.event_put($1, $2, $3, $4, $5, $6, $7, $8)`, event.ID, event.Function, event.Service, some(event.Content),
			sums(event.ID, []byte(event.Function), event.Content), e.s.cfg.Events, e.s.cfg.EventBytes, int64(events.Share))
	})
	switch {
	case err != nil:
		return eventError(err)
	case status != "ok":
		e.refused.Add(1)
		return events.ErrFull
	}
	e.s.announce("e", "")
	return nil
}

// Take implements events.Store. Damaged events are set aside.
func (e *eventStore) Take(ctx context.Context, most int, lease time.Duration, others ...string) (taken []events.Taken, wait time.Duration, err error) {
	all, err := e.lease(ctx, most, lease, others)
	if err != nil {
		return nil, lookEvery, eventError(err)
	}
	for _, r := range all {
		if string(r.sum) == string(sums(r.ID, []byte(r.Function), r.Content)) {
			taken = append(taken, r.Taken)
			continue
		}
		if err := e.end(ctx, r.LeaseID, true); err == nil {
			e.damaged.Add(1)
			e.s.cfg.Log.Error("a stored event is damaged and was set aside", slog.String("id", r.ID))
		}
	}
	if len(taken) == 0 {
		wait = lookEvery
	}
	return taken, wait, nil
}

// lease leases events. Their leases are given back if the answer does not arrive. After an answer that was too slow, one event
// at a time is taken, within slowTimes the time, but at most half of the lease.
func (e *eventStore) lease(ctx context.Context, most int, lease time.Duration, others []string) (all []takenRow, err error) {
	within := e.s.cfg.Timeout
	if e.slow.Load() {
		most, within = min(most, 1), min(slowTimes*within, max(within, lease/2))
	}
	if others == nil {
		others = []string{} // not null
	}
	leases := make([]string, most)
	for i := range leases {
		leases[i] = newID()
	}
	repeated, began := false, time.Now()
	err = e.s.runWithin(ctx, within, func(ctx context.Context, again bool) (err error) {
		repeated = again
		all, err = e.rows(ctx, leases, again, lease.Microseconds(), others, events.MaxAge.Microseconds(), int64(takeBytes))
		return err
	})
	uncertain := errors.Is(err, queues.ErrUncertain)
	if uncertain || err == nil && len(all) == 0 && repeated { // an earlier attempt may still lease events
		e.lost.add(lostTake{leases: leases})
	}
	if uncertain || len(all) > 0 && time.Since(began) < e.s.cfg.Timeout/slowTimes {
		e.slow.Store(uncertain)
	}
	slices.SortFunc(all, func(a, b takenRow) int {
		return cmp.Compare(slices.Index(leases, a.LeaseID), slices.Index(leases, b.LeaseID))
	})
	return all, err
}

// takenRow is an event with the checksums that are stored with it.
type takenRow struct {
	events.Taken
	sum []byte
}

func (e *eventStore) rows(ctx context.Context, args ...any) (all []takenRow, err error) {
	conn, err := e.s.pool.Acquire(ctx)
	if err != nil {
		return nil, errors.Join(errNotSent, err)
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, e.s.cfg.InSchema(`SELECT * FROM @schema@.event_take($1, $2, $3, $4, $5, $6)`), args...)
	if err != nil {
		return nil, err
	}
	var age int64
	var r takenRow
	_, err = pgx.ForEachRow(rows, []any{&r.ID, &r.Function, &r.Service, &r.LeaseID, &age, &r.Lost, &r.Attempts, &r.Throttles, &r.Final, &r.sum, &r.Content}, func() error {
		r.Age = max(0, time.Duration(age)*time.Microsecond)
		all = append(all, r)
		r = takenRow{}
		return nil
	})
	return all, err
}

// Renew implements events.Store.
func (e *eventStore) Renew(ctx context.Context, leaseID string, lease time.Duration) error {
	return e.ending(ctx, `SELECT @schema@.event_renew($1, $2)`, leaseID, lease.Microseconds())
}

// Retry implements events.Store.
func (e *eventStore) Retry(ctx context.Context, leaseID string, after time.Duration, p events.Progress) error {
	err := e.ending(ctx, `SELECT @schema@.event_retry($1, $2, $3, $4, $5)`, leaseID, after.Microseconds(), p.Attempts, p.Throttles, p.Final)
	if err == nil && after <= 0 {
		e.s.announce("e", "")
	}
	return err
}

// Done implements events.Store.
func (e *eventStore) Done(ctx context.Context, leaseID string) error {
	return e.end(ctx, leaseID, false)
}

func (e *eventStore) end(ctx context.Context, leaseID string, damaged bool) error {
	return e.ending(ctx, `SELECT @schema@.event_end($1, $2)`, leaseID, damaged)
}

// ending runs a statement that reports whether a lease was there. After a lost answer, the first attempt may have ended it.
func (e *eventStore) ending(ctx context.Context, statement string, args ...any) error {
	var had bool
	err := e.s.run(ctx, func(ctx context.Context, again bool) error {
		var now bool
		err := e.s.row(ctx, []any{&now}, statement, args...)
		had = now || again
		return err
	})
	if err == nil && !had {
		return events.ErrEnded
	}
	return eventError(err)
}

// Due implements events.Store.
func (e *eventStore) Due() <-chan struct{} { return e.due }

// wake signals that events may have become due.
func (e *eventStore) wake() {
	select {
	case e.due <- struct{}{}:
	default:
	}
}

// Stats implements events.Store.
func (e *eventStore) Stats() events.Stats {
	var stats events.Stats
	if known := e.known.Load(); known != nil {
		stats = *known
	}
	stats.MaxEvents, stats.MaxBytes = e.s.cfg.Events, e.s.cfg.EventBytes
	stats.Damaged, stats.Refused = e.damaged.Load(), e.refused.Load()
	stats.Away = e.s.presence.Away()
	return stats
}

// count reads the counts.
func (e *eventStore) count(ctx context.Context) error {
	var stats events.Stats
	err := e.s.row(ctx, []any{&stats.Events, &stats.Bytes, &stats.Leased}, `SELECT coalesce(sum(events), 0)::bigint, coalesce(sum(bytes), 0)::bigint,
		(SELECT count(*) FROM @schema@.event_events WHERE lease IS NOT NULL AND due > @schema@.queue_now()) FROM @schema@.event_counts`)
	if err == nil {
		e.known.Store(&stats)
	}
	return err
}
