package accesslog

import (
	"time"

	"github.com/vespo-dev/vespo/router/forwarded"
)

// Outcome says in words how a request ended.
type Outcome string

// The outcomes. The first group is set by the handler of a service, the second by the router; a handler that returns
// without setting one gets OutcomeOK for nil and the outcome of its error otherwise.
const (
	OutcomeOK            Outcome = "ok"
	OutcomeExit          Outcome = "exit"
	OutcomeTrap          Outcome = "trap"
	OutcomeOutOfMemory   Outcome = "out of memory"
	OutcomeStackOverflow Outcome = "stack overflow"
	OutcomeDeadline      Outcome = "deadline"
	OutcomeHostError     Outcome = "host error"
	OutcomeBadAnswer     Outcome = "bad answer" // the guest's answer was unusable

	OutcomeRefused    Outcome = "refused"     // the request itself was wrong, whoever found that out
	OutcomeNotFound   Outcome = "not found"   // no service is bound to a prefix of the path
	OutcomeNoCapacity Outcome = "no capacity" // shed: the queue was full or the wait over
	OutcomeNotReady   Outcome = "not ready"   // no table is published yet
	OutcomeClientGone Outcome = "client gone" // the client left before it was answered
	OutcomeAborted    Outcome = "aborted"     // the handler chose to abort the connection
)

// Start says in what state the instance was found that served the request.
type Start string

// The states of an instance at the start of a request.
const (
	StartWarm     Start = "warm"
	StartRestored Start = "restored"
	StartCold     Start = "cold"
)

// Record is what is known of one request when it is over. The router owns it: it makes one for each request, hands it to
// the handler, and gives it to the listener once the handler has returned. Neither may keep it. It is not safe for concurrent
// use; a handler that fills it from several goroutines has to have joined them before it returns.
//
// The router fills the first two groups before it calls the handler and the third after; the handler fills the last, and the third, but
// for TTLB, where it has taken the connection.
// Sizes are in bytes. A zero means unknown or not applicable.
type Record struct {
	Time      time.Time // when the request's header had been read, with a monotonic reading
	RequestID string    // 16 hexadecimal digits, or what a trusted proxy gave; also in the answer's X-Request-Id
	Method    string
	Host      string
	URI       string // the request target as it was sent
	Proto     string
	Remote    string // address and port of the client; port 0 if a proxy did not tell it
	UserAgent string
	Client    forwarded.Client // what is believed about the client

	Prefix     string        // canonical prefix of the matched service, such as "/test"
	Rest       string        // the still escaped path after the prefix: "" or beginning with "/"
	Service    string        // "services" for the management API, "" if none was matched
	Version    string        // digest of what serves
	Generation uint64        // deploy that brought this version
	BodyWait   time.Duration // spent waiting for the first part of the body, before admission
	QueueWait  time.Duration // spent in admission

	Status   int           // 0 if no answer was sent
	BytesIn  int64         // request body bytes that were read
	BytesOut int64         // answer body bytes that were handed to the HTTP server
	TTFB     time.Duration // from Time until the answer's header was handed to the HTTP server; 0 if none was
	TTLB     time.Duration // from Time until the handler was done

	Start         Start
	Outcome       Outcome
	SnapshotBytes int64         // size of the guest's memory at the start
	DirtyBytes    int64         // memory that the guest wrote to
	PeakBytes     int64         // largest size of the guest's memory
	GuestTime     time.Duration // spent in guest code
	Err           error         // why it failed; for the log alone
}

// Admitted returns when the request was admitted: its service's time begins then.
func (r *Record) Admitted() time.Time { return r.Time.Add(r.BodyWait + r.QueueWait) }

// Listener is told of every request when it is over, on the goroutine that served it, after all that the request held
// was released. It must be quick and safe for concurrent use, and must not keep the record.
type Listener func(*Record)
