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

// Failures returns a listener for servers without access records. At level Warn it logs, with the
// error, requests failed by a service or by a resource shortage of the machine. The rate of these
// lines is limited for each service and for the machine. At level Error it logs all requests failed
// by the host, because their responses refer to the log.
func Failures(logger *slog.Logger) Listener {
	f := &failures{logger: logger, buckets: make(map[string]*bucket)}
	return f.listen
}

// failures has one lock, which is held briefly.
type failures struct {
	logger  *slog.Logger // immutable
	mu      sync.Mutex
	buckets map[string]*bucket // guarded by mu; by service; buckets without recent failures are dropped
}

// bucket is the budget of one service.
type bucket struct {
	lines      int       // remaining
	filled     time.Time // last update of lines
	suppressed int64
}

func (f *failures) listen(rec *Record) {
	if rec.Outcome == OutcomeHostError {
		var fields [25]slog.Attr
		f.logger.LogAttrs(context.Background(), slog.LevelError, Message, appendFields(fields[:0], rec)...)
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
	case OutcomeExit, OutcomeTrap, OutcomeOutOfMemory, OutcomeStackOverflow, OutcomeDeadline, OutcomeBadAnswer, OutcomeUnreachable:
		return true
	}
	return false
}

// take spends a line of the service's budget, if there is one, and returns the number
// of failures suppressed since the previous line.
func (f *failures) take(service string, now time.Time) (suppressed int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.bucketLocked(service, now)
	b.fill(now)
	if b.lines == 0 {
		b.suppressed++
		return 0, false
	}
	b.lines--
	suppressed, b.suppressed = b.suppressed, 0
	return suppressed, true
}

// bucketLocked returns the budget of a service. If too many services failed recently,
// the remaining ones share one.
func (f *failures) bucketLocked(service string, now time.Time) *bucket {
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
