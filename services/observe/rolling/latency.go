package rolling

import (
	"encoding/binary"
	"time"

	"github.com/vespo-dev/vespo/services/internal/latency"
)

// latencies counts requests by the bucket of their latency.
type latencies [latency.Buckets]uint64

// count returns the number of requests.
func (l *latencies) count() (n uint64) {
	for _, c := range l {
		n += c
	}
	return n
}

// quantile returns the latency that a share q of the requests does not exceed; 0 if there are none.
func (l *latencies) quantile(q float64) time.Duration {
	rank := q * float64(l.count())
	if rank == 0 {
		return 0
	}
	for bucket, n := range l {
		if float64(n) < rank || n == 0 {
			rank -= float64(n)
			continue
		}
		low := latency.Floor(bucket)
		return low + time.Duration(rank/float64(n)*float64(latency.Floor(bucket+1)-low))
	}
	return latency.Floor(latency.Buckets)
}

// appendTo appends the counts that are not 0, each with the distance of its bucket from the one before.
func (l *latencies) appendTo(sparse []byte) []byte {
	last := -1
	for bucket, n := range l {
		if n > 0 {
			sparse = binary.AppendUvarint(sparse, uint64(bucket-last))
			sparse = binary.AppendUvarint(sparse, n)
			last = bucket
		}
	}
	return sparse
}

// add adds counts in sparse form.
func (l *latencies) add(sparse []byte) {
	for bucket := -1; len(sparse) > 0; {
		step, n := binary.Uvarint(sparse)
		count, m := binary.Uvarint(sparse[n:])
		bucket += int(step)
		l[bucket] += count
		sparse = sparse[n+m:]
	}
}
