// Package invocation carries a function invocation through the router, from the caller
// to the function service. It holds the data that has no place in an HTTP request.
//
// A request with a [Call] as its router.Request.Call has the event as its body, and the response body is the
// function's output, unchanged. A failure of the function is an error that wraps an [Error].
package invocation

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/tail"
)

// TailBytes is the length of the log tail that an invocation keeps, and of the text of an error.
const TailBytes = 4 << 10

// Limits of payloads and outputs.
const (
	MaxPayloadBytes = 6 << 20               // an event
	MaxOutputBytes  = MaxPayloadBytes + 100 // an output, unless it is streamed
)

// Call is one invocation. The service only reads it, and writes the function's console output to Log.
type Call struct {
	RequestID     string
	FunctionARN   string
	ClientContext string // JSON
	TraceID       string
	Log           *tail.Writer // nil if the caller does not want the console output
}

// Of returns the call of a request, given its router.Request.Call. It returns nil for an ordinary request.
func Of(call any) *Call {
	c, _ := call.(*Call)
	return c
}

// Error is a failure reported by a function.
type Error struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
	Raw     []byte `json:"-"` // as the function sent it; nil for errors of the server
}

// Error implements error.
func (e *Error) Error() string { return e.Type + ": " + e.Message }

// JSON returns the error as the function sent it, or encodes it.
func (e *Error) JSON() []byte {
	if e.Raw != nil {
		return e.Raw
	}
	text, err := json.Marshal(e)
	if err != nil { // strings always marshal
		return []byte("{}")
	}
	return text
}

// ParseError parses the failure that a function reported. If raw is not an error object, it
// becomes the message, truncated to TailBytes. typeHint is used if the error has no type.
func ParseError(raw []byte, typeHint string) *Error {
	e := &Error{}
	if json.Unmarshal(raw, e) != nil || e.Message == "" && e.Type == "" {
		e.Message, e.Type = string(raw[:min(len(raw), TailBytes)]), ""
	} else {
		e.Raw = raw
	}
	if e.Type == "" {
		if e.Type = typeHint; typeHint == "" {
			e.Type = "Runtime.Unknown"
		}
	}
	return e
}

// traceRoot is the beginning of every tracing header: a version,
// the time as eight hexadecimal digits and 96 random bits.
const traceRoot = "Root=1-"

// maxTraceBytes is the longest tracing header that is forwarded.
const maxTraceBytes = 512

// TraceID returns the tracing header of an invocation: given, if it
// has a root, else a new one that is not sampled, as Lambda does.
func TraceID(given string, now time.Time) string {
	if strings.Contains(given, traceRoot) && len(given) <= maxTraceBytes {
		return given
	}
	var b [20]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%s%08x-%x;Parent=%x;Sampled=0", traceRoot, uint32(now.Unix()), b[:12], b[12:])
}

// NewID returns a random id for an invocation: a UUID, version 4 of RFC 9562.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
