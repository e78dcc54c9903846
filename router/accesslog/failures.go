package accesslog

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/scarce"
)

// MessageFailed is the message of the lines of Failures.
const MessageFailed = "a service failed a request"

// MessageScarce is the message of the lines about requests that this machine had no descriptor, port or memory for.
const MessageScarce = "the machine lacks what a request needs"

// machine is the key of the machine's own budget of lines. No service has it.
const machine = "\x00machine"

// FieldSuppressed counts the failures since the line before of the same service that were not logged.
const FieldSuppressed = "suppressed"

// Bounds of what Failures writes.
const (
	failureBurst    = 5               // lines of one service at once
	failureInterval = 5 * time.Second // between lines of one service in the long run
	maxBuckets      = 1024            // services that have budgets of their own
)

// Failures makes a listener for servers without access records: it logs the requests that services have failed at level Warn, with the
// reason, and those that the machine lacked something for, a few lines a minute for each service and for the machine at most; and those that the host itself has failed at level Error, all of them,
// since their answers refer to the log.
func Failures(logger *slog.Logger) Listener {
	f := &failures{logger: logger, buckets: make(map[string]*bucket)}
	return f.listen
}

// failures has one lock, which is held for moments.
type failures struct {
	logger  *slog.Logger // immutable
	mu      sync.Mutex
	buckets map[string]*bucket // guarded by mu; by service, those that have not failed for long are dropped
}

// bucket is the budget of one service.
type bucket struct {
	lines      int       // left
	filled     time.Time // when lines was brought up to date
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

// failedByService tells the outcomes that its owner has to do something about. Lack of capacity is the operator's.
func failedByService(o Outcome) bool {
	switch o {
	case OutcomeExit, OutcomeTrap, OutcomeOutOfMemory, OutcomeStackOverflow, OutcomeDeadline, OutcomeBadAnswer:
		return true
	}
	return false
}

// take spends a line of the service's budget, if there is one, and gives how many failures went unsaid since the last.
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

// bucketLocked gives the budget of a service. Where too many have failed lately, the others share one.
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

// fill adds the lines that the time since the last fill is worth.
func (b *bucket) fill(now time.Time) {
	earned := int(now.Sub(b.filled) / failureInterval)
	if b.lines += earned; b.lines >= failureBurst {
		b.lines, b.filled = failureBurst, now
		return
	}
	b.filled = b.filled.Add(time.Duration(earned) * failureInterval)
}
