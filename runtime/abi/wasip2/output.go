package wasip2

import (
	"io"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
)

const (
	// permitBytes is the most bytes of one write.
	permitBytes = 64 << 10
	// blockingBytes is the most bytes of one write that also flushes; part of the interface.
	blockingBytes = 4096
)

// Sink is the destination of an output stream.
type Sink interface {
	// Writable returns a channel that is closed as soon as Write does not wait, or nil if it does not wait, or waits as
	// long as the client needs.
	Writable() <-chan struct{}
	// Write writes all of p. It returns a non-nil Error if the stream has failed.
	Write(p []byte) *Error
	// Flush sends the bytes written so far.
	Flush() *Error
	// Closed reports whether the stream takes no more.
	Closed() bool
}

// OutputStream is a stream that the guest writes.
type OutputStream struct {
	to      Sink // nil: closed
	permit  uint64
	dropped func()              // may be nil
	renew   func(s *State) Sink // for streams that exist in each request; may be nil
}

// NewOutput returns a stream. dropped, if not nil, is called when the guest has dropped it.
func NewOutput(to Sink, dropped func()) *OutputStream { return &OutputStream{to: to, dropped: dropped} }

// Drop implements canonical.Resource.
func (o *OutputStream) Drop() {
	if o.to = nil; o.dropped != nil {
		o.dropped()
	}
}

// Renew implements canonical.Durable. The standard streams exist in each request; others are closed.
func (o *OutputStream) Renew(c *canonical.State) canonical.Resource {
	if o.renew == nil {
		return &OutputStream{}
	}
	return &OutputStream{to: o.renew(of(c)), renew: o.renew}
}

func (o *OutputStream) closed() bool { return o.to == nil || o.to.Closed() }

// writable returns a channel to wait for before a write, or nil.
func (o *OutputStream) writable() <-chan struct{} {
	if o.closed() {
		return nil
	}
	return o.to.Writable()
}

// fail closes the stream, and writes the result.
func (s *State) fail(o *OutputStream, result []byte, at int, e *Error) {
	o.to = nil
	s.putStreamError(result, at, e)
}

// output returns the stream and the area of a result without a payload.
func (s *State) output(stream, result uint64) (*OutputStream, []byte) {
	return canonical.Get[*OutputStream](&s.Handles, stream), s.Area(result, resultBytes, resultAlign)
}

func checkWrite(s *State, p []uint64) {
	o := canonical.Get[*OutputStream](&s.Handles, p[0])
	result := s.Area(p[1], countBytes, countAlign)
	if o.closed() {
		s.putStreamError(result, countPayload, nil)
		return
	}
	if o.permit = 0; isClosed(o.writable()) {
		o.permit = permitBytes
	}
	canonical.PutUint64(result, countPayload, o.permit)
	result[0] = 0
}

// spend takes n bytes from the permit of a stream.
func (o *OutputStream) spend(n uint64) {
	if n > o.permit {
		canonical.Trap("the guest writes %d bytes, check-write has permitted %d", n, o.permit)
	}
	o.permit -= n
}

func write(s *State, p []uint64) {
	o, result := s.output(p[0], p[3])
	data := s.Bytes(p[1], p[2])
	if o.closed() {
		s.putStreamError(result, payload, nil)
		return
	}
	o.spend(uint64(len(data)))
	s.put(o, result, data)
}

// put writes data and the result.
func (s *State) put(o *OutputStream, result, data []byte) (ok bool) {
	if e := o.to.Write(data); e != nil {
		s.fail(o, result, payload, e)
		return false
	}
	result[0] = 0
	return true
}

// awaitWritable waits until the stream can be written.
func (s *State) awaitWritable(o *OutputStream) {
	for {
		c := o.writable()
		if isClosed(c) {
			return
		}
		s.In.Await(forever, c)
	}
}

func blockingWrite(s *State, p []uint64) {
	o, result := s.output(p[0], p[3])
	data := s.Bytes(p[1], p[2])
	if len(data) > blockingBytes {
		canonical.Trap("blocking-write-and-flush has %d bytes, at most %d are possible", len(data), blockingBytes)
	}
	s.blockingPut(o, result, data)
}

func (s *State) blockingPut(o *OutputStream, result, data []byte) {
	s.awaitWritable(o)
	if o.closed() {
		s.putStreamError(result, payload, nil)
		return
	}
	if s.put(o, result, data) {
		s.flush(o, result)
	}
}

func (s *State) flush(o *OutputStream, result []byte) {
	if o.closed() {
		s.putStreamError(result, payload, nil)
		return
	}
	if e := o.to.Flush(); e != nil {
		s.fail(o, result, payload, e)
		return
	}
	result[0] = 0
}

func flush(s *State, p []uint64) {
	o, result := s.output(p[0], p[1])
	s.flush(o, result)
}

func blockingFlush(s *State, p []uint64) {
	o, result := s.output(p[0], p[1])
	s.awaitWritable(o)
	s.flush(o, result)
}

func subscribeOutput(s *State, p []uint64) {
	o := canonical.Get[*OutputStream](&s.Handles, p[0])
	p[0] = Subscribe(s.State, NewPollable(o.writable, nil), p[0])
}

func writeZeroes(s *State, p []uint64) {
	o, result := s.output(p[0], p[2])
	if o.closed() {
		s.putStreamError(result, payload, nil)
		return
	}
	o.spend(p[1])
	s.put(o, result, make([]byte, p[1])) // bounded by the permit
}

func blockingWriteZeroes(s *State, p []uint64) {
	o, result := s.output(p[0], p[2])
	if p[1] > blockingBytes {
		canonical.Trap("blocking-write-zeroes-and-flush has %d bytes, at most %d are possible", p[1], blockingBytes)
	}
	s.blockingPut(o, result, make([]byte, p[1]))
}

func (s *State) splice(p []uint64, block bool) {
	o := canonical.Get[*OutputStream](&s.Handles, p[0])
	i := canonical.Get[*InputStream](&s.Handles, p[1])
	result := s.Area(p[3], countBytes, countAlign)
	if block {
		s.awaitWritable(o)
	}
	switch {
	case o.closed():
		s.putStreamError(result, countPayload, nil)
		return
	case !isClosed(o.writable()):
		canonical.PutUint64(result, countPayload, 0)
		result[0] = 0
		return
	}
	data, e, ok := s.read(i, p[2], block)
	if !ok {
		s.putStreamError(result, countPayload, e)
		return
	}
	if len(data) > 0 {
		if e := o.to.Write(data); e != nil {
			s.fail(o, result, countPayload, e)
			return
		}
	}
	canonical.PutUint64(result, countPayload, uint64(len(data)))
	result[0] = 0
}

func splice(s *State, p []uint64) { s.splice(p, false) }

func blockingSplice(s *State, p []uint64) { s.splice(p, true) }

// lines is the Sink of a standard stream.
type lines struct{ to io.Writer }

// Writable implements Sink.
func (lines) Writable() <-chan struct{} { return nil }

// Write implements Sink.
func (l lines) Write(p []byte) *Error {
	_, _ = l.to.Write(p) // a log never fails
	return nil
}

// Flush implements Sink.
func (lines) Flush() *Error { return nil }

// Closed implements Sink.
func (l lines) Closed() bool { return l.to == nil }
