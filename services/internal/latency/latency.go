// Package latency has the buckets in which latencies are counted: those of Prometheus' native histograms with schema 3. There are
// 8 for each power of two of seconds, so the bounds grow by 9 %. The first bucket holds latencies of up to 2^-20 s, about a
// microsecond.
package latency

import (
	"math"
	"time"
)

const (
	// Schema is the number of the buckets' form in Prometheus.
	Schema = 3
	// PerDouble is the number of buckets for each power of two.
	PerDouble = 1 << Schema
	// FloorExponent is that of the first bucket's bound, which is a power of two of seconds.
	FloorExponent = -20
	// Buckets is the number of buckets. The last one also holds longer latencies, from 58 minutes on.
	Buckets = 256
)

// bound returns the mantissa's bits of a bound within a power of two, or more than all for the next power.
func bound(i int) uint64 {
	return [PerDouble + 1]uint64{0, 0x172b83c7d517b, 0x306fe0a31b715, 0x4bfdad5362a27, 0x6a09e667f3bcc, 0x8ace5422aa0db, 0xae89f995ad3ac, 0xd5818dcfba486, 1 << mantissaBits}[i]
}

const (
	mantissaBits = 52
	exponentBias = 1023
)

// Bucket returns the bucket of a latency, which is longer than the bucket's Floor. Negative latencies are in the first.
func Bucket(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	bits := math.Float64bits(d.Seconds())
	exponent, mantissa := int(bits>>mantissaBits)-exponentBias, bits&(1<<mantissaBits-1)
	if exponent < FloorExponent {
		return 0
	}
	below := 0 // bounds below the mantissa
	if mantissa > 0 {
		eighth := int(mantissa >> (mantissaBits - Schema)) // has one bound, but for the last
		if below = eighth + 1; mantissa > bound(below) {
			below++
		}
	}
	return min((exponent-FloorExponent)*PerDouble+below, Buckets-1)
}

// Floor returns the lower bound of a bucket, which is the upper bound of the one before, rounded down.
func Floor(bucket int) time.Duration {
	if bucket <= 0 {
		return 0
	}
	at := bucket - 1
	bits := uint64(at/PerDouble+FloorExponent+exponentBias)<<mantissaBits | bound(at%PerDouble)
	return time.Duration(math.Float64frombits(bits) * float64(time.Second))
}
