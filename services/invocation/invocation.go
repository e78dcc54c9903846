// Package invocation carries what the invocation of a function is beside an HTTP request, through the router, from who invokes to the
// service that is a function.
//
// A request with a [Call] in its context has the event as its body, and is answered with the function's output as it is. What a
// function reports as its failure is such an output too: the Call says so.
package invocation

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// TailBytes is how much of a function's log an invocation keeps, at its end.
const TailBytes = 4 << 10

// Bounds of what a function takes and gives.
const (
	MaxPayloadBytes = 6 << 20               // an event
	MaxOutputBytes  = MaxPayloadBytes + 100 // what a function returns, unless it streams
)

// Call is one invocation. The first group is set by who invokes, the second by who serves, before anything is written. It is not safe for
// concurrent use, but for Log.
type Call struct {
	RequestID     string
	FunctionARN   string
	ClientContext string // JSON
	TraceID       string
	WantsLog      bool // take what the function prints into Log
	Log           Tail

	Taken   bool   // a function has served the request: what was written is its output
	Failure string // "Unhandled" if the output tells of a failure, else empty
	Late    *Error // the failure of a function that had begun to stream its output; set when that ends
}

// Unhandled is the Failure of functions.
const Unhandled = "Unhandled"

// Error is how a function tells of a failure.
type Error struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
	Raw     []byte `json:"-"` // as the function has told it; nil if it did not
}

// Error gives type and message.
func (e *Error) Error() string { return e.Type + ": " + e.Message }

// JSON is the error as the function has told it, or what we say of it.
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

type key struct{}

// With gives a context with the call.
func With(ctx context.Context, c *Call) context.Context { return context.WithValue(ctx, key{}, c) }

// From gives the call of a context, nil if it has none: the request is an ordinary one.
func From(ctx context.Context) *Call {
	c, _ := ctx.Value(key{}).(*Call)
	return c
}

// Tail keeps the end of what is written to it. The zero value is ready. It is safe for concurrent use.
type Tail struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

// Write implements io.Writer and never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	p = p[max(0, len(p)-TailBytes):]
	if over := len(t.text) + len(p) - TailBytes; over > 0 {
		t.text = t.text[:copy(t.text, t.text[over:])]
	}
	t.text = append(t.text, p...)
	return n, nil
}

// Bytes gives what is kept.
func (t *Tail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]byte(nil), t.text...)
}

// ParseError reads what a function has told of its failure. What is no such object is told as it came, as a message; typeHint stands in
// for a type that is not told.
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

// traceRoot is the beginning of every tracing header: a version, the time as eight hexadecimal digits and 96 random bits.
const traceRoot = "Root=1-"

// maxTraceBytes is the longest tracing header that is passed on.
const maxTraceBytes = 512

// TraceID returns the tracing header of an invocation: the given one if it has a root, else a new one that is not sampled, as Lambda does.
func TraceID(given string, now time.Time) string {
	if strings.Contains(given, traceRoot) && len(given) <= maxTraceBytes {
		return given
	}
	var b [20]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%s%08x-%x;Parent=%x;Sampled=0", traceRoot, uint32(now.Unix()), b[:12], b[12:])
}

// NewID gives the id of an invocation: a random UUID, version 4 of RFC 9562.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
