package router

import (
	"net/http"
	"runtime"
	"sync"
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
	// burdenBatch is the least number of bytes that is worth counting by processor: a few requests.
	burdenBatch = 4 * requestBytes
)

// burden limits the memory that all open requests hold before a service reads them,
// mainly headers. An HTTP/2 header can expand to many times its size on the wire, so
// limits on connections and streams are not enough. It is safe for concurrent use.
type burden struct {
	limit   int64         // immutable; bytes; 0: no limit
	batch   int64         // immutable; most bytes that a processor keeps for itself; 0: none
	parts   []burdenPart  // immutable; one for each processor
	last    atomic.Uint32 // index in parts of the one given out last
	near    sync.Pool     // of *burdenPart; each processor finds the one that it used last
	refused atomic.Uint64 // requests beyond the limit

	_    [64]byte // the fields above are never written, and held seldom
	held atomic.Int64
}

// burdenPart is the difference between what requests hold and what burden.held counts, from -batch to batch bytes.
type burdenPart struct {
	held atomic.Int64
	_    [120]byte // two cache lines of its own, as processors fetch lines in pairs
}

// limitTo sets the limit. If it is large, each processor counts for itself and moves its count to the common one
// in batches. The limit that requests meet is then lower by up to a sixteenth, and the true one is never exceeded.
func (b *burden) limitTo(limit int64) {
	b.parts = make([]burdenPart, max(1, runtime.GOMAXPROCS(0)))
	b.limit = limit
	if b.batch = limit / 16 / int64(len(b.parts)); b.batch < burdenBatch {
		b.batch = 0
	}
	b.limit -= b.batch * int64(len(b.parts))
}

// part returns the part of the processor that runs the caller, and sometimes that of another one.
func (b *burden) part() *burdenPart {
	p, ok := b.near.Get().(*burdenPart)
	if !ok {
		p = &b.parts[b.last.Add(1)%uint32(len(b.parts))]
	}
	b.near.Put(p)
	return p
}

// add adds bytes, fewer than 0 to remove them, and returns the common count. Requests never hold more than the common count and
// the parts together, not for a moment: bytes on their way from one to the other are in both.
func (b *burden) add(part *burdenPart, bytes int64) (held int64) {
	if b.batch == 0 {
		return b.held.Add(bytes)
	}
	for {
		before := part.held.Load()
		after := before + bytes
		switch {
		case -b.batch <= after && after <= b.batch:
			if part.held.CompareAndSwap(before, after) {
				return b.held.Load()
			}
		case after < 0:
			if part.held.CompareAndSwap(before, 0) {
				return b.held.Add(after)
			}
		default:
			held = b.held.Add(after)
			if part.held.CompareAndSwap(before, 0) {
				return held
			}
			b.held.Add(-after)
		}
	}
}

// sum returns the bytes held. It is exact while no request begins or ends.
func (b *burden) sum() int64 {
	held := b.held.Load()
	for i := range b.parts {
		held += b.parts[i].held.Load()
	}
	return held
}

// load is what a request holds.
type load struct {
	bytes int64
	part  *burdenPart
}

// take counts a request, or returns the error to answer with. The caller must pass held
// to give when the request is over.
func (b *burden) take(r *http.Request) (held load, err error) {
	fields, size := 0, len(r.RequestURI)+len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
		fields += len(values)
	}
	if fields > maxFields {
		return load{}, problem.Newf(problem.HeaderTooLarge, "the request has %d header fields; use at most %d", fields, maxFields)
	}
	if b.limit == 0 {
		return load{}, nil
	}
	held = load{int64(requestBytes + size + fields*fieldBytes), b.part()}
	limit := b.limit
	switch {
	case held.bytes > requestBytes+largeHeaderBytes:
		limit /= 2
	case r.ContentLength != 0: // the request stays open until its body has been sent
		limit -= limit / 4
	}
	if b.add(held.part, held.bytes) > limit {
		b.add(held.part, -held.bytes)
		b.refused.Add(1)
		p := problem.New(problem.NoCapacity, "the server holds too many open requests; try again later")
		p.RetryAfter = burdenRetry
		return load{}, p
	}
	return held, nil
}

// give releases the bytes counted by take.
func (b *burden) give(held load) {
	if held.bytes != 0 {
		b.add(held.part, -held.bytes)
	}
}
