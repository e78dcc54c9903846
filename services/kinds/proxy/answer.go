package proxy

import (
	"io"
	"maps"
	"net"
	"net/http"

	"github.com/vespo-dev/vespo/internal/halfclose"
	"github.com/vespo-dev/vespo/internal/httpfield"
)

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
