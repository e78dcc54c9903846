package rolling

import "time"

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

// version has the statistics of one version of a service.
type version struct {
	id       VersionID // immutable
	counters counters  // atomic

	// Guarded by Rolling.mu, like all below.
	seen    sums            // counters at the last roll
	buckets [buckets]uint32 // the same
	fine    ring            // of an Interval
	minutes ring
	last    int64 // number of the latest fine slice with requests
}

func newVersion(id VersionID, number int64) *version {
	return &version{id: id, last: number, fine: make(ring, Points+1), minutes: make(ring, minutes+1)}
}

// gained returns what the counters have gained since the last roll.
func (v *version) gained() (s sums, by latencies) {
	s = v.counters.load()
	s.minus(&v.seen)
	for i := range by {
		by[i] = uint64(v.counters.buckets[i].Load() - v.buckets[i])
	}
	return s, by
}

// roll stores the gain as a part of the fine slice with the number.
func (v *version) roll(number int64) {
	if v.counters.load().outcomes == v.seen.outcomes {
		return
	}
	s, by := v.gained()
	s.peakBytes = max(s.peakBytes, v.counters.peakBytes.Swap(0))
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
