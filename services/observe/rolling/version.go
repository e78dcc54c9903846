package rolling

import (
	"time"

	"github.com/vespo-dev/vespo/services/internal/latency"
	"github.com/vespo-dev/vespo/services/observe/tally"
)

// The two sorts of slices: how long they are in intervals, and how many are kept. Each ring has a place for the slice that
// is still being filled.
const (
	perMinute = int64(time.Minute / Interval)
	minutes   = 60
)

// slice is what a version's counters have gained in a slice of time.
type slice struct {
	number    int64 // of the slice, since the start
	sums      sums
	latencies []byte // in sparse form
}

// merge adds the gain of a part of the slice.
func (s *slice) merge(gained *sums, by *latencies) {
	s.sums.add(gained)
	all := *by
	all.add(s.latencies)
	s.latencies = all.appendTo(nil)
}

// ring holds the latest slices of one length, by number.
type ring []*slice

// at returns a slice, or nil if nothing was gained in it or it is not kept any more.
func (r ring) at(number int64) *slice {
	if len(r) == 0 || number < 0 {
		return nil
	}
	if s := r[number%int64(len(r))]; s != nil && s.number == number {
		return s
	}
	return nil
}

// merge adds to a slice, which replaces an older one in the ring.
func (r ring) merge(number int64, gained *sums, by *latencies) {
	s := r.at(number)
	if s == nil {
		s = &slice{number: number}
		r[number%int64(len(r))] = s
	}
	s.merge(gained, by)
}

// version has the statistics of one version of a service. All of it is guarded by Rolling.mu.
type version struct {
	of      *tally.Version
	seen    sums                    // counters at the last roll
	buckets [latency.Buckets]uint32 // the same
	fine    ring                    // of an Interval; nil if no slice is kept
	minutes ring                    // nil if no slice is kept
	last    int64                   // number of the latest fine slice with requests
}

// follow makes of the counts that the version follows. They differ from those before if the version had left the catalogue.
func (v *version) follow(of *tally.Version, number int64) {
	if v.of != of {
		v.roll(number)
		v.of, v.seen, v.buckets = of, sums{}, [latency.Buckets]uint32{}
	}
	v.begin(number)
}

// begin makes the rings of slices, if there are requests since the last roll. It reports whether there are.
func (v *version) begin(number int64) bool {
	if load(v.of.Counters()).outcomes == v.seen.outcomes {
		return false
	}
	if !v.kept() {
		v.last, v.fine, v.minutes = number, make(ring, Points+1), make(ring, minutes+1)
	}
	return true
}

// drop drops the slices. The counts of the last roll stay, so that requests count once.
func (v *version) drop() { v.fine, v.minutes = nil, nil }

// kept reports whether the version has slices.
func (v *version) kept() bool { return v.fine != nil }

// gained returns what the counters have gained since the last roll.
func (v *version) gained() (s sums, by latencies) {
	c := v.of.Counters()
	s = load(c)
	s.minus(&v.seen)
	for i := range by {
		by[i] = uint64(uint32(c.Latency.Fine[i].Load()) - v.buckets[i])
	}
	return s, by
}

// roll stores the gain as a part of the fine slice with the number.
func (v *version) roll(number int64) {
	if !v.begin(number) {
		return
	}
	s, by := v.gained()
	s.peakBytes = max(s.peakBytes, v.of.Counters().Peak.Take())
	v.seen.add(&s)
	v.seen.peakBytes = 0
	for i, n := range by {
		v.buckets[i] += uint32(n)
	}
	v.fine.merge(number, &s, &by)
	v.minutes.merge(number/perMinute, &s, &by)
	v.last = number
}

// idle reports whether no slice with requests is kept.
func (v *version) idle(number int64) bool { return number/perMinute-v.last/perMinute > minutes }

// window adds the sums of the latest span to s and by. Number is that of the fine slice that is being filled.
func (v *version) window(span time.Duration, number int64, s *sums, by *latencies) {
	gained, own := v.gained()
	s.add(&gained)
	for i, n := range own {
		by[i] += n
	}
	slices, last, n := v.fine, number, int64(span/Interval)
	if n > Points {
		slices, last, n = v.minutes, number/perMinute, int64(span/time.Minute)
	}
	for i := last - n; i <= last; i++ {
		if one := slices.at(i); one != nil {
			s.add(&one.sums)
			by.add(one.latencies)
		}
	}
}
