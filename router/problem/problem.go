package problem

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Problem is a failure that is told to a client. It is an error, so that handlers can return it. All fields but Cause
// reach the client.
type Problem struct {
	Type       string        // URI of the kind, such as https://vespo.dev/problems/out-of-memory
	Title      string        // the kind in words
	Status     int           // HTTP status
	Detail     string        // what was wrong with this request, and what to do
	Violations []string      // all that was wrong, where there is more than one thing; may be nil
	RetryAfter time.Duration // when to come again, sent in whole seconds and at least one; 0 sends nothing
	Cause      error         // for the log only, never sent; may be nil
}

// New makes a problem of the kind. The detail is for the client.
func New(kind Kind, detail string) *Problem {
	r := kind.row()
	return &Problem{Type: kind.Type(), Title: r.title, Status: r.status, Detail: detail}
}

// Newf is New with a format.
func Newf(kind Kind, format string, args ...any) *Problem {
	return New(kind, fmt.Sprintf(format, args...))
}

// WithCause returns p with the error that the log shall show and the client shall not.
func (p *Problem) WithCause(cause error) *Problem {
	p.Cause = cause
	return p
}

// Kind is the kind that p was made of; Internal where its type is none of ours.
func (p *Problem) Kind() Kind {
	name, found := strings.CutPrefix(p.Type, typeBase)
	if !found {
		return Internal
	}
	return Kind(name).row().kind
}

// Error is the text for the log: it includes the cause.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Title)
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	if len(p.Violations) > 0 {
		b.WriteString(": " + strings.Join(p.Violations, "; "))
	}
	if p.Cause != nil {
		b.WriteString(": " + p.Cause.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// From maps any error to the problem that a client may see: a Problem in the chain as it is, an exceeded body limit to
// 413, an exceeded deadline to 504, all else to 500 without a word of the error's text. The result is nil for nil, and
// otherwise the error is in its chain.
func From(err error) *Problem {
	var p *Problem
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		if p == nil { // a typed nil, a bug of whoever returned it
			return internal(nil)
		}
		return p
	case errors.As(err, &tooLarge):
		return Newf(BodyTooLarge, "the request body is longer than the limit of %d bytes; send a shorter one",
			tooLarge.Limit).WithCause(err)
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
