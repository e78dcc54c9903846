// Package readahead makes readers that wait pollable, such as the body of a request or of a response. There
// is no other way to learn whether net/http has received a part of a body than to read it.
package readahead

import (
	"errors"
	"io"
)

// chunkBytes is the most that is read ahead.
const chunkBytes = 16 << 10

// ErrStopped is the error of reading after Stop.
var ErrStopped = errors.New("readahead: stopped")

// Reader reads from another reader. Until Ready is called it only passes reads on, without a goroutine and a buffer of
// its own. One goroutine at a time uses it. The caller must call Stop if it has called Ready.
type Reader struct {
	from      io.Reader
	interrupt func()
	pending   chan struct{} // closed when the read ahead has ended; nil if everything that it has read is consumed

	// Written by the goroutine that reads ahead, before it closes pending.
	chunk []byte // read and not consumed
	err   error  // returned after chunk
	space []byte // reused
}

// Reset starts to read from another reader. interrupt must end a read from it that is in progress. It is called
// by Stop only. The Reader must be new or stopped.
func (r *Reader) Reset(from io.Reader, interrupt func()) { r.from, r.interrupt = from, interrupt }

// Ready returns a channel that is closed as soon as a Read does not wait: because of data, the end or an error. It starts
// to read ahead unless a read is in progress or its result has not been consumed.
func (r *Reader) Ready() <-chan struct{} {
	if r.pending != nil {
		return r.pending
	}
	done := make(chan struct{})
	r.pending = done
	if r.from == nil {
		r.err = ErrStopped
		close(done)
		return done
	}
	if r.space == nil {
		r.space = make([]byte, chunkBytes)
	}
	go func() {
		defer close(done)
		n, err := r.from.Read(r.space)
		r.chunk, r.err = r.space[:n], err
	}()
	return done
}

// Read implements io.Reader. It waits for a read ahead that is in progress.
func (r *Reader) Read(p []byte) (int, error) {
	switch {
	case r.pending != nil:
		<-r.pending
	case r.from == nil:
		return 0, ErrStopped
	default:
		return r.from.Read(p)
	}
	if len(r.chunk) == 0 && r.err != nil { // the error stays: a failed reader is not read again
		return 0, r.err
	}
	n := copy(p, r.chunk)
	if r.chunk = r.chunk[n:]; len(r.chunk) == 0 && r.err == nil {
		r.pending = nil
	}
	return n, nil
}

// Stop interrupts a read ahead that is in progress, waits for its end, and drops what it has read. Further reads fail.
func (r *Reader) Stop() {
	if r.pending != nil {
		select {
		case <-r.pending:
		default:
			r.interrupt()
			<-r.pending
		}
	}
	*r = Reader{}
}
