package load

import (
	"math/bits"
	"time"
)

// The buckets of a Histogram are as wide as 1/64 of their values, so quantiles are exact within 1.6 %.
const (
	fineBits = 6
	fine     = 1 << fineBits
	buckets  = (64 - fineBits) * fine
)

// Histogram counts durations. The zero Histogram is empty.
type Histogram struct {
	count  int
	max    time.Duration
	counts [buckets]uint32
}

// bucket returns the index of a duration: exact below fine, then fine indexes for each power of two.
func bucket(ns uint64) int {
	if ns < fine {
		return int(ns)
	}
	shift := bits.Len64(ns) - 1 - fineBits
	return shift*fine + int(ns>>shift)
}

// upper returns the longest duration of a bucket.
func upper(bucket int) time.Duration {
	if bucket < fine {
		return time.Duration(bucket)
	}
	shift := bucket/fine - 1
	return time.Duration(uint64(bucket-shift*fine+1)<<shift - 1)
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.count++
	h.max = max(h.max, d)
}

// Merge adds the counts of other.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.count += other.count
	h.max = max(h.max, other.max)
}

// Count returns the number of durations.
func (h *Histogram) Count() int { return h.count }

// Max returns the longest duration, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the q-quantile; 0 if there are no durations.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, seen := int(q*float64(h.count-1)), 0
	for i, n := range h.counts {
		if seen += int(n); seen > rank {
			return min(upper(i), h.max)
		}
	}
	return h.max
}
