package accesslog

import (
	"errors"
	"log/slog"
	"net/http"
)

// The field names of a log line. They are stable: fields are never renamed and keep their unit, but new ones
// may be added. Times are in whole microseconds, sizes in bytes. Optional fields are omitted if empty or 0.
const (
	FieldRequestID     = "request_id"
	FieldTraceID       = "trace_id"
	FieldMethod        = "method"
	FieldHost          = "host"
	FieldURI           = "uri"
	FieldProto         = "proto"
	FieldRemote        = "remote"
	FieldUserAgent     = "user_agent"
	FieldPeer          = "peer" // of the TCP connection, if it is a proxy
	FieldStatus        = "status"
	FieldOutcome       = "outcome"
	FieldBytesIn       = "bytes_in"
	FieldBytesOut      = "bytes_out"
	FieldTTFB          = "ttfb_us"
	FieldTTLB          = "ttlb_us"
	FieldQueueWait     = "queue_wait_us"
	FieldBodyWait      = "body_wait_us"
	FieldService       = "service"
	FieldPrefix        = "prefix"
	FieldVersion       = "version"
	FieldNumber        = "version_number"
	FieldGeneration    = "generation"
	FieldStart         = "start"
	FieldCache         = "cache"
	FieldGuestTime     = "guest_us"
	FieldWork          = "work"
	FieldSnapshotBytes = "snapshot_bytes"
	FieldDirtyBytes    = "dirty_bytes"
	FieldPeakBytes     = "peak_bytes"
	FieldKVOperations  = "kv_operations"
	FieldErr           = "err"
	FieldStack         = "stack" // of a panic in the host
)

// Message is the message of every access line.
const Message = "request"

// Lines that guests and functions print are records with AttrLine in the server's log. Those of guests have the message
// MessageGuest.
const (
	MessageGuest = "guest"
	AttrLine     = "line"
)

// Limits of logged strings in bytes. Longer ones are cut and end in an ellipsis.
const (
	maxMethodBytes    = 32
	maxHostBytes      = 255
	maxURIBytes       = 2048
	maxUserAgentBytes = 256
	maxErrBytes       = 1024
	maxStackBytes     = 8 << 10
)

// Level returns Error for failures of the host, Warn for other statuses of 500 and above, and Info for the rest.
func (rec *Record) Level() slog.Level {
	switch {
	case rec.Outcome == OutcomeHostError:
		return slog.LevelError
	case rec.Status >= http.StatusInternalServerError:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}

// field is the name of a field, and how it begins in each format.
type field struct {
	name  string
	begin [2]string // by asJSON and asText
}

func named(name string) *field {
	return &field{name, [2]string{`,"` + name + `":`, " " + name + "="}}
}

var (
	requestID     = named(FieldRequestID)
	traceID       = named(FieldTraceID)
	method        = named(FieldMethod)
	host          = named(FieldHost)
	uri           = named(FieldURI)
	proto         = named(FieldProto)
	remote        = named(FieldRemote)
	userAgent     = named(FieldUserAgent)
	peer          = named(FieldPeer)
	status        = named(FieldStatus)
	outcome       = named(FieldOutcome)
	bytesIn       = named(FieldBytesIn)
	bytesOut      = named(FieldBytesOut)
	ttfb          = named(FieldTTFB)
	ttlb          = named(FieldTTLB)
	queueWait     = named(FieldQueueWait)
	bodyWait      = named(FieldBodyWait)
	service       = named(FieldService)
	prefix        = named(FieldPrefix)
	version       = named(FieldVersion)
	number        = named(FieldNumber)
	generation    = named(FieldGeneration)
	start         = named(FieldStart)
	cached        = named(FieldCache)
	guestTime     = named(FieldGuestTime)
	work          = named(FieldWork)
	snapshotBytes = named(FieldSnapshotBytes)
	dirtyBytes    = named(FieldDirtyBytes)
	peakBytes     = named(FieldPeakBytes)
	kvOperations  = named(FieldKVOperations)
	failure       = named(FieldErr)
	stack         = named(FieldStack)
)

// fieldsOf passes the fields of a record to an encoder.
func fieldsOf(rec *Record, to *encoder) {
	to.word(requestID, rec.RequestID)
	to.word(method, printable(rec.Method, maxMethodBytes))
	to.word(host, printable(rec.Host, maxHostBytes))
	to.word(uri, printable(rec.URI, maxURIBytes))
	to.word(proto, rec.Proto)
	to.word(remote, rec.Remote)
	to.word(userAgent, printable(rec.UserAgent, maxUserAgentBytes))
	to.signed(status, int64(rec.Status))
	to.word(outcome, string(rec.Outcome))
	to.signed(bytesIn, rec.BytesIn)
	to.signed(bytesOut, rec.BytesOut)
	to.signed(ttfb, rec.TTFB.Microseconds())
	to.signed(ttlb, rec.TTLB.Microseconds())
	to.signed(queueWait, rec.QueueWait.Microseconds())
	if rec.Peer != rec.Remote {
		optionalWord(to, peer, rec.Peer)
	}
	optionalWord(to, traceID, rec.TraceID)
	optionalWord(to, service, rec.Service)
	optionalWord(to, prefix, rec.Prefix)
	optionalWord(to, version, rec.Version)
	optionalWord(to, start, string(rec.Start))
	optionalWord(to, cached, string(rec.Cache))
	optional(to, snapshotBytes, rec.SnapshotBytes)
	optional(to, dirtyBytes, rec.DirtyBytes)
	optional(to, peakBytes, rec.PeakBytes)
	optional(to, work, rec.Work)
	optional(to, kvOperations, int64(rec.KVOperations))
	if rec.Number != 0 {
		to.unsigned(number, rec.Number)
	}
	if rec.Generation != 0 {
		to.unsigned(generation, rec.Generation)
	}
	if rec.BodyWait != 0 {
		to.signed(bodyWait, rec.BodyWait.Microseconds())
	}
	if rec.GuestTime != 0 {
		to.signed(guestTime, rec.GuestTime.Microseconds())
	}
	if rec.Err != nil {
		to.word(failure, printable(rec.Err.Error(), maxErrBytes))
		passStack(to, rec.Err)
	}
}

func optionalWord(to *encoder, f *field, value string) {
	if value != "" {
		to.word(f, value)
	}
}

func optional(to *encoder, f *field, value int64) {
	if value != 0 {
		to.signed(f, value)
	}
}

// passStack passes the stack trace of a panic in the host. It is not passed through
// printable: a stack keeps its line breaks, which slog's handlers escape.
func passStack(to *encoder, err error) {
	var panicked interface{ Stack() []byte }
	if !errors.As(err, &panicked) {
		return
	}
	trace := panicked.Stack()
	to.word(stack, string(trace[:min(len(trace), maxStackBytes)]))
}
