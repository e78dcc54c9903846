package lane

import (
	"io"
	"net/http"
	"sync"
)

// discardBytes is the largest rest of a body that is read to keep the connection, as in net/http.
const discardBytes = 256 << 10

// body is the body of a request with a Content-Length. Like that of net/http it is read up to discardBytes when it is
// closed, and may be read by a goroutine that outlives the handler.
type body struct {
	conn    *conn           // immutable
	request *requestContext // immutable
	closing bool            // immutable; the client asks to close the connection: the rest is not read

	mu     sync.Mutex
	left   int64 // guarded by mu, as all below; bytes that the client has yet to send
	closed bool
	failed error // of the connection
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.readLocked(p)
}

// Arrived reports whether the whole body was received with the header, so that reading it does not block. It is for the
// goroutine of the connection.
func (b *body) Arrived() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left == 0 || b.failed == nil && b.left <= int64(b.conn.end-b.conn.start)
}

// readLocked is Read without the check for Close. The last bytes come with io.EOF.
func (b *body) readLocked(p []byte) (int, error) {
	switch {
	case b.failed != nil:
		return 0, b.failed
	case b.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := b.conn.readBody(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); b.left == 0 {
		b.conn.watch.bodyEnded()
		return n, io.EOF
	}
	if err != nil {
		b.request.end() // as if the client had disconnected
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		b.failed = err
	}
	return n, err
}

// rest describes an unread body.
type rest int

const (
	complete rest = iota // nothing is unread
	skipped              // the rest was read and dropped
	broken               // the rest cannot be read
	large                // the rest is too large
)

// discard reads the rest of a body before the response, so that a client that sends everything first gets it.
func (b *body) discard() rest {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.left == 0, b.failed == io.ErrUnexpectedEOF: // nothing can follow: the client has ended its side
		return complete
	case b.closed:
		return broken
	case b.left >= discardBytes:
		return large
	case !b.dropLocked():
		return broken
	}
	b.closed = true
	return skipped
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && !b.closing && b.left <= discardBytes {
		b.dropLocked()
	}
	b.closed = true
	return b.failed
}

// dropLocked reads to the end, and reports whether it was reached.
func (b *body) dropLocked() bool {
	_, _ = io.Copy(io.Discard, readerFunc(b.readLocked)) // its error is in failed
	return b.left == 0
}

// unread reports whether the client has yet to send a part.
func (b *body) unread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left > 0
}

// readerFunc adapts a function to io.Reader.
type readerFunc func(p []byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// giveUp ends the body of a connection that is closed.
func (b *body) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}
