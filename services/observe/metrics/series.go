package metrics

import (
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// version identifies a series.
type version struct {
	service string // its route key
	number  uint64
}

// series counts the requests of one version. All of it is atomic, but for the first group.
type series struct {
	version version
	labels  [2]string              // service and version
	created *timestamppb.Timestamp // immutable
	route   *router.Route          // guarded by Requests.mu; nil if the series is of no route
	left    time.Time              // guarded by Requests.mu; when the version left the table; zero if it has not

	requests [outcomes][classes]atomic.Uint64
	failed   atomic.Uint64
	starts   [starts]atomic.Uint64
	latency  durations
	waits    atomic.Pointer[durations] // made by the first request that has waited

	guestNanos atomic.Int64
	dirtyBytes atomic.Int64
	peakBytes  atomic.Int64 // the largest
	operations atomic.Int64 // on key-value stores
	bytesIn    atomic.Int64
	bytesOut   atomic.Int64
}

func newSeries(v version, now time.Time) *series {
	s := &series{version: v, created: timestamppb.New(now)}
	s.labels[0] = v.service
	if len(v.service) > 0 && v.service[0] == '/' {
		s.labels[1] = strconv.FormatUint(v.number, 10)
	}
	return s
}

// outcomes is the number of outcomes, with one for unknown ones.
const outcomes = 16

// outcomeNames returns the outcomes in the order of their indexes.
func outcomeNames() [outcomes]accesslog.Outcome {
	return [outcomes]accesslog.Outcome{
		accesslog.OutcomeOK, accesslog.OutcomeExit, accesslog.OutcomeTrap, accesslog.OutcomeOutOfMemory, accesslog.OutcomeStackOverflow,
		accesslog.OutcomeDeadline, accesslog.OutcomeWorkLimit, accesslog.OutcomeHostError, accesslog.OutcomeBadAnswer, accesslog.OutcomeUnreachable,
		accesslog.OutcomeRefused, accesslog.OutcomeNotFound, accesslog.OutcomeNoCapacity, accesslog.OutcomeNotReady,
		accesslog.OutcomeClientGone, accesslog.OutcomeAborted,
	}
}

func outcomeIndex(o accesslog.Outcome) int {
	if o == accesslog.OutcomeOK { // most are
		return 0
	}
	hostError := 0
	for i, name := range outcomeNames() {
		switch name {
		case o:
			return i
		case accesslog.OutcomeHostError:
			hostError = i
		}
	}
	return hostError // the outcome is not one
}

// classes is the number of status classes. The first is that of requests without a response.
const classes = 6

func classIndex(status int) int {
	if status >= 100 && status < 600 {
		return status / 100
	}
	return 0
}

func className(i int) string {
	if i == 0 {
		return "none"
	}
	return strconv.Itoa(i) + "xx"
}

// starts is the number of kinds of starts.
const starts = 3

func startNames() [starts]accesslog.Start {
	return [starts]accesslog.Start{accesslog.StartWarm, accesslog.StartRestored, accesslog.StartCold}
}

// count adds a record.
func (s *series) count(rec *accesslog.Record) {
	class := classIndex(rec.Status)
	s.requests[outcomeIndex(rec.Outcome)][class].Add(1)
	if class == 5 || rec.Outcome == accesslog.OutcomeAborted {
		s.failed.Add(1)
	}
	switch rec.Start {
	case accesslog.StartWarm:
		s.starts[0].Add(1)
	case accesslog.StartRestored:
		s.starts[1].Add(1)
	case accesslog.StartCold:
		s.starts[2].Add(1)
	}
	s.latency.observe(rec.TTLB)
	if rec.QueueWait > 0 {
		s.waiting().observe(rec.QueueWait)
	}
	add(&s.guestNanos, int64(rec.GuestTime))
	add(&s.dirtyBytes, rec.DirtyBytes)
	add(&s.operations, int64(rec.KVOperations))
	add(&s.bytesIn, rec.BytesIn)
	add(&s.bytesOut, rec.BytesOut)
	for peak := s.peakBytes.Load(); rec.PeakBytes > peak && !s.peakBytes.CompareAndSwap(peak, rec.PeakBytes); {
		peak = s.peakBytes.Load()
	}
}

// add adds n, without touching the counter's memory if n is 0.
func add(to *atomic.Int64, n int64) {
	if n > 0 {
		to.Add(n)
	}
}

// waiting returns the histogram of waits.
func (s *series) waiting() *durations {
	if h := s.waits.Load(); h != nil {
		return h
	}
	s.waits.CompareAndSwap(nil, new(durations))
	return s.waits.Load()
}
