package proxy

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
)

var (
	errBodyTooLarge = errors.New("the request's body is larger than the limit")
	errFinished     = errors.New("the request is over")
)

// requestBody is the body of a request with its limit. It remembers how it ended. The transport reads it on a goroutine of its own, which
// may outlive the request for a moment.
type requestBody struct {
	from     io.ReadCloser            // immutable
	progress func(n int, ended bool)  // immutable; told of each part, and of the end
	control  *http.ResponseController // immutable; has the read deadline

	mu      sync.Mutex
	left    int64 // guarded by mu, like all below; bytes that may still come
	touched bool  // something was asked for
	err     error // how it ended; io.EOF for well
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	left, err := b.left, b.err
	b.touched = true
	b.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if int64(len(p)) > left+1 {
		p = p[:left+1] // one byte more than allowed tells that there is more
	}
	n, err := b.from.Read(p)
	if int64(n) > left {
		n, err = int(left), errBodyTooLarge
	}
	if n > 0 || err == io.EOF {
		b.progress(n, err == io.EOF)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left -= int64(n)
	if b.err == nil {
		b.err = err
	}
	return n, err
}

// Close does nothing: the transport closes a body that it could not send, and it may be wanted for another upstream.
func (b *requestBody) Close() error { return nil }

// untouched tells whether no upstream can have seen anything of it.
func (b *requestBody) untouched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.touched
}

// end tells how reading ended; nil if it has not.
func (b *requestBody) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// interrupt ends a read that waits for the client: the transport does not give up a request before it has. What it does looks like the
// client's leaving, so the request must have been ended with another cause before.
func (b *requestBody) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		_ = b.control.SetReadDeadline(time.Now())
	}
}

// finish lets nobody read any more; what is left is the router's to drop.
func (b *requestBody) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = errFinished
	}
}

// answerBody is the body of an upstream's answer. It remembers why it broke off. At its end, the answer has no fields that may not be trailers.
type answerBody struct {
	io.ReadCloser
	answer  *http.Response // immutable; the transport gives it its trailers
	release func()         // called once, when it is closed
	err     error
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		dropTrailers(b.answer.Trailer)
	case err != nil:
		b.err = err
	}
	return n, err
}

// dropTrailers takes out what may not be a trailer.
func dropTrailers(trailer http.Header) {
	maps.DeleteFunc(trailer, func(name string, _ []string) bool { return !httpfield.Trailer(name) })
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	b.release()
	return b.ReadCloser.Close()
}

// tunnel is the connection to an upstream that has switched protocols. It is closed by two goroutines.
type tunnel struct {
	io.ReadWriteCloser
	conn    net.Conn // the same, as it was dialled
	release func()
}

// CloseWrite tells the upstream that the client will send no more. Where that cannot be said, the connection ends with the error.
func (t *tunnel) CloseWrite() error {
	if half, ok := t.conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements io.Closer.
func (t *tunnel) Close() error {
	t.release()
	return t.ReadWriteCloser.Close()
}
