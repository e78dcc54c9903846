package abi

import (
	"context"
	"fmt"
)

// OutboundCode says why an outbound call failed, in the numbers that guests are told. The interface is described in the guest
// SDK's ABI.md.
type OutboundCode int32

// The codes.
const (
	OutboundBadState    OutboundCode = -1  // no such call, or not in this state
	OutboundInvalid     OutboundCode = -2  // method, URI, header name or value malformed
	OutboundForbidden   OutboundCode = -3  // the service may not call this host or address
	OutboundTooMany     OutboundCode = -4  // too many calls in this request, or at once
	OutboundUnreachable OutboundCode = -5  // no address, no connection, no TLS
	OutboundBroken      OutboundCode = -6  // the connection broke, or what came is not HTTP
	OutboundDeadline    OutboundCode = -7  // the request's time is over
	OutboundTooLarge    OutboundCode = -8  // a header or a body is larger than the limit
	OutboundUnavailable OutboundCode = -9  // the host makes no outbound requests, or not now
	OutboundTooDeep     OutboundCode = -10 // services call each other too deep
)

// OutboundError is a failed step of an outbound call. Code is for the guest, Reason for the service's log.
type OutboundError struct {
	Code   OutboundCode
	Reason string
}

func (e *OutboundError) Error() string { return fmt.Sprintf("outbound (%d): %s", e.Code, e.Reason) }

// Outbound makes requests for a guest, during one exchange.
type Outbound interface {
	// Open begins a call. ctx bounds all of it. Errors here and below are *OutboundError.
	Open(ctx context.Context, method, uri string) (OutboundCall, error)
}

// OutboundCall is one request to the outside and its answer. The order is: AddHeader, Write, Send, then the rest; Close at any
// time and always. One goroutine uses it at a time.
type OutboundCall interface {
	AddHeader(name, value string) error
	// Write sends all of p as a piece of the body.
	Write(p []byte) error
	// Send ends the body and waits for the answer's status.
	Send() (status int, err error)
	// Header is the answer's header, Trailer its trailers once the body has ended. Names are canonical.
	Header() Header
	Trailer() Header
	// Read reads the answer's body; io.EOF ends it.
	Read(p []byte) (int, error)
	Close() error
}
