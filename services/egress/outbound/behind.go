package outbound

import (
	"io"
	"sync"
)

// writeBehind writes the pieces of a body. Once it is polled, it takes each piece and writes it in a goroutine, so that
// a write waits for the piece before it only. The goroutines end when the body is closed.
type writeBehind struct {
	polled     bool
	piece      []byte        // reused
	written    chan struct{} // closed when the piece in progress is written; nil if there is none
	err        error         // of that piece; written before written is closed
	goroutines sync.WaitGroup
}

// ready returns a channel that is closed as soon as write does not wait.
func (w *writeBehind) ready() <-chan struct{} {
	w.polled = true
	if w.written == nil {
		return closed()
	}
	return w.written
}

// write writes p, or returns the error of the piece before it.
func (w *writeBehind) write(to *io.PipeWriter, p []byte) error {
	if !w.polled {
		_, err := to.Write(p)
		return err
	}
	if err := w.settle(); err != nil {
		return err
	}
	w.piece = append(w.piece[:0], p...)
	written := make(chan struct{})
	w.written = written
	w.goroutines.Go(func() {
		defer close(written)
		_, w.err = to.Write(w.piece)
	})
	return nil
}

// settle waits for the piece in progress, and returns its error.
func (w *writeBehind) settle() error {
	if w.written == nil {
		return nil
	}
	<-w.written
	w.written = nil
	return w.err
}

// end closes the body with err, after the piece in progress. It does not wait. It returns the error of a piece
// that is written already.
func (w *writeBehind) end(to *io.PipeWriter, err error) error {
	written := w.written
	if written == nil {
		_ = to.CloseWithError(err) // never fails
		return nil
	}
	select {
	case <-written:
		_ = to.CloseWithError(err) // never fails
		return w.settle()
	default:
	}
	w.goroutines.Go(func() {
		<-written
		_ = to.CloseWithError(err) // never fails
	})
	return nil
}

// closed returns a closed channel.
func closed() <-chan struct{} {
	now := make(chan struct{})
	close(now)
	return now
}
