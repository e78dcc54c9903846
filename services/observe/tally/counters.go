package tally

import (
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/internal/latency"
)

// Sizes of Counters.
const (
	Outcomes = 18 // the last one is that of unknown ones
	Classes  = 6  // of statuses; the first is that of requests without a response
	Starts   = 3
	Bounds   = 14 // of Classic
)

// OutcomeNames returns the outcomes in the order of their indexes.
func OutcomeNames() [Outcomes]accesslog.Outcome {
	return [Outcomes]accesslog.Outcome{
		accesslog.OutcomeOK, accesslog.OutcomeExit, accesslog.OutcomeTrap, accesslog.OutcomeOutOfMemory, accesslog.OutcomeStackOverflow,
		accesslog.OutcomeDeadline, accesslog.OutcomeWorkLimit, accesslog.OutcomeHostError, accesslog.OutcomeBadAnswer, accesslog.OutcomeUnreachable,
		accesslog.OutcomeRefused, accesslog.OutcomeNotFound, accesslog.OutcomeNoCapacity, accesslog.OutcomeRateLimited, accesslog.OutcomeNotReady,
		accesslog.OutcomeClientGone, accesslog.OutcomeAborted, "other",
	}
}

func outcomeIndex(o accesslog.Outcome) int {
	if o == accesslog.OutcomeOK { // most are
		return 0
	}
	for i, name := range OutcomeNames() {
		if name == o {
			return i
		}
	}
	return Outcomes - 1
}

func classIndex(status int) int {
	if status >= 100 && status < 600 {
		return status / 100
	}
	return 0
}

// StartNames returns the states of instances in the order of their indexes.
func StartNames() [Starts]accesslog.Start {
	return [Starts]accesslog.Start{accesslog.StartWarm, accesslog.StartRestored, accesslog.StartCold}
}

// ClassicBounds returns the upper bounds of the buckets of Durations.Classic.
func ClassicBounds() [Bounds]time.Duration {
	const us, ms, s = time.Microsecond, time.Millisecond, time.Second
	return [...]time.Duration{100 * us, 250 * us, 500 * us, 1 * ms, 2500 * us, 5 * ms, 10 * ms, 25 * ms, 50 * ms, 100 * ms, 250 * ms, 1 * s, 5 * s, 30 * s}
}

// Durations counts durations by two sorts of buckets.
type Durations struct {
	Nanos   atomic.Int64              // sum
	Classic [Bounds + 1]atomic.Uint64 // the last has the longer ones
	Fine    [latency.Buckets]atomic.Uint64
}

// Observe counts a duration. Negative ones count as 0.
func (h *Durations) Observe(d time.Duration) {
	d = max(0, d)
	h.Nanos.Add(int64(d))
	h.Classic[classicBucket(d)].Add(1)
	h.Fine[latency.Bucket(d)].Add(1)
}

// Count returns the number of observations.
func (h *Durations) Count() (n uint64) {
	for i := range h.Classic {
		n += h.Classic[i].Load()
	}
	return n
}

func classicBucket(d time.Duration) int {
	const us, ms = time.Microsecond, time.Millisecond
	switch { // faster than a search: most requests are quick
	case d <= 100*us:
		return 0
	case d <= 250*us:
		return 1
	case d <= 500*us:
		return 2
	case d <= 1*ms:
		return 3
	}
	i := 4
	for all := ClassicBounds(); i < len(all) && d > all[i]; i++ {
	}
	return i
}

// Counters counts the requests of a version. They only grow, but for the peaks. The order of the fields puts the ones that a
// usual request adds to next to each other.
type Counters struct {
	GuestNanos atomic.Int64
	DirtyBytes atomic.Int64
	Peak       Peak // largest linear memory of a request
	BytesIn    atomic.Int64
	BytesOut   atomic.Int64
	Work       atomic.Int64
	Memory     atomic.Int64 // held for a time, in KiB times microseconds

	KVOperations atomic.Int64
	Failed       atomic.Uint64 // answered with a status of 500 or above, or broken off by the server
	Starts       [Starts]atomic.Uint64
	Requests     [Outcomes][Classes]atomic.Uint64

	Latency Durations
	waits   atomic.Pointer[Durations] // made by the first request that has waited
	cold    atomic.Pointer[Durations] // made by the first request of a cold service
	since   time.Time                 // immutable
}

// Peak is a largest value, with the largest one since the last Take. The latter is not smaller than the values since.
type Peak struct {
	largest atomic.Int64
	recent  atomic.Int64
}

func (p *Peak) observe(n int64) {
	for _, to := range [...]*atomic.Int64{&p.recent, &p.largest} {
		for peak := to.Load(); n > peak && !to.CompareAndSwap(peak, n); peak = to.Load() {
		}
	}
}

// Largest returns the largest value.
func (p *Peak) Largest() int64 { return p.largest.Load() }

// Recent returns the largest value since the last Take.
func (p *Peak) Recent() int64 { return p.recent.Load() }

// Take returns Recent, and begins anew.
func (p *Peak) Take() int64 { return p.recent.Swap(0) }

// count adds a request.
func (c *Counters) count(rec *accesslog.Record) {
	if rec.Start == accesslog.StartForwarded {
		return // the host that has served it counts it
	}
	add(&c.GuestNanos, int64(rec.GuestTime))
	add(&c.DirtyBytes, rec.DirtyBytes)
	c.Peak.observe(rec.PeakBytes)
	add(&c.BytesIn, rec.BytesIn)
	add(&c.BytesOut, rec.BytesOut)
	add(&c.Work, rec.Work)
	add(&c.Memory, memoryOf(rec))
	add(&c.KVOperations, int64(rec.KVOperations))
	if rec.Failed {
		c.Failed.Add(1)
	}
	switch rec.Start {
	case accesslog.StartWarm:
		c.Starts[0].Add(1)
	case accesslog.StartRestored:
		c.Starts[1].Add(1)
	case accesslog.StartCold:
		c.Starts[2].Add(1)
		made(&c.cold).Observe(rec.ColdTime)
	}
	c.Latency.Observe(rec.TTLB)
	if rec.QueueWait > 0 {
		made(&c.waits).Observe(rec.QueueWait)
	}
	c.Requests[outcomeIndex(rec.Outcome)][classIndex(rec.Status)].Add(1)
}

// add adds n, without touching the counter's memory if n is 0.
func add(to *atomic.Int64, n int64) {
	if n > 0 {
		to.Add(n)
	}
}

// memoryOf returns the memory of a request: what it has written, from its admission to its end.
func memoryOf(rec *accesslog.Record) int64 {
	held := max(0, rec.TTLB-rec.QueueWait-rec.BodyWait)
	kib := (rec.ResidentBytes + 1<<10 - 1) >> 10
	return kib * held.Microseconds()
}

// Waits returns the waits that were longer than 0; nil if there are none.
func (c *Counters) Waits() *Durations { return c.waits.Load() }

// ColdStarts returns the times of cold starts; nil if there are none.
func (c *Counters) ColdStarts() *Durations { return c.cold.Load() }

// made returns the durations of a pointer, which it makes if there are none.
func made(p *atomic.Pointer[Durations]) *Durations {
	if h := p.Load(); h != nil {
		return h
	}
	p.CompareAndSwap(nil, new(Durations))
	return p.Load()
}

// Count returns the number of requests.
func (c *Counters) Count() uint64 { return c.Latency.Count() }

// Since returns the time of the first request.
func (c *Counters) Since() time.Time { return c.since }
