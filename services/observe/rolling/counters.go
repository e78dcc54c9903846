package rolling

import (
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// outcomes lists the outcomes that are counted by name. Others are counted as the last one.
var outcomes = [...]accesslog.Outcome{
	accesslog.OutcomeOK,
	accesslog.OutcomeExit,
	accesslog.OutcomeTrap,
	accesslog.OutcomeOutOfMemory,
	accesslog.OutcomeStackOverflow,
	accesslog.OutcomeDeadline,
	accesslog.OutcomeWorkLimit,
	accesslog.OutcomeHostError,
	accesslog.OutcomeBadAnswer,
	accesslog.OutcomeUnreachable,
	accesslog.OutcomeRefused,
	accesslog.OutcomeNotFound,
	accesslog.OutcomeNoCapacity,
	accesslog.OutcomeNotReady,
	accesslog.OutcomeClientGone,
	accesslog.OutcomeAborted,
	"other",
}

// outcomeOf returns the index of an outcome.
func outcomeOf(o accesslog.Outcome) int {
	for i, known := range outcomes {
		if o == known {
			return i
		}
	}
	return len(outcomes) - 1
}

// counters are what requests add to. All but peakBytes only grow.
type counters struct {
	outcomes   [len(outcomes)]atomic.Uint64
	failed     atomic.Uint64
	latency    atomic.Int64 // sum
	guest      atomic.Int64 // sum
	bytesIn    atomic.Int64
	bytesOut   atomic.Int64
	dirtyBytes atomic.Int64
	peakBytes  atomic.Int64 // largest since the last roll
	buckets    [buckets]atomic.Uint32
}

// count adds a request.
func (c *counters) count(rec *accesslog.Record) {
	c.outcomes[outcomeOf(rec.Outcome)].Add(1)
	c.buckets[bucketOf(rec.TTLB)].Add(1)
	c.latency.Add(int64(rec.TTLB))
	if rec.Failed {
		c.failed.Add(1)
	}
	addTo(&c.guest, int64(rec.GuestTime))
	addTo(&c.bytesIn, rec.BytesIn)
	addTo(&c.bytesOut, rec.BytesOut)
	addTo(&c.dirtyBytes, rec.DirtyBytes)
	for {
		peak := c.peakBytes.Load()
		if rec.PeakBytes <= peak || c.peakBytes.CompareAndSwap(peak, rec.PeakBytes) {
			return
		}
	}
}

func addTo(sum *atomic.Int64, n int64) {
	if n != 0 {
		sum.Add(n)
	}
}

// sums are the counters at one time, or what they have gained in a slice of time.
type sums struct {
	outcomes   [len(outcomes)]uint64
	failed     uint64
	latency    time.Duration
	guest      time.Duration
	bytesIn    int64
	bytesOut   int64
	dirtyBytes int64
	peakBytes  int64
}

// requests returns the number of requests.
func (s *sums) requests() (n uint64) {
	for _, c := range s.outcomes {
		n += c
	}
	return n
}

// add adds what another slice of time has gained.
func (s *sums) add(o *sums) {
	for i, n := range o.outcomes {
		s.outcomes[i] += n
	}
	s.failed += o.failed
	s.latency += o.latency
	s.guest += o.guest
	s.bytesIn += o.bytesIn
	s.bytesOut += o.bytesOut
	s.dirtyBytes += o.dirtyBytes
	s.peakBytes = max(s.peakBytes, o.peakBytes)
}

// minus subtracts the sums at an earlier time. The peak stays.
func (s *sums) minus(o *sums) {
	for i, n := range o.outcomes {
		s.outcomes[i] -= n
	}
	s.failed -= o.failed
	s.latency -= o.latency
	s.guest -= o.guest
	s.bytesIn -= o.bytesIn
	s.bytesOut -= o.bytesOut
	s.dirtyBytes -= o.dirtyBytes
}

// load returns the counters. They may be of slightly different times.
func (c *counters) load() (s sums) {
	for i := range c.outcomes {
		s.outcomes[i] = c.outcomes[i].Load()
	}
	s.failed = c.failed.Load()
	s.latency = time.Duration(c.latency.Load())
	s.guest = time.Duration(c.guest.Load())
	s.bytesIn = c.bytesIn.Load()
	s.bytesOut = c.bytesOut.Load()
	s.dirtyBytes = c.dirtyBytes.Load()
	s.peakBytes = c.peakBytes.Load()
	return s
}
