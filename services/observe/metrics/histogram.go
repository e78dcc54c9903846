package metrics

import (
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vespo-dev/vespo/services/internal/latency"
	"github.com/vespo-dev/vespo/services/observe/tally"
)

// readHistogram returns a histogram in the form of Prometheus, with each classic bucket whose index is a multiple of step.
// zeros are observations of 0 that were not counted.
func readHistogram(h *tally.Durations, step int, zeros uint64, created *timestamppb.Timestamp) *dto.Histogram {
	total := zeros
	all := tally.ClassicBounds()
	buckets := make([]*dto.Bucket, 0, len(all))
	for i := range all {
		total += h.Classic[i].Load()
		if i%step != 0 {
			continue
		}
		upTo, bound := total, all[i].Seconds()
		buckets = append(buckets, &dto.Bucket{CumulativeCount: &upTo, UpperBound: &bound})
	}
	total += h.Classic[len(all)].Load()
	sum := time.Duration(h.Nanos.Load()).Seconds()
	m := &dto.Histogram{SampleCount: &total, SampleSum: &sum, Bucket: buckets, CreatedTimestamp: created}
	readNative(h, m, zeros)
	return m
}

// readNative adds the native buckets. Their counts can differ from the classic ones by requests that end at this moment.
func readNative(h *tally.Durations, m *dto.Histogram, zeros uint64) {
	schema, threshold, zero := int32(latency.Schema), math.Ldexp(1, latency.FloorExponent), h.Fine[0].Load()+zeros
	m.Schema, m.ZeroThreshold, m.ZeroCount = &schema, &threshold, &zero
	next, last := latency.FloorExponent*latency.PerDouble+1, int64(0) // bucket after the last span, and the count before
	for i := 1; i < len(h.Fine); i++ {
		n := int64(h.Fine[i].Load())
		if n == 0 {
			continue
		}
		index := i + latency.FloorExponent*latency.PerDouble
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
