package load

import (
	"cmp"
	"fmt"
	"strings"
)

const (
	// largeRequest is the size from which a request is sent and its answer read at the same time.
	largeRequest = 64 << 10
	// smallAnswer is the size of a small answer, and of the header and the chunks' sizes of a large one.
	smallAnswer = 16 << 10
)

// Request is a request to repeat.
type Request struct {
	Method string // empty: GET
	Path   string
	Type   string // of the body
	Body   string
	Answer int // largest size of an answer's body; 0: that of a small one
}

// Below returns the request as --warm takes it: in HTTP form, with its path below a prefix.
func (r *Request) Below(prefix string) string {
	form := cmp.Or(r.Method, "GET") + " " + cmp.Or(strings.TrimPrefix(r.Path, prefix), "/") + "\n"
	if r.Body != "" {
		form += "Content-Type: " + r.Type + "\n\n" + r.Body
	}
	return form
}

// bytes returns the request as it is sent.
func (r *Request) bytes(addr string) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n", cmp.Or(r.Method, "GET"), r.Path, addr)
	if r.Body != "" {
		b = fmt.Appendf(b, "Content-Type: %s\r\nContent-Length: %d\r\n", r.Type, len(r.Body))
	}
	return append(append(b, "\r\n"...), r.Body...)
}
