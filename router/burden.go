package router

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/problem"
)

const (
	// maxFields bounds the header fields of a request, each value counted.
	maxFields = 256
	// requestBytes is what an open request is taken to hold beside its header: goroutine, buffers, and the HTTP/2 stream.
	requestBytes = 8 << 10
	// fieldBytes is what a header field is taken to hold beside its name and value.
	fieldBytes = 64
	// largeHeaderBytes is what makes a header large. Large ones get half of the bound, so that small ones find room.
	largeHeaderBytes = 8 << 10
	// burdenRetry is when a client may come again that was refused for what other requests hold.
	burdenRetry = time.Second
)

// burden bounds what all open requests together hold before a service reads them: headers above all. A header of HTTP/2 takes many times
// its size on the wire, so connections and streams are no bound. It is safe for concurrent use.
type burden struct {
	limit int64        // immutable; 0: none
	held  atomic.Int64 // bytes
}

// take counts a request in, or returns why it is refused. What it returns is to be given back.
func (b *burden) take(r *http.Request) (held int64, err error) {
	fields, size := 0, len(r.RequestURI)+len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
		fields += len(values)
	}
	if fields > maxFields {
		return 0, problem.Newf(problem.HeaderTooLarge, "the request has %d header fields; use at most %d", fields, maxFields)
	}
	if b.limit == 0 {
		return 0, nil
	}
	held = int64(requestBytes + size + fields*fieldBytes)
	limit := b.limit
	switch {
	case held > requestBytes+largeHeaderBytes:
		limit /= 2
	case r.ContentLength != 0: // it may be open for as long as its body takes
		limit -= limit / 4
	}
	if b.held.Add(held) > limit {
		b.held.Add(-held)
		p := problem.New(problem.NoCapacity, "the server holds too many open requests; try again later")
		p.RetryAfter = burdenRetry
		return 0, p
	}
	return held, nil
}

// give counts a request out.
func (b *burden) give(held int64) {
	if held != 0 {
		b.held.Add(-held)
	}
}
