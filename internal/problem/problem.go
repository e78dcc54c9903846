package problem

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Problem is a failure reported to a client. It implements error, so that handlers can
// return it. All fields except Cause are sent to the client.
type Problem struct {
	Type       string        // URI of the kind, such as https://vespo.dev/problems/out-of-memory
	Title      string        // title of the kind
	Status     int           // HTTP status
	Detail     string        // the fault of this request and its remedy
	Violations []Violation   // all broken rules of the input; may be nil
	RetryAfter time.Duration // delay before a retry, sent in whole seconds and at least one; 0: not sent
	Cause      error         // only for the log, never sent; may be nil
}

// New returns a problem of the kind. The detail is sent to the client.
func New(kind Kind, detail string) *Problem {
	r := kind.row()
	return &Problem{Type: kind.Type(), Title: r.title, Status: r.status, Detail: detail}
}

// Newf is New with a format.
func Newf(kind Kind, format string, args ...any) *Problem {
	return New(kind, fmt.Sprintf(format, args...))
}

// WithCause sets the cause, which is only logged, and returns p.
func (p *Problem) WithCause(cause error) *Problem {
	p.Cause = cause
	return p
}

// Kind returns the kind of p; Internal if its type is unknown.
func (p *Problem) Kind() Kind {
	name, found := strings.CutPrefix(p.Type, typeBase)
	if !found {
		return Internal
	}
	return Kind(name).row().kind
}

// Error returns the text for the log, including the cause.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Title)
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	if len(p.Violations) > 0 {
		b.WriteString(": " + strings.Join(Texts(p.Violations), "; "))
	}
	if p.Cause != nil {
		b.WriteString(": " + p.Cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// From maps an error to the problem to send: a Problem in the chain as it is, an
// exceeded deadline to 504, and any other error to 500 without its text. It returns nil for nil. Otherwise err is in the result's chain.
func From(err error) *Problem {
	var p *Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		if p == nil { // a typed nil, a bug of the caller
			return internal(nil)
		}
		return p
	case errors.Is(err, context.DeadlineExceeded):
		return New(Deadline, "the request was not answered within its time limit").WithCause(err)
	default:
		return internal(err)
	}
}

func internal(cause error) *Problem {
	return New(Internal, "the server failed to answer this request; its log has the reason under the request id").
		WithCause(cause)
}
