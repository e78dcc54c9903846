package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/kv"
)

const (
	queueLength   = 64          // writes of a store that wait, beyond those whose goroutines wait to send
	maxGroup      = 256         // writes of one transaction
	maxGroupBytes = 8 << 20     // of the values of one transaction, except for its last write
	sweepEvery    = time.Minute // at least so often expired keys are deleted
	sweepKeys     = 1000        // at most so many in one transaction
)

// write is a write that waits.
type write struct {
	changes []kv.Change     // immutable
	drop    bool            // immutable; deletes the store
	context context.Context // immutable; the caller waits no longer than that

	taken   atomic.Bool   // by the goroutine, or by the caller that withdraws it
	done    chan struct{} // closed when results and err are set
	results []kv.Result
	err     error
}

func (w *write) bytes() (n int) {
	for _, c := range w.changes {
		n += len(c.Value)
	}
	return n
}

func (w *write) end(err error) {
	w.err = err
	close(w.done)
}

// send hands a write to the goroutine and waits for its result, or for the end of the context.
func (st *store) send(ctx context.Context, w *write) ([]kv.Result, error) {
	select {
	case st.queue <- w:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-st.gone:
		return nil, errGone
	}
	select {
	case <-w.done:
		return w.results, w.err
	case <-ctx.Done():
		if w.taken.CompareAndSwap(false, true) {
			return nil, ctx.Err()
		}
		return nil, errors.Join(kv.Reject(kv.ErrUncertain, "the store %q did not end the write in time", st.name), ctx.Err())
	case <-st.gone:
	}
	select {
	case <-w.done:
		return w.results, w.err
	default:
		return nil, errGone
	}
}

// start starts the goroutine.
func (st *store) start() {
	go func() {
		defer close(st.gone)
		st.loop()
	}()
}

// loop makes writes and deletes expired keys, until the store is closed or dropped.
func (st *store) loop() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	ready := make(chan struct{})
	close(ready)
	var sweeping <-chan struct{} // ready while expired keys may remain; writes take turns with their deletion
	for {
		select {
		case <-st.quit:
			st.refuse()
			return
		case <-ticker.C:
			sweeping = ready
		case <-sweeping:
			if st.sweep() {
				sweeping = nil
			}
		case w := <-st.queue:
			group, last := st.group(w)
			st.write(group)
			if last != nil && st.dropped(last) {
				return
			}
			if !st.exists() { // no write has made the file: writes that wait begin anew
				st.all.forget(st)
				return
			}
		}
	}
}

// group returns first and the writes behind it that fit into one transaction, up to one that drops the store.
func (st *store) group(first *write) (group []*write, drop *write) {
	size := 0
	for w := first; ; {
		if w.drop {
			return group, w
		}
		group = append(group, w)
		if size += w.bytes(); len(group) == maxGroup || size >= maxGroupBytes {
			return group, nil
		}
		select {
		case w = <-st.queue:
		default:
			return group, nil
		}
	}
}

// dropped carries out a drop. It reports whether the store is gone.
func (st *store) dropped(w *write) bool {
	if !w.taken.CompareAndSwap(false, true) {
		return false
	}
	gone, err := st.drop()
	if gone {
		st.all.forget(st)
	}
	w.end(err)
	return gone
}

// refuse ends the writes that wait when the server stops.
func (st *store) refuse() {
	for {
		select {
		case w := <-st.queue:
			if w.taken.CompareAndSwap(false, true) {
				w.end(errStopped())
			}
		default:
			return
		}
	}
}

// write makes the writes whose callers still wait.
func (st *store) write(group []*write) {
	var all []*write
	for _, w := range group {
		if w.context.Err() == nil && w.taken.CompareAndSwap(false, true) {
			all = append(all, w)
		}
	}
	if !st.exists() {
		all = st.begun(all)
	}
	if len(all) == 0 {
		return
	}
	if err := st.commit(all); err == nil || len(all) == 1 || errors.Is(err, kv.ErrUncertain) {
		st.failed(all, err)
		return
	}
	for _, w := range all { // each alone, so that a write that the disk has no room for fails no other
		st.failed([]*write{w}, st.commit([]*write{w}))
	}
}

// begun creates the file for the first writes and returns those to make in it. If none needs a file, or it cannot be
// created, the store is forgotten before its callers learn of that.
func (st *store) begun(all []*write) []*write {
	var answered, rest []*write
	for _, w := range all {
		if w.answeredByAbsence() {
			answered = append(answered, w)
		} else {
			rest = append(rest, w)
		}
	}
	var err error
	if len(rest) > 0 {
		err = st.run(st.create)
	}
	if !st.exists() {
		st.all.forget(st)
	}
	for _, w := range answered {
		close(w.done)
	}
	if err != nil {
		st.failed(rest, err)
		return nil
	}
	return rest
}

// answeredByAbsence sets the result of a write to a store that does not exist if it does not create the store: it only
// deletes, or expects a version. It reports whether it did.
func (w *write) answeredByAbsence() bool {
	deletes := true
	for _, c := range w.changes {
		if c.If != nil && *c.If != 0 {
			w.err = conflict(c, 0)
			return true
		}
		deletes = deletes && c.Op == kv.OpDelete
	}
	if deletes {
		w.results = make([]kv.Result, len(w.changes))
	}
	return deletes
}

// failed ends writes whose transaction has ended with err. If that is nil, each has its own error.
func (st *store) failed(all []*write, err error) {
	if err != nil && !errors.Is(err, kv.ErrUnavailable) {
		st.all.cfg.Log.Error("a key-value store cannot be written", slog.String("store", st.name), slog.Any("error", err))
		if errors.Is(err, kv.ErrUncertain) { // without its cause, which is for the log alone
			err = kv.Reject(kv.ErrUncertain, "the disk failed while the store %q was written", st.name)
		} else {
			err = kv.Reject(kv.ErrUnavailable, "the store %q cannot be written: see the server's log", st.name)
		}
	}
	for _, w := range all {
		if err != nil {
			w.results, w.err = nil, err
		}
		close(w.done)
	}
}

// commit makes writes in one transaction. Those that are rejected have their error.
func (st *store) commit(all []*write) error {
	return st.transact(func(t *transaction) (err error) {
		for _, w := range all {
			w.results, w.err = nil, nil
			if w.results, err = t.apply(w.changes); err != nil {
				if !rejected(err) {
					return err
				}
				w.err = err
			}
		}
		return nil
	})
}

// transact calls f in a transaction that writes, and counts the usage. If the last fsync fails, the changes may be durable
// and are visible already: then the error matches kv.ErrUncertain.
func (st *store) transact(f func(*transaction) error) error {
	var used kv.Usage
	id := 0
	err := st.run(func() error {
		return st.update(st.db, func(tx *bbolt.Tx) error {
			t, err := st.begin(tx)
			if err != nil {
				return err
			}
			if err := f(t); err != nil {
				return err
			}
			id, used = tx.ID(), t.used
			return putUsage(tx, used)
		})
	})
	if err != nil && (id == 0 || !st.visible(id)) {
		return err
	}
	st.count(used)
	if err != nil {
		return fmt.Errorf("%w: %w", kv.ErrUncertain, err)
	}
	return nil
}

// visible reports whether reads see a transaction.
func (st *store) visible(id int) (seen bool) {
	err := st.view(func(tx *bbolt.Tx) error {
		seen = tx.ID() >= id
		return nil
	})
	return err == nil && seen
}

// rejected reports whether the error concerns one write alone.
func rejected(err error) bool {
	for _, kind := range [...]error{kv.ErrConflict, kv.ErrFull, kv.ErrNotNumber, kv.ErrTooLarge, kv.ErrInvalid} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// sweep deletes at most sweepKeys expired keys. It reports whether none remain.
func (st *store) sweep() (done bool) {
	deleted, expired := 0, false
	err := st.view(func(tx *bbolt.Tx) error {
		k, _ := tx.Bucket(expiryName).Cursor().First()
		expired = hasExpired(k, time.Now())
		return nil
	})
	if err != nil || !expired {
		return true
	}
	err = st.transact(func(t *transaction) (err error) {
		deleted, err = t.sweep()
		return err
	})
	if err != nil {
		st.all.cfg.Log.Error("the expired keys of a key-value store cannot be deleted", slog.String("store", st.name), slog.Any("error", err))
		return true
	}
	return deleted < sweepKeys
}
