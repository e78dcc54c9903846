package metrics

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The buckets of a native histogram of schema 2: each is 19 % wider than the one before. The first is that of values
// up to nativeFloor, which counts as zero. The last one has all longer times, too.
const (
	nativeSchema  = 2
	perDouble     = 1 << nativeSchema
	floorExponent = -17 // 2^-17 s is 8 us
	lastExponent  = 9   // 2^9 s is 8.5 min
	nativeBuckets = (lastExponent - floorExponent) * perDouble
)

// fractions returns the upper bounds of the buckets from 0.5 to 1, without 1.
func fractions() [perDouble]float64 {
	return [perDouble]float64{0.5, 0.5946035575013605, 0.7071067811865475, 0.8408964152537144}
}

// classicBounds are the upper bounds of the classic buckets.
const classicBounds = 14

func bounds() [classicBounds]time.Duration {
	const us, ms, s = time.Microsecond, time.Millisecond, time.Second
	return [...]time.Duration{100 * us, 250 * us, 500 * us, 1 * ms, 2500 * us, 5 * ms, 10 * ms, 25 * ms, 50 * ms, 100 * ms, 250 * ms, 1 * s, 5 * s, 30 * s}
}

// durations is a histogram of durations with classic and native buckets. It is safe for concurrent use.
type durations struct {
	nanos   atomic.Int64
	zero    atomic.Uint64
	native  [nativeBuckets]atomic.Uint64
	classic [classicBounds + 1]atomic.Uint64 // the last has the longer ones
}

// observe counts a duration.
func (h *durations) observe(d time.Duration) {
	d = max(0, d)
	h.nanos.Add(int64(d))
	h.classic[classicBucket(d)].Add(1)
	if b := nativeBucket(d); b < 0 {
		h.zero.Add(1)
	} else {
		h.native[b].Add(1)
	}
}

// classicBucket returns the index of a duration's bucket among the bounds.
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
	for all := bounds(); i < len(all) && d > all[i]; i++ {
	}
	return i
}

// nativeBucket returns the index of a duration's bucket, -1 for the one of zero.
func nativeBucket(d time.Duration) int {
	fraction, exponent := math.Frexp(d.Seconds())
	if d == 0 || exponent <= floorExponent || exponent == floorExponent+1 && fraction == 0.5 {
		return -1
	}
	key := (exponent - 1) * perDouble // of the bucket that ends with a power of 2
	switch bounds := fractions(); {
	case fraction > bounds[3]:
		key += 4
	case fraction > bounds[2]:
		key += 3
	case fraction > bounds[1]:
		key += 2
	case fraction > bounds[0]:
		key++
	}
	return min(key-floorExponent*perDouble-1, nativeBuckets-1)
}

// count returns the number of observations.
func (h *durations) count() (n uint64) {
	for i := range h.classic {
		n += h.classic[i].Load()
	}
	return n
}

// read returns the histogram in the form of Prometheus, with each classic bucket whose index is a multiple of step.
// zeros are observations of 0 that were not counted.
func (h *durations) read(step int, zeros uint64, created *timestamppb.Timestamp) *dto.Histogram {
	total := zeros
	all := bounds()
	buckets := make([]*dto.Bucket, 0, len(all))
	for i := range all {
		total += h.classic[i].Load()
		if i%step != 0 {
			continue
		}
		upTo, bound := total, all[i].Seconds()
		buckets = append(buckets, &dto.Bucket{CumulativeCount: &upTo, UpperBound: &bound})
	}
	total += h.classic[len(all)].Load()
	sum := time.Duration(h.nanos.Load()).Seconds()
	m := &dto.Histogram{SampleCount: &total, SampleSum: &sum, Bucket: buckets, CreatedTimestamp: created}
	h.readNative(m, zeros)
	return m
}

// readNative adds the native buckets. Their counts can differ from the classic ones by requests that end at this moment.
func (h *durations) readNative(m *dto.Histogram, zeros uint64) {
	schema, threshold, zero := int32(nativeSchema), math.Ldexp(1, floorExponent), h.zero.Load()+zeros
	m.Schema, m.ZeroThreshold, m.ZeroCount = &schema, &threshold, &zero
	next, last := floorExponent*perDouble+1, int64(0) // bucket after the last span, and the count before
	for i := range h.native {
		n := int64(h.native[i].Load())
		if n == 0 {
			continue
		}
		index := i + floorExponent*perDouble + 1
		if spans := len(m.PositiveSpan); spans > 0 && index == next {
			*m.PositiveSpan[spans-1].Length++
		} else {
			offset, length := int32(index-next), uint32(1)
			if spans == 0 {
				offset = int32(index)
			}
			m.PositiveSpan = append(m.PositiveSpan, &dto.BucketSpan{Offset: &offset, Length: &length})
		}
		m.PositiveDelta = append(m.PositiveDelta, n-last)
		next, last = index+1, n
	}
	if len(m.PositiveSpan) == 0 { // marks the histogram as a native one even if all observations are zero
		offset, length := int32(0), uint32(0)
		m.PositiveSpan = slices.Concat(m.PositiveSpan, []*dto.BucketSpan{{Offset: &offset, Length: &length}})
	}
}
