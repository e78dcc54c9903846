package events

import (
	"context"
	"errors"
	"time"
)

// Limits of a store in the data directory, or of all hosts together in an engine. One function may have at most Share times
// the part that is left.
const (
	MaxEvents = 10_000
	MaxBytes  = 256 << 20 // of the content of events
	Share     = 3
)

// MaxAge is the age at which an event is given up.
const MaxAge = 24 * time.Hour

// Errors of the methods of Store.
var (
	ErrFull        = errors.New("too many events are stored, or too many of the function")
	ErrEnded       = errors.New("the lease has ended")
	ErrUnavailable = errors.New("the store of events cannot be used: nothing was changed")
	ErrUncertain   = errors.New("the store of events has not answered: the change may have been made")
)

// Event is an accepted event.
type Event struct {
	ID       string // unique
	Function string // whose share of the limits it takes
	Service  string // that runs it, as Take knows it; empty: all hosts may run it
	Content  []byte
}

// Progress is the outcome of the attempts of an event so far.
type Progress struct {
	Attempts  int    `json:"attempts,omitempty"`  // that the function failed
	Throttles int    `json:"throttles,omitempty"` // that were refused for lack of capacity
	Final     []byte `json:"final,omitempty"`     // JSON; set once no attempt is left, until the dead letter is written
}

// Taken is an event with a lease.
type Taken struct {
	Event
	Progress
	LeaseID string        // unguessable
	Age     time.Duration // since the event was stored
	Lost    int           // leases that ended without a result, one after the other
}

// Stats is a snapshot of a store.
type Stats struct {
	Events    int // stored
	MaxEvents int
	Leased    int
	Bytes     int64 // content of the events
	MaxBytes  int64
	Damaged   uint64 // events that this host has set aside
	Refused   uint64 // events that this host has refused with ErrFull
	Away      bool   // the store could not be used at the last attempt
}

// Store keeps events. It is safe for concurrent use. What a method has confirmed survives the end of the host and of the
// engine. Operations take a bounded time; all can return ErrUnavailable or ErrUncertain.
type Store interface {
	// Put stores an event, which is due at once. It returns ErrFull if a limit is reached. Events that are put at the same
	// time may exceed it together. An event with a known ID is not stored again.
	Put(ctx context.Context, e Event) error
	// Take leases due events, at most so many, in the order of their times. If it returns none, wait is the time
	// until one may be due. others are the services that other hosts run: their events are left to these hosts, unless they are older
	// than MaxAge or need only their dead letter. A store of one host ignores others.
	Take(ctx context.Context, most int, lease time.Duration, others ...string) (taken []Taken, wait time.Duration, err error)
	// Renew lets a lease last from now on. It returns ErrEnded if another lease has begun.
	Renew(ctx context.Context, leaseID string, lease time.Duration) error
	// Retry ends a lease, and lets the event be due after a time. It returns ErrEnded if another lease has begun.
	Retry(ctx context.Context, leaseID string, after time.Duration, p Progress) error
	// Done ends a lease and its event. It returns ErrEnded if another lease has begun.
	Done(ctx context.Context, leaseID string) error
	// Due returns a channel that gets an element when events may have become due. Elements may be lost.
	Due() <-chan struct{}
	// Stats returns the last known state. It does not wait for the engine.
	Stats() Stats
}
