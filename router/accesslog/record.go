package accesslog

import (
	"time"

	"github.com/vespo-dev/vespo/router/forwarded"
)

// Outcome is the result of a request.
type Outcome string

// The outcomes. The first group is set by the handler of a service, the second by the router. If a
// handler sets none, the outcome is OutcomeOK for a nil error and derived from the error otherwise.
const (
	OutcomeOK            Outcome = "ok"
	OutcomeExit          Outcome = "exit"
	OutcomeTrap          Outcome = "trap"
	OutcomeOutOfMemory   Outcome = "out of memory"
	OutcomeStackOverflow Outcome = "stack overflow"
	OutcomeDeadline      Outcome = "deadline"
	OutcomeHostError     Outcome = "host error"
	OutcomeBadAnswer     Outcome = "bad answer" // the guest's answer was unusable

	OutcomeRefused    Outcome = "refused"     // the request was invalid, according to the router or the handler
	OutcomeNotFound   Outcome = "not found"   // no service is bound to a prefix of the path
	OutcomeNoCapacity Outcome = "no capacity" // shed: the queue was full or the wait too long
	OutcomeNotReady   Outcome = "not ready"   // the server or the service is not ready yet
	OutcomeClientGone Outcome = "client gone" // the client disconnected before the response was complete
	OutcomeAborted    Outcome = "aborted"     // the handler aborted the connection
)

// Start is the state of the instance at the start of a request.
type Start string

// The start states.
const (
	StartWarm     Start = "warm"
	StartRestored Start = "restored"
	StartCold     Start = "cold"
)

// Record describes one finished request. The router owns it: it creates one for each request, passes it
// to the handler, and to the listener after the handler has returned. Neither may keep it. It is not safe
// for concurrent use: a handler that fills it from several goroutines must join them before it returns.
//
// The router fills the first two groups before it calls the handler, and the third group
// afterwards. The handler fills the last group, and after hijacking the connection the
// third except for TTLB. Sizes are in bytes. Zero means unknown or not applicable.
type Record struct {
	Time      time.Time // when the request's header had been read, with a monotonic reading
	RequestID string    // 16 hexadecimal digits, or the id from a trusted proxy; also in the response's X-Request-Id
	Method    string
	Host      string
	URI       string // request target as sent
	Proto     string
	Remote    string // address and port of the client; port 0 if a proxy did not report it
	UserAgent string
	Client    forwarded.Client // accepted claims about the client

	Prefix     string        // canonical prefix of the matched service, such as "/test"
	Rest       string        // escaped path after the prefix: "" or beginning with "/"
	Service    string        // "services" for the management API, "" if no route matched
	Version    string        // digest of the served version
	Generation uint64        // deploy that introduced this version
	BodyWait   time.Duration // time waiting for the first part of the body, before admission
	QueueWait  time.Duration // time in admission

	Status   int           // 0 if no response was sent
	BytesIn  int64         // request body bytes read
	BytesOut int64         // response body bytes passed to the HTTP server
	TTFB     time.Duration // from Time until the response header was passed to the HTTP server; 0 if none was
	TTLB     time.Duration // from Time until the handler was done

	Start         Start
	Outcome       Outcome
	SnapshotBytes int64         // size of the guest's memory at the start
	DirtyBytes    int64         // memory written by the guest
	PeakBytes     int64         // largest size of the guest's memory
	GuestTime     time.Duration // time in guest code
	Err           error         // the failure; only for the log
}

// Admitted returns the time of admission, at which the service's time limit starts.
func (r *Record) Admitted() time.Time { return r.Time.Add(r.BodyWait + r.QueueWait) }

// Listener is called with the record of every request when it is over, on the goroutine
// that served it, after the request's capacity was released. It must be quick and safe
// for concurrent use, and must not keep the record.
type Listener func(*Record)
