package guest

import (
	"io"
	"strings"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// A Request is the HTTP request that the handler responds to. It is an [io.Reader] of the request's body.
//
// The host holds the request, so every method is a call of the host. Keep a result in a variable if you need it often.
type Request struct {
	Header  Header
	Trailer Header // complete after Read has returned io.EOF

	bodyEnded bool
}

func (r *Request) start() {
	*r = Request{Header: Header{abi.KindRequest}, Trailer: Header{abi.KindRequestTrailers}}
}

// Method returns the HTTP method, such as GET.
func (r *Request) Method() string { return abi.Text(abi.Method) }

// URI returns the path and query as sent by the client, such as /shop/item%201?colour=red.
func (r *Request) URI() string { return abi.Text(abi.URI) }

// Path returns the path of the URI in its escaped form, including the prefix that the service is mounted at.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.URI(), "?")
	return path
}

// Query returns the query of the URI in its escaped form, without the question mark.
func (r *Request) Query() string {
	_, query, _ := strings.Cut(r.URI(), "?")
	return query
}

// Proto returns the protocol version, such as HTTP/1.1.
func (r *Request) Proto() string { return abi.Text(abi.ProtocolVersion) }

// RemoteAddr returns the client's address and port, such as 192.0.2.7:51234. Behind a trusted proxy the port may be 0.
func (r *Request) RemoteAddr() string { return abi.Text(abi.SourceAddr) }

// ID returns the request id, which the server gives to each request. The access log, the log lines of the guest, the
// response's X-Request-Id and problems have the same id, and the requests that the guest makes send it on. It is at most
// 128 letters, digits and characters of -._~:/+=@, and it is not a secret.
func (r *Request) ID() string { return r.Header.Get("x-request-id") }

// Read reads the next bytes of the request's body. It waits until the client has sent some, and returns [io.EOF] at the
// end of the body. Read returns no other error: the host ends the guest if the body is incomplete or exceeds the
// server's limit.
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
