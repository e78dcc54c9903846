package canary

import (
	"math/bits"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// Sample summarises the requests of one version.
type Sample struct {
	Requests uint64
	Errors   uint64
	P95      time.Duration // time to the first byte, without waits for a place; zero without requests
}

// errorShare returns the share of errors.
func (s Sample) errorShare() float64 {
	if s.Requests == 0 {
		return 0
	}
	return float64(s.Errors) / float64(s.Requests)
}

// Buckets of latencies: 8 for each power of two of microseconds, so a bucket is at most an eighth wide.
const (
	subBits = 3
	buckets = (40 - subBits) << subBits
)

// counts counts the requests of one version.
type counts struct {
	requests atomic.Uint64
	errors   atomic.Uint64
	latency  [buckets]atomic.Uint64
}

// bucketOf returns the bucket of a latency.
func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 1<<subBits {
		return int(us)
	}
	exponent := bits.Len64(us) - 1 - subBits
	return min((exponent+1)<<subBits|int(us>>exponent&(1<<subBits-1)), buckets-1)
}

// upper returns the latency at which a bucket ends.
func upper(bucket int) time.Duration {
	if bucket < 1<<subBits {
		return time.Duration(bucket+1) * time.Microsecond
	}
	exponent := bucket>>subBits - 1
	return time.Duration(uint64(1<<subBits|bucket&(1<<subBits-1)+1)<<exponent) * time.Microsecond
}

// add counts a request. Requests that the version has not seen, or that their client has given up, are left out.
func (c *counts) add(rec *accesslog.Record) {
	switch rec.Outcome {
	case accesslog.OutcomeNoCapacity, accesslog.OutcomeNotReady, accesslog.OutcomeClientGone:
		return
	}
	c.requests.Add(1)
	if rec.Status == 0 || rec.Status >= http.StatusInternalServerError {
		c.errors.Add(1)
	}
	took := rec.TTFB
	if took == 0 {
		took = rec.TTLB
	}
	c.latency[bucketOf(took-rec.QueueWait-rec.BodyWait)].Add(1)
}

// sample returns the current counts.
func (c *counts) sample() Sample {
	s := Sample{Requests: c.requests.Load(), Errors: c.errors.Load()}
	var all [buckets]uint64
	sum := uint64(0)
	for i := range c.latency {
		all[i] = c.latency[i].Load()
		sum += all[i]
	}
	left := sum - sum*95/100 // requests above the p95
	for i := buckets - 1; i >= 0 && sum > 0; i-- {
		if all[i] >= left {
			s.P95 = upper(i)
			break
		}
		left -= all[i]
	}
	return s
}
