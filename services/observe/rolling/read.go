package rolling

import (
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/observe/tally"
)

// Spans are the lengths of the windows.
func Spans() []time.Duration {
	return []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}
}

// Service has the statistics of a service.
type Service struct {
	Windows  []Window  // of Spans
	Versions []Version // with requests in the last hour, in the order of their first request
	Points   []Point   // the last Points intervals that have ended, the oldest first; nil unless asked for
}

// Version has the statistics of a version of a service.
type Version struct {
	VersionID
	Windows []Window
}

// Window sums up the requests of a service or version that ended in the latest span of time. Memory is in bytes.
type Window struct {
	Span          time.Duration // one of Spans
	Covered       time.Duration // what the window covers: at most one slice more than Span; less for a young service
	Requests      uint64
	Failed        uint64 // answered with a status of 500 or above, or broken off by the server
	Outcomes      map[accesslog.Outcome]uint64
	P50           time.Duration // latencies until the end of the response
	P95           time.Duration
	P99           time.Duration
	Mean          time.Duration
	GuestTime     time.Duration // sum
	BytesIn       int64
	BytesOut      int64
	PeakBytes     int64 // largest memory of a guest
	ResidentBytes int64 // memory that a request has written, on average
}

// Rate returns the number of requests per second.
func (w *Window) Rate() float64 {
	if w.Covered <= 0 {
		return 0
	}
	return float64(w.Requests) / w.Covered.Seconds()
}

// Point sums up an interval.
type Point struct {
	Requests  uint64
	Failed    uint64
	P50       time.Duration
	P99       time.Duration
	PeakBytes int64
}

// Service returns the statistics of a service; zero if it has had no requests.
func (r *Rolling) Service(name string, points bool) (view Service) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var versions []*version
	since := time.Now()
	if s := r.adoptLocked(r.tally.Service(name)); s != nil {
		versions, since = s.kept(), s.since
	}
	view.Windows = r.windows(since, versions...)
	for _, v := range versions {
		view.Versions = append(view.Versions, Version{VersionID: v.id(), Windows: r.windows(since, v)})
	}
	if points {
		view.Points = r.points(versions)
	}
	return view
}

// windows returns the windows of some versions together.
func (r *Rolling) windows(since time.Time, versions ...*version) (all []Window) {
	for _, span := range Spans() {
		var s sums
		var by latencies
		for _, v := range versions {
			v.window(span, r.rolled, &s, &by)
		}
		w := windowOf(&s, &by)
		w.Span = span
		w.Covered = min(r.covered(span), max(time.Since(since), time.Second))
		all = append(all, w)
	}
	return all
}

// covered returns what a window covers: whole slices, and the one that is being filled.
func (r *Rolling) covered(span time.Duration) time.Duration {
	length := Interval
	if span/Interval > Points {
		length = time.Minute
	}
	return span + time.Since(r.start)%length
}

func windowOf(s *sums, by *latencies) Window {
	w := Window{
		Requests:  s.requests(),
		Failed:    s.failed,
		Outcomes:  map[accesslog.Outcome]uint64{},
		P50:       by.quantile(0.5),
		P95:       by.quantile(0.95),
		P99:       by.quantile(0.99),
		GuestTime: s.guest,
		BytesIn:   s.bytesIn,
		BytesOut:  s.bytesOut,
		PeakBytes: s.peakBytes,
	}
	names := tally.OutcomeNames()
	for i, n := range s.outcomes {
		if n > 0 {
			w.Outcomes[names[i]] = n
		}
	}
	if w.Requests > 0 {
		w.Mean = s.latency / time.Duration(w.Requests)
		w.ResidentBytes = s.dirtyBytes / int64(w.Requests)
	}
	return w
}

// points returns the series of some versions together.
func (r *Rolling) points(versions []*version) []Point {
	series := make([]Point, Points)
	for i := range series {
		var s sums
		var by latencies
		for _, v := range versions {
			if one := v.fine.at(r.rolled - Points + int64(i)); one != nil {
				s.add(&one.sums)
				by.add(one.latencies)
			}
		}
		series[i] = Point{
			Requests:  s.requests(),
			Failed:    s.failed,
			P50:       by.quantile(0.5),
			P99:       by.quantile(0.99),
			PeakBytes: s.peakBytes,
		}
	}
	return series
}
