package accesslog

import (
	"errors"
	"log/slog"
	"net/http"
	"time"
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

// maxFields is the most fields that appendFields adds.
const maxFields = 32

func appendFields(fields []slog.Attr, rec *Record) []slog.Attr {
	fields = append(fields,
		slog.String(FieldRequestID, rec.RequestID),
		slog.String(FieldMethod, printable(rec.Method, maxMethodBytes)),
		slog.String(FieldHost, printable(rec.Host, maxHostBytes)),
		slog.String(FieldURI, printable(rec.URI, maxURIBytes)),
		slog.String(FieldProto, rec.Proto),
		slog.String(FieldRemote, rec.Remote),
		slog.String(FieldUserAgent, printable(rec.UserAgent, maxUserAgentBytes)),
		slog.Int(FieldStatus, rec.Status),
		slog.String(FieldOutcome, string(rec.Outcome)),
		slog.Int64(FieldBytesIn, rec.BytesIn),
		slog.Int64(FieldBytesOut, rec.BytesOut),
		microseconds(FieldTTFB, rec.TTFB),
		microseconds(FieldTTLB, rec.TTLB),
		microseconds(FieldQueueWait, rec.QueueWait),
	)
	return appendOptional(fields, rec)
}

func appendOptional(fields []slog.Attr, rec *Record) []slog.Attr {
	if rec.Peer != rec.Remote && rec.Peer != "" {
		fields = append(fields, slog.String(FieldPeer, rec.Peer))
	}
	for _, f := range [...]struct{ name, value string }{
		{FieldTraceID, rec.TraceID},
		{FieldService, rec.Service},
		{FieldPrefix, rec.Prefix},
		{FieldVersion, rec.Version},
		{FieldStart, string(rec.Start)},
		{FieldCache, string(rec.Cache)},
	} {
		if f.value != "" {
			fields = append(fields, slog.String(f.name, f.value))
		}
	}
	for _, f := range [...]struct {
		name  string
		value int64
	}{
		{FieldSnapshotBytes, rec.SnapshotBytes},
		{FieldDirtyBytes, rec.DirtyBytes},
		{FieldPeakBytes, rec.PeakBytes},
		{FieldWork, rec.Work},
		{FieldKVOperations, int64(rec.KVOperations)},
	} {
		if f.value != 0 {
			fields = append(fields, slog.Int64(f.name, f.value))
		}
	}
	if rec.Number != 0 {
		fields = append(fields, slog.Uint64(FieldNumber, rec.Number))
	}
	if rec.Generation != 0 {
		fields = append(fields, slog.Uint64(FieldGeneration, rec.Generation))
	}
	if rec.BodyWait != 0 {
		fields = append(fields, microseconds(FieldBodyWait, rec.BodyWait))
	}
	if rec.GuestTime != 0 {
		fields = append(fields, microseconds(FieldGuestTime, rec.GuestTime))
	}
	if rec.Err != nil {
		fields = append(fields, slog.String(FieldErr, printable(rec.Err.Error(), maxErrBytes)))
		fields = appendStack(fields, rec.Err)
	}
	return fields
}

// appendStack adds the stack trace of a panic in the host. It is not passed through
// printable: a stack keeps its line breaks, which slog's handlers escape.
func appendStack(fields []slog.Attr, err error) []slog.Attr {
	var panicked interface{ Stack() []byte }
	if !errors.As(err, &panicked) {
		return fields
	}
	stack := panicked.Stack()
	return append(fields, slog.String(FieldStack, string(stack[:min(len(stack), maxStackBytes)])))
}

func microseconds(name string, d time.Duration) slog.Attr {
	return slog.Int64(name, d.Microseconds())
}
