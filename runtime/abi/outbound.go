package abi

import (
	"context"
	"fmt"
)

// OutboundCode is the reason why an outbound call failed, as the number
// that guests receive. The guest SDK's ABI.md describes the interface.
type OutboundCode int32

// The codes.
const (
	OutboundBadState    OutboundCode = -1  // no such call, or not in this state
	OutboundInvalid     OutboundCode = -2  // malformed method, URI, header name or value
	OutboundForbidden   OutboundCode = -3  // the service may not call this host or address
	OutboundTooMany     OutboundCode = -4  // too many calls in this request, or at the same time
	OutboundUnreachable OutboundCode = -5  // no address, no connection, or no TLS
	OutboundBroken      OutboundCode = -6  // the connection broke, or the response is not HTTP
	OutboundDeadline    OutboundCode = -7  // the request's deadline has passed
	OutboundTooLarge    OutboundCode = -8  // a header or a body exceeds the limit
	OutboundUnavailable OutboundCode = -9  // the host makes no outbound requests, or not at this time
	OutboundTooDeep     OutboundCode = -10 // calls between services are nested too deeply
)

// OutboundCause is a detail of OutboundUnreachable.
type OutboundCause uint8

// The causes.
const (
	CauseOther       OutboundCause = iota
	CauseName                      // the name of the server has no address
	CauseRefused                   // the server refuses connections
	CauseCertificate               // the certificate of the server is not accepted
	CauseTLS                       // TLS failed in another way
)

// OutboundError is a failed step of an outbound call. Code and Cause are for the guest, Reason for the service's log.
type OutboundError struct {
	Code   OutboundCode
	Cause  OutboundCause
	Reason string
}

func (e *OutboundError) Error() string { return fmt.Sprintf("outbound (%d): %s", e.Code, e.Reason) }

// Outbound makes requests for a guest during one exchange.
type Outbound interface {
	// Open begins a call, which ctx bounds. The errors of Open and of OutboundCall are *OutboundError.
	Open(ctx context.Context, method, uri string) (OutboundCall, error)
}

// OutboundCall is one outbound request and its response. The order of calls is
// AddHeader, Write, SetTrailer, End, Send, then the methods that read the response. Close is
// always required and allowed at any time. With Answered and Status the response can be read while the body is still
// written. One goroutine uses it at a time.
//
// Write, Send and Read wait. A guest that must not wait polls first: with Writable, Answered and Ready.
type OutboundCall interface {
	AddHeader(name, value string) error
	// Write sends all of p as a piece of the body.
	Write(p []byte) error
	// SetTrailer sets a trailer of the request. It precedes End. A field that cannot be a trailer, and any field of a
	// request with a content-length, is OutboundInvalid, and the call goes on without it. Over HTTP/2, a server gets only
	// the trailers of before the request.
	SetTrailer(name string, values []string) error
	// End ends the body without waiting. Send implies it.
	End() error
	// Send ends the body and waits for the response's status.
	Send() (status int, err error)
	// Status returns the response's status. It does not end the body, and waits until the call is Answered.
	Status() (status int, err error)
	// Header returns the response's header, Trailer its
	// trailers after the body has ended. Names are canonical.
	Header() Header
	Trailer() Header
	// Source is the response body. Read returns io.EOF at the end.
	Source
	// Writable begins the request, and returns a channel that is closed as soon as Write does not wait. From
	// then on the call takes one piece before the server does, and Write, End or Send returns the error of the
	// piece before it.
	Writable() <-chan struct{}
	// Answered begins the request, and returns a channel that is closed as soon as the
	// response's header or the failure is known. After End, Send does not wait then.
	Answered() <-chan struct{}
	Close() error
}
