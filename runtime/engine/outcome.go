package engine

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
)

// Kind is the kind of an Outcome.
type Kind uint8

// The kinds of outcome.
const (
	OK            Kind = iota // the function returned
	Exit                      // the guest called proc_exit with Outcome.ExitCode
	Trap                      // unreachable, out of bounds, bad indirect call, a bad pointer passed to the host
	OutOfMemory               // a trap or an exit after memory.grow had been refused
	StackOverflow             // the guest's call stack is exhausted
	Deadline                  // the request's time is over
	Canceled                  // the client is gone, or the host is closing
	BadAnswer                 // the guest's response cannot be sent: a malformed header, an invalid status
	HostError                 // a defect of the host, not of the guest
	WorkLimit                 // the request needs more work than ModuleOptions.WorkLimit
)

var kindNames = [...]string{"ok", "exit", "trap", "out of memory", "stack overflow", "deadline", "canceled", "bad answer", "host error", "work limit"}

// String returns the kind as in access records.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Outcome is the result of a call into a guest.
type Outcome struct {
	Kind     Kind
	ExitCode uint32
	// Err is for the log: a trap's message and the guest's stack trace. Nil when Kind is OK.
	Err error
}

// Clean reports whether the instance may be reset and used again: the function returned, or
// a command called proc_exit(0), which is how commands return.
func (o Outcome) Clean() bool { return o.Kind == OK || o.Kind == Exit && o.ExitCode == 0 }

// exitError unwinds the guest at proc_exit.
type exitError struct{ code uint32 }

func (e exitError) Error() string { return fmt.Sprintf("guest exited with code %d", e.code) }

// Fault unwinds the guest from a host function because of an invalid argument. The call ends with a trap.
type Fault struct{ Reason string }

func (f Fault) Error() string { return f.Reason }

// Unusable unwinds the guest from a host function because its response cannot be sent.
type Unusable struct{ Reason string }

func (u Unusable) Error() string { return u.Reason }

var (
	errDeadline      = errors.New("deadline exceeded")
	errCanceled      = errors.New("request canceled")
	errStackOverflow = errors.New("call stack exhausted")
	errWorkLimit     = errors.New("work limit exceeded")
)

// classify maps the error of a call to an Outcome. refusedGrow reports whether the guest was
// refused memory during the call: a guest that fails after that is out of memory, however it fails.
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
	case errors.Is(err, errWorkLimit):
		return Outcome{Kind: WorkLimit, Err: err}
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
