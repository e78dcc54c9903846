package guest

import (
	"io"
	"strings"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// Request is the request at hand. Its methods ask the host each time; keep what is needed often.
type Request struct {
	Header  Header
	Trailer Header // complete when the body has been read to its end

	bodyEnded bool
}

// Method returns the request's method, such as GET.
func (r *Request) Method() string { return abi.Text(abi.Method) }

// URI returns path and query as the client sent them, such as /shop/item%201?colour=red.
func (r *Request) URI() string { return abi.Text(abi.URI) }

// Path returns the URI's path, still escaped.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.URI(), "?")
	return path
}

// Query returns the URI's query without its question mark, still escaped.
func (r *Request) Query() string {
	_, query, _ := strings.Cut(r.URI(), "?")
	return query
}

// Proto returns the protocol's version, such as HTTP/1.1.
func (r *Request) Proto() string { return abi.Text(abi.ProtocolVersion) }

// RemoteAddr returns the client's address and port, such as 192.0.2.7:51234.
func (r *Request) RemoteAddr() string { return abi.Text(abi.SourceAddr) }

// Read reads the next piece of the body as it arrives, and gives io.EOF at its end. A body that breaks off, or exceeds the
// server's limit, ends the guest; there is no error to handle.
func (r *Request) Read(p []byte) (int, error) {
	if r.bodyEnded {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	ended, n := abi.Pair(abi.ReadBody(abi.KindRequest, p))
	if ended == 0 {
		return n, nil
	}
	r.bodyEnded = true
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
