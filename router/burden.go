package router

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
)

const (
	// maxFields is the maximum number of header field values in a request.
	maxFields = 256
	// requestBytes is the estimated size of an open request without its header: goroutine,
	// buffers and HTTP/2 stream.
	requestBytes = 8 << 10
	// fieldBytes is the estimated overhead of a header field beyond its name and value.
	fieldBytes = 64
	// largeHeaderBytes is the size above which a header is large. Large headers may use
	// half of the limit, which leaves room for small ones.
	largeHeaderBytes = 8 << 10
	// burdenRetry is the Retry-After of requests refused because of the limit.
	burdenRetry = time.Second
)

// burden limits the memory that all open requests hold before a service reads them,
// mainly headers. An HTTP/2 header can expand to many times its size on the wire, so
// limits on connections and streams are not enough. It is safe for concurrent use.
type burden struct {
	limit int64        // immutable; bytes; 0: no limit
	held  atomic.Int64 // bytes

	refused atomic.Uint64 // requests beyond the limit
}

// take counts a request, or returns the error to answer with. The caller must pass held
// to give when the request is over.
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
	case r.ContentLength != 0: // the request stays open until its body has been sent
		limit -= limit / 4
	}
	if b.held.Add(held) > limit {
		b.held.Add(-held)
		b.refused.Add(1)
		p := problem.New(problem.NoCapacity, "the server holds too many open requests; try again later")
		p.RetryAfter = burdenRetry
		return 0, p
	}
	return held, nil
}

// give releases the bytes counted by take.
func (b *burden) give(held int64) {
	if held != 0 {
		b.held.Add(-held)
	}
}
