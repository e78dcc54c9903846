package engine

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
)

// Kind says how a call into a guest ended.
type Kind uint8

// The kinds of outcome.
const (
	OK            Kind = iota // the function returned
	Exit                      // the guest called proc_exit; Outcome.ExitCode says with what
	Trap                      // unreachable, out of bounds, bad indirect call, a bad pointer given to the host
	OutOfMemory               // a trap or an exit after memory.grow had been refused
	StackOverflow             // the guest's call stack is exhausted
	Deadline                  // the request's time is over
	Canceled                  // the client has gone, or the host is closing
	BadAnswer                 // the guest's answer cannot be sent: a malformed header, an impossible status
	HostError                 // a defect of the host, not of the guest
)

var kindNames = [...]string{"ok", "exit", "trap", "out of memory", "stack overflow", "deadline", "canceled", "bad answer", "host error"}

// String gives the kind as access records name it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Outcome is how a call into a guest ended.
type Outcome struct {
	Kind     Kind
	ExitCode uint32
	// Err is for the log: a trap's message and the guest's stack trace. Nil when Kind is OK.
	Err error
}

// Clean tells whether the instance may be reset and used again: the function returned, or a command ended by
// proc_exit(0), which is how commands return.
func (o Outcome) Clean() bool { return o.Kind == OK || o.Kind == Exit && o.ExitCode == 0 }

// exitError unwinds the guest at proc_exit.
type exitError struct{ code uint32 }

func (e exitError) Error() string { return fmt.Sprintf("guest exited with code %d", e.code) }

// Fault unwinds the guest from a host function because of what the guest gave it. It ends the call with a trap.
type Fault struct{ Reason string }

func (f Fault) Error() string { return f.Reason }

// Unusable unwinds the guest from a host function because its answer cannot be sent.
type Unusable struct{ Reason string }

func (u Unusable) Error() string { return u.Reason }

var (
	errDeadline      = errors.New("deadline exceeded")
	errCanceled      = errors.New("request canceled")
	errStackOverflow = errors.New("call stack exhausted")
)

// classify turns what wazero's call gave into an Outcome. refusedGrow tells whether the guest was refused memory
// during the call: a guest that ends badly after that is out of memory, whatever it did about it.
func classify(err error, refusedGrow bool) Outcome {
	if err == nil {
		return Outcome{}
	}
	var (
		exit     exitError
		unusable Unusable
		fault    goruntime.Error
	)
	switch {
	case errors.As(err, &exit):
		if exit.code != 0 && refusedGrow {
			return Outcome{Kind: OutOfMemory, ExitCode: exit.code, Err: err}
		}
		return Outcome{Kind: Exit, ExitCode: exit.code, Err: err}
	case errors.Is(err, errDeadline), errors.Is(err, context.DeadlineExceeded):
		return Outcome{Kind: Deadline, Err: err}
	case errors.Is(err, errCanceled), errors.Is(err, context.Canceled):
		return Outcome{Kind: Canceled, Err: err}
	case errors.Is(err, errStackOverflow):
		return Outcome{Kind: StackOverflow, Err: err}
	case errors.As(err, &unusable):
		return Outcome{Kind: BadAnswer, Err: err}
	case errors.As(err, &fault):
		return Outcome{Kind: HostError, Err: err}
	case refusedGrow:
		return Outcome{Kind: OutOfMemory, Err: err}
	}
	return Outcome{Kind: Trap, Err: err}
}
