package journal

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// Limits of an inbox.
const (
	// RequestsPerSecond is the number of requests of a service that are kept in a second, and the number of failed ones.
	RequestsPerSecond = 100

	maxInboxItems = 512
	maxInboxBytes = 512 << 10 // of texts
)

// inbox has the entries of a service that are not written yet.
type inbox struct {
	name  string      // immutable
	dirty atomic.Bool // there is something to take
	rates [2]rate     // of requests without a failure, and of failed ones

	mu      sync.Mutex
	items   []item // guarded by mu, like all below
	bytes   int
	lost    int    // entries that did not fit, or were not written, since the last notice
	reason  string // why, if not for lack of room
	noticed int64  // second of the last notice
}

// rate bounds the requests that are kept in a second, and counts the others. Those take no lock.
type rate struct {
	kept    atomic.Int64 // a second, times rateUnit, and the requests kept in it
	skipped atomic.Int64 // requests beyond RequestsPerSecond since the last notice
}

const rateUnit = 1 << 8 // more than RequestsPerSecond

// keep reports whether a request of a second is kept.
func (r *rate) keep(second int64) bool {
	for {
		before := r.kept.Load()
		now := before
		if last := before / rateUnit; second > last || second < last-1 { // the last one may have just ended; clocks are set back
			now = second * rateUnit
		}
		switch {
		case now%rateUnit >= RequestsPerSecond:
			r.skipped.Add(1)
			return false
		case r.kept.CompareAndSwap(before, now+1):
			return true
		}
	}
}

// addRequest adds a request, if its second has room for it. It reports whether Run has to be woken.
func (b *inbox) addRequest(rec *accesslog.Record) bool {
	r := &b.rates[0]
	if rec.Failed {
		r = &b.rates[1]
	}
	if !r.keep(rec.Ended().Unix()) {
		return !b.dirty.Load() && b.dirty.CompareAndSwap(false, true)
	}
	e := requestEntry(b.name, rec)
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.newLocked(cap(e.Record) + len(e.Cause)); i != nil {
		i.Entry = e
	}
	return true
}

// add adds an entry.
func (b *inbox) add(e Entry) {
	e.Service = b.name
	e.Text, e.RequestID = cut(e.Text), strings.Clone(e.RequestID)
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.newLocked(len(e.Text)); i != nil {
		*i = item{Entry: e}
	}
}

// newLocked returns a place for an item, or counts it as lost and returns nil.
func (b *inbox) newLocked(size int) *item {
	b.dirty.Store(true)
	if len(b.items) >= maxInboxItems || b.bytes+size > maxInboxBytes {
		b.lost++
		return nil
	}
	b.bytes += size
	b.items = append(b.items, item{})
	return &b.items[len(b.items)-1]
}

// take returns the items, and adds a notice about lost and skipped ones, at most once a second unless last is set.
func (b *inbox) take(now time.Time, last bool) []item {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items, b.bytes = nil, 0
	b.dirty.Store(false)
	skipped := int(b.rates[0].skipped.Load() + b.rates[1].skipped.Load())
	pending := b.lost > 0 || skipped > 0
	if pending {
		b.dirty.Store(true)
	}
	if !pending || !last && now.Unix() == b.noticed {
		return items
	}
	b.noticed = now.Unix()
	if b.lost > 0 {
		text := fmt.Sprintf("%d entries are missing here: they came faster than they can be written", b.lost)
		if b.reason != "" {
			text = fmt.Sprintf("%d entries are missing here: %s", b.lost, b.reason)
		}
		items = append(items, item{Entry: b.notice(now, slog.LevelWarn, text), lost: b.lost})
	}
	b.dirty.Store(false)
	if skipped = int(b.rates[0].skipped.Swap(0) + b.rates[1].skipped.Swap(0)); skipped > 0 {
		text := fmt.Sprintf("%d requests are missing here: %d a second are kept, and as many failed ones", skipped, RequestsPerSecond)
		items = append(items, item{Entry: b.notice(now, slog.LevelInfo, text), skipped: skipped})
	}
	b.lost, b.reason = 0, ""
	return items
}

func (b *inbox) notice(now time.Time, level slog.Level, text string) Entry {
	return Entry{Time: now, Level: level, Source: SourceHost, Service: b.name, Text: text}
}

// lose counts items that could not be written.
func (b *inbox) lose(items []item, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range items {
		switch one := &items[i]; {
		case one.lost > 0:
			b.lost += one.lost
		case one.skipped > 0:
			b.rates[0].skipped.Add(int64(one.skipped))
		default:
			b.lost++
		}
	}
	b.reason = reason
	b.dirty.Store(true)
}
