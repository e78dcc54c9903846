package ratelimit

import "time"

// By selects what a limit counts by.
type By int

// The values of By.
const (
	ByAddress By = iota // address of the client; IPv6 by /64
	ByService           // all requests of the service together
	ByHeader            // value of a header field, or the address if the request lacks it
)

// Policy is a limit. Equal policies are ==.
type Policy struct {
	Period time.Duration // time in which one request becomes available; more than 0
	Burst  int           // requests that are possible at once; at least 1
	By     By
	Header string // canonical name of the field, if By is ByHeader
}

// full returns the time in which a used up burst becomes available again.
func (p Policy) full() int64 { return int64(p.Period) * int64(p.Burst) }

// take returns the time of a key after a request at now, or how long the request should have waited, if it is more than 0.
// Times are in nanoseconds. A time that is not after now is that of a full burst.
func (p Policy) take(at, now int64) (after int64, wait time.Duration) {
	at = max(at, now)
	if wait := at + int64(p.Period) - (now + p.full()); wait > 0 {
		return at, time.Duration(wait)
	}
	return at + int64(p.Period), 0
}
