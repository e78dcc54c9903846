package proxy

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/halfclose"
	"github.com/vespo-dev/vespo/internal/httpfield"
)

var (
	errBodyTooLarge = errors.New("the request's body is larger than the limit")
	errFinished     = errors.New("the request is over")
)

// requestBody is the body of a request, limited in size. It records how reading ended. The
// transport reads it on its own goroutine, which may outlive the request for a moment.
type requestBody struct {
	from     io.ReadCloser            // immutable
	progress func(n int, ended bool)  // immutable; called for each part and at the end
	control  *http.ResponseController // immutable; sets the read deadline

	mu      sync.Mutex
	left    int64 // guarded by mu, like all below; bytes still allowed
	touched bool  // Read was called
	err     error // how reading ended; io.EOF for a complete body
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
		p = p[:left+1] // one byte over the limit shows that the body is too large
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

// Close does nothing. The transport closes a body that it could not send, but another upstream may need it.
func (b *requestBody) Close() error { return nil }

// untouched reports whether no upstream can have seen any part of the body.
func (b *requestBody) untouched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.touched
}

// end returns the error that ended reading, or nil if reading has not ended.
func (b *requestBody) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// interrupt ends a read that waits for the client, because the transport does not give
// up a request before that read returns. The resulting error looks like a disconnect
// of the client, so the caller must first cancel the request with its own cause.
func (b *requestBody) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		_ = b.control.SetReadDeadline(time.Now())
	}
}

// finish makes further reads fail. The router drains the rest of the body.
func (b *requestBody) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = errFinished
	}
}

// answerBody is the body of an upstream's response. It records the error that broke
// it off. At the end of the body it removes fields that are not allowed as trailers.
type answerBody struct {
	io.ReadCloser
	answer  *http.Response // immutable; the transport fills in its trailers
	release func()         // called once, on Close
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

// dropTrailers removes the fields that are not allowed as trailers.
func dropTrailers(trailer http.Header) {
	maps.DeleteFunc(trailer, func(name string, _ []string) bool { return !httpfield.Trailer(name) })
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	b.release()
	return b.ReadCloser.Close()
}

// tunnel is the connection to an upstream that has switched protocols. Two goroutines close it.
type tunnel struct {
	io.ReadWriteCloser
	conn    net.Conn // the same connection, as dialled
	release func()
}

// CloseWrite signals to the upstream that the client will send no more. If the
// connection cannot be half-closed, it returns an error and the whole tunnel ends.
func (t *tunnel) CloseWrite() error {
	return halfclose.CloseWrite(t.conn)
}

// Close implements io.Closer.
func (t *tunnel) Close() error {
	t.release()
	return t.ReadWriteCloser.Close()
}
