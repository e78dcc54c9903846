package rolling

import (
	"time"

	"github.com/vespo-dev/vespo/services/observe/tally"
)

// sums are the counters at one time, or what they have gained in a slice of time.
type sums struct {
	outcomes   [tally.Outcomes]uint64
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
func load(c *tally.Counters) (s sums) {
	for i := range c.Requests {
		for class := range c.Requests[i] {
			s.outcomes[i] += c.Requests[i][class].Load()
		}
	}
	s.failed = c.Failed.Load()
	s.latency = time.Duration(c.Latency.Nanos.Load())
	s.guest = time.Duration(c.GuestNanos.Load())
	s.bytesIn = c.BytesIn.Load()
	s.bytesOut = c.BytesOut.Load()
	s.dirtyBytes = c.DirtyBytes.Load()
	s.peakBytes = c.Peak.Recent()
	return s
}
