package accesslog

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/scarce"
)

// MessageFailed is the message of Failures for requests that a service failed.
const MessageFailed = "a service failed a request"

// MessageScarce is the message of Failures for requests that lacked a descriptor, port
// or memory of this machine.
const MessageScarce = "the machine lacks what a request needs"

// machine is the bucket key for the machine's own lines. It is not a valid service name.
const machine = "\x00machine"

// FieldSuppressed counts the failures of the service that were not logged since its previous line.
const FieldSuppressed = "suppressed"

// Rate limits of Failures.
const (
	failureBurst    = 5               // lines of one service in a burst
	failureInterval = 5 * time.Second // between lines of one service in the long run
	maxBuckets      = 1024            // services with a budget of their own
)

// Failures logs the requests that failed, for servers without access records. At level Warn it logs, with
// the error, requests failed by a service or by a resource shortage of the machine. The rate of these
// lines is limited for each service and for the machine. At level Error it logs all requests failed by
// the host, because their responses refer to the log.
//
// It has one lock, which is held briefly.
type Failures struct {
	logger  *slog.Logger // immutable
	mu      sync.Mutex
	buckets map[string]*bucket // guarded by mu; by service; buckets without recent failures are dropped
	stats   FailureStats       // guarded by mu; without Services
}

// FailureStats counts the failures since NewFailures.
type FailureStats struct {
	Services   int   // with a budget of their own at the moment, including the machine
	Logged     int64 // by a service or the machine
	Suppressed int64 // by a service or the machine, and not logged
	Host       int64 // by the host; all are logged
}

// NewFailures returns a Failures that logs to logger. Its Listen is the Listener.
func NewFailures(logger *slog.Logger) *Failures {
	return &Failures{logger: logger, buckets: make(map[string]*bucket)}
}

// Stats returns the current counts.
func (f *Failures) Stats() FailureStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	stats := f.stats
	stats.Services = len(f.buckets)
	return stats
}

// bucket is the budget of one service.
type bucket struct {
	lines      int       // remaining
	filled     time.Time // last update of lines
	suppressed int64
}

// Listen is a Listener.
func (f *Failures) Listen(rec *Record) {
	if rec.Outcome == OutcomeOK && rec.Err == nil { // most are
		return
	}
	if rec.Outcome == OutcomeHostError {
		f.mu.Lock()
		f.stats.Host++
		f.mu.Unlock()
		f.logger.LogAttrs(context.Background(), slog.LevelError, Message, attrsOf(rec)...)
		return
	}
	service, message := rec.Service, MessageFailed
	switch {
	case scarce.Own(rec.Err):
		service, message = machine, MessageScarce
	case !failedByService(rec.Outcome):
		return
	}
	suppressed, ok := f.take(service, time.Now())
	if !ok {
		return
	}
	fields := []slog.Attr{
		slog.String(FieldRequestID, rec.RequestID),
		slog.String(FieldService, rec.Service),
		slog.String(FieldVersion, rec.Version),
		slog.String(FieldOutcome, string(rec.Outcome)),
		slog.Int(FieldStatus, rec.Status),
		slog.String(FieldMethod, printable(rec.Method, maxMethodBytes)),
		slog.String(FieldURI, printable(rec.URI, maxURIBytes)),
	}
	if rec.TraceID != "" {
		fields = append(fields, slog.String(FieldTraceID, rec.TraceID))
	}
	if rec.Err != nil {
		fields = append(fields, slog.String(FieldErr, printable(rec.Err.Error(), maxErrBytes)))
	}
	if suppressed > 0 {
		fields = append(fields, slog.Int64(FieldSuppressed, suppressed))
	}
	f.logger.LogAttrs(context.Background(), slog.LevelWarn, message, fields...)
}

// failedByService reports whether the service's owner is responsible for an outcome.
// Lack of capacity concerns the operator.
func failedByService(o Outcome) bool {
	switch o {
	case OutcomeExit, OutcomeTrap, OutcomeOutOfMemory, OutcomeStackOverflow, OutcomeDeadline, OutcomeWorkLimit, OutcomeBadAnswer, OutcomeUnreachable:
		return true
	}
	return false
}

// take spends a line of the service's budget, if there is one, and returns the number
// of failures suppressed since the previous line.
func (f *Failures) take(service string, now time.Time) (suppressed int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.bucketLocked(service, now)
	b.fill(now)
	if b.lines == 0 {
		b.suppressed++
		f.stats.Suppressed++
		return 0, false
	}
	b.lines--
	f.stats.Logged++
	suppressed, b.suppressed = b.suppressed, 0
	return suppressed, true
}

// bucketLocked returns the budget of a service. If too many services failed recently,
// the remaining ones share one.
func (f *Failures) bucketLocked(service string, now time.Time) *bucket {
	b := f.buckets[service]
	if b != nil {
		return b
	}
	if len(f.buckets) >= maxBuckets {
		for name, other := range f.buckets {
			if now.Sub(other.filled) > failureBurst*failureInterval {
				delete(f.buckets, name)
			}
		}
		if len(f.buckets) >= maxBuckets {
			service = ""
			if b = f.buckets[service]; b != nil {
				return b
			}
		}
	}
	b = &bucket{lines: failureBurst, filled: now}
	f.buckets[service] = b
	return b
}

// fill adds the lines earned since the last fill.
func (b *bucket) fill(now time.Time) {
	earned := int(now.Sub(b.filled) / failureInterval)
	if b.lines += earned; b.lines >= failureBurst {
		b.lines, b.filled = failureBurst, now
		return
	}
	b.filled = b.filled.Add(time.Duration(earned) * failureInterval)
}
