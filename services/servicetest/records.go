package servicetest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// Records collects access records. They arrive after the response, so tests wait for them.
type Records struct {
	tb testing.TB // immutable

	mu      sync.Mutex
	arrived *sync.Cond
	all     []accesslog.Record // guarded by mu
}

func newRecords(tb testing.TB) *Records {
	r := &Records{tb: tb}
	r.arrived = sync.NewCond(&r.mu)
	return r
}

// listen is an accesslog.Listener.
func (r *Records) listen(rec *accesslog.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, *rec)
	r.arrived.Broadcast()
}

// Nth waits for the n-th record, counted from 1.
func (r *Records) Nth(n int) accesslog.Record {
	r.tb.Helper()
	return r.await(func(all []accesslog.Record) int {
		if len(all) < n {
			return -1
		}
		return n - 1
	})
}

// First waits for a record that matches and returns the first one.
func (r *Records) First(matches func(accesslog.Record) bool) accesslog.Record {
	r.tb.Helper()
	seen := 0
	return r.await(func(all []accesslog.Record) int {
		for ; seen < len(all); seen++ {
			if matches(all[seen]) {
				return seen
			}
		}
		return -1
	})
}

// await waits until find returns the index of a record.
func (r *Records) await(find func([]accesslog.Record) int) accesslog.Record {
	r.tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	at := -1
	found := awaitLocked(r.arrived, func() bool {
		at = find(r.all)
		return at >= 0
	})
	require.True(r.tb, found, "the access record did not come; there are %d others", len(r.all))
	return r.all[at]
}
