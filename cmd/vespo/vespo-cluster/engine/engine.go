// Package engine is what the packages of all engines that keep key-value stores have in common: the errors that callers see,
// the log of an engine that is away, and sweeps.
package engine

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/services/kv"
)

const (
	// SweepKeys bounds the expired keys that one request to the engine deletes.
	SweepKeys = 1000

	countEvery = 10 * time.Second // the totals are read
	sweepEvery = 6                // times the totals are read, until expired keys are deleted
)

// reason is the error that callers see. It matches the cause, but does not have its text.
type reason struct {
	error
	cause error
}

func (r reason) Unwrap() []error {
	return slices.DeleteFunc([]error{r.error, r.cause}, func(err error) bool { return err == nil })
}

// Unavailable returns the error of an operation that has changed nothing: that of the context if it has ended.
func Unavailable(ctx context.Context, cause error) error {
	if ended := Ended(ctx); ended != nil {
		return ended
	}
	return reason{kv.Reject(kv.ErrUnavailable, "the engine of the key-value stores cannot be used: see the server's log"), cause}
}

// Uncertain returns the error of a write without an answer.
func Uncertain(ctx context.Context, store string) error {
	return reason{kv.Reject(kv.ErrUncertain, "the engine did not answer the write of the store %q: it may have been made", store), Ended(ctx)}
}

// Ended returns the error of a context, also when its deadline has ended the operation just before the context.
func Ended(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// Refused returns the error of a write that the engine has refused, by its status. The details of "conflict" are the key and
// its version and the one expected; of "text" and "sum" the key; of "stores" their number; and of others what is used of a
// quota, the quota, and what it counts.
func Refused(store, status string, details ...string) error {
	details = append(details, "", "", "")
	switch status {
	case "conflict":
		return kv.Reject(kv.ErrConflict, "the key %.100q has the version %s and not %s", details[0], details[1], details[2])
	case "text":
		return kv.Reject(kv.ErrNotNumber, "the value of the key %.100q is not a decimal number of 64 bits", details[0])
	case "sum":
		return kv.Reject(kv.ErrNotNumber, "the sum for the key %.100q exceeds 64 bits", details[0])
	case "stores":
		return kv.Reject(kv.ErrFull, "there are %s stores, and no more are allowed: delete one", details[0])
	}
	return kv.Reject(kv.ErrFull, "the store %q has no room: %s of %s %s are used", store, details[0], details[1], details[2])
}

// Presence logs when an engine can no longer be used, and when it can be used again. It is safe for concurrent use.
type Presence struct {
	log  *slog.Logger
	what string
	name string
	away atomic.Bool // the last operation has failed
}

// NewPresence returns the presence of the engine of something, which the log shows by its name.
func NewPresence(log *slog.Logger, what, name string) *Presence {
	return &Presence{log: log, what: what, name: name}
}

// Away reports whether the last operation has failed.
func (p *Presence) Away() bool { return p.away.Load() }

// Seen takes the outcome of an operation.
func (p *Presence) Seen(err error) {
	if err == nil && p.away.Load() && p.away.CompareAndSwap(true, false) {
		p.log.Info("the engine of the "+p.what+" can be used again", slog.String("engine", p.name))
	}
	if err != nil && p.away.CompareAndSwap(false, true) {
		p.log.Error("the engine of the "+p.what+" cannot be used", slog.String("engine", p.name), slog.Any("error", err))
	}
}

// Counted are the totals of an engine's stores when they were last read. The zero value is ready, and safe for concurrent use.
type Counted struct{ last atomic.Pointer[kv.Totals] }

// Note takes the state of all stores.
func (c *Counted) Note(all []kv.Info) {
	t := kv.Totals{Stores: len(all)}
	for _, info := range all {
		t.Keys += info.Keys
		t.Bytes += info.Bytes
	}
	c.last.Store(&t)
}

// Totals returns the totals.
func (c *Counted) Totals(p *Presence) (t kv.Totals) {
	if last := c.last.Load(); last != nil {
		t = *last
	}
	t.Away = p.Away()
	return t
}

// Keep calls count, which reads the totals, and sweep, which deletes expired keys, again and again until ctx ends.
func Keep(ctx context.Context, log *slog.Logger, count, sweep func(context.Context) error) {
	ticker := time.NewTicker(countEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		err := count(ctx)
		if err == nil && n%sweepEvery == 0 {
			err = sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			log.Debug("keys could not be counted, or expired ones not be deleted", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Time returns the time of this host by a clock, or by that of the machine if it is nil.
func Time(now func() time.Time) time.Time {
	if now == nil {
		return time.Now()
	}
	return now()
}
