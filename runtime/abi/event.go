package abi

import (
	"context"
	"io"
	"time"
)

// Invocation is what a request and an event have in common for a guest. It is used by
// one goroutine at a time. No part of it may be kept after Serve or Run returns.
type Invocation struct {
	Prefix string // path prefix that the service is bound to, "/" or "/a/b"
	Rest   string // escaped path after the prefix: empty or beginning with "/"

	// Log logs one line of the guest, without its newline. It must not keep the slice.
	Log func(level Level, line []byte)
	// Outbound makes requests for the guest. It is nil if the guest may not make any.
	Outbound Outbound
	// KeyValue has the service's key-value stores. It is nil if the service has none.
	KeyValue KeyValue

	RequestID string
	Deadline  time.Time       // the guest is stopped at this time
	Context   context.Context // done when the caller no longer waits
}

// Event is one event for a guest that is a function, and the destination of its result.
type Event struct {
	Invocation
	Payload io.Reader // in memory: reads do not wait for a client
	Output  io.Writer // an error ends the guest
}
