package accesslog

import "time"

// Outcome is the result of a request.
type Outcome string

// The outcomes. The first group is set by the handler of a service, the second by the router, which derives it
// from the error if the handler has set none.
const (
	OutcomeOK            Outcome = "ok"
	OutcomeExit          Outcome = "exit"
	OutcomeTrap          Outcome = "trap"
	OutcomeOutOfMemory   Outcome = "out of memory"
	OutcomeStackOverflow Outcome = "stack overflow"
	OutcomeDeadline      Outcome = "deadline"
	OutcomeWorkLimit     Outcome = "work limit"
	OutcomeHostError     Outcome = "host error"
	OutcomeBadAnswer     Outcome = "bad answer"  // the answer of the guest, upstream, worker or function was unusable
	OutcomeUnreachable   Outcome = "unreachable" // no upstream could be reached

	OutcomeRefused     Outcome = "refused"      // the request was invalid, according to the router or the handler
	OutcomeNotFound    Outcome = "not found"    // no service is bound to a prefix of the path
	OutcomeNoCapacity  Outcome = "no capacity"  // shed: the queue was full or the wait too long
	OutcomeRateLimited Outcome = "rate limited" // beyond the rate that the service allows
	OutcomeNotReady    Outcome = "not ready"    // the server or the service is not ready yet
	OutcomeClientGone  Outcome = "client gone"  // the client disconnected before the response was complete
	OutcomeAborted     Outcome = "aborted"      // the handler aborted the connection
)

// Start is the state of the instance at the start of a request.
type Start string

// The start states.
const (
	StartWarm     Start = "warm"
	StartRestored Start = "restored"
	StartCold     Start = "cold"
	// StartForwarded is that of a request which another host of the catalogue has served. That host counts it.
	StartForwarded Start = "forwarded"
)

// Cache is the result of a request at the cache of its service.
type Cache string

// The values of Cache.
const (
	CacheHit    Cache = "hit"            // answered from the cache
	CacheStale  Cache = "stale"          // the same, by an answer that another request was about to renew
	CacheMiss   Cache = "miss"           // answered by the service; the answer is stored if it may be
	CacheRescue Cache = "stale-if-error" // the service has failed, and the client got an answer that was too old
	CacheBypass Cache = "bypass"         // answered by the service, as the cache is not for such requests
	CacheAbsent Cache = "absent"         // refused: the client wanted a stored answer or none
)

// Served reports whether the service has not seen the request.
func (c Cache) Served() bool { return c == CacheHit || c == CacheStale || c == CacheAbsent }

// Result is the handler's part of a Record: how the request ended and what it cost. A handler writes it, and
// the router reads it after the handler has returned. The handler must not keep it. It is not safe for
// concurrent use: a handler that fills it from several goroutines must join them before it returns.
type Result struct {
	Outcome       Outcome
	Err           error // the failure; only for the log
	Start         Start
	Wait          time.Duration // time in a queue of the handler; the router adds it to QueueWait
	ColdTime      time.Duration // time until the guest's code was loaded, if Start is StartCold
	SnapshotBytes int64         // size of the guest's memory at the start
	DirtyBytes    int64         // memory written by the guest
	ResidentBytes int64         // memory of the guest in host pages of its own at the end; all of its memory if that is not known
	PeakBytes     int64         // largest size of the guest's memory
	GuestTime     time.Duration // time in guest code
	Work          int64         // units of work of the guest; they do not depend on the host
	KVOperations  int           // reads, pages and changes of key-value stores
}

// Record describes one finished request. The router owns it: it creates one for each request and passes it
// to the listener after the handler has returned. A handler gets only its Result. Sizes are in bytes. Zero
// means unknown or not applicable.
type Record struct {
	Time      time.Time // when the request's header had been read, with a monotonic reading
	RequestID string    // 16 hexadecimal digits, or the id from a trusted proxy; also in the response's X-Request-Id
	TraceID   string    // of the client's traceparent, or of a trace that the server has begun; 32 hexadecimal digits
	Method    string
	Host      string
	URI       string // request target as sent
	Proto     string
	Remote    string // address and port of the client; port 0 if a proxy did not report it
	Peer      string // address and port of the TCP connection's peer, which may be a proxy
	UserAgent string

	Prefix     string        // canonical prefix of the matched service, such as "/test"
	Service    string        // "services" for the management API, "" if no route matched
	Version    string        // digest of the served version
	Number     uint64        // number of the served version among those of its service: 1, 2, 3
	Generation uint64        // deploy that introduced this version
	BodyWait   time.Duration // time waiting for the first part of the body, before admission
	QueueWait  time.Duration // time in admission, and in a queue of the handler

	Cache Cache // result at the cache of the service; "": it has none, or the request is not for it

	Status   int           // 0 if no response was sent
	Failed   bool          // a service answered with a status of 500 or above, or the server broke off its response
	BytesIn  int64         // request body bytes read
	BytesOut int64         // response body bytes passed to the HTTP server
	TTFB     time.Duration // from Time until the response header was passed to the HTTP server; 0 if none was
	TTLB     time.Duration // from Time until the handler was done

	Result
}

// Listener is called with the record of every request when it is over, on the goroutine
// that served it, after the request's capacity was released. It must be quick and safe
// for concurrent use, and must not keep the record.
type Listener func(*Record)
