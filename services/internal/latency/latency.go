// Package latency has the buckets in which latencies are counted: 8 of equal width for each power of two of microseconds, so a
// bucket is at most an eighth wide. Below 8 microseconds, a bucket is one microsecond wide.
package latency

import (
	"math/bits"
	"time"
)

// PerDouble is the number of buckets for each power of two.
const PerDouble = 1 << subBits

const subBits = 3

// Bucket returns the bucket of a latency. Negative ones are in the first.
func Bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < PerDouble {
		return int(us)
	}
	shift := bits.Len64(us) - 1 - subBits
	return PerDouble*(shift+1) + int(us>>shift)&(PerDouble-1)
}

// Floor returns the least latency of a bucket.
func Floor(bucket int) time.Duration {
	if bucket < PerDouble {
		return time.Duration(bucket) * time.Microsecond
	}
	shift := bucket/PerDouble - 1
	return time.Duration(PerDouble+bucket%PerDouble) << shift * time.Microsecond
}
