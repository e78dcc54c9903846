package vespo

import (
	"io"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// Call is an outbound HTTP request.
type Call struct {
	Method string      // "" is GET
	URI    string      // absolute, such as https://api.example.com/items?id=1
	Header [][2]string // name and value; a name may come more than once
	Body   io.Reader   // sent as it is read, in pieces; nil for none. An error of it gives the call up
}

// Answer is what came back. Its body is read by Read, as it arrives. Close it; the end of the request closes it as well.
type Answer struct {
	Status int

	uri    string
	handle int32
	ended  bool
}

// copyBufferBytes is the size of the pieces that a Call's body is sent in.
const copyBufferBytes = 8 << 10

// Fetch makes an outbound request and returns when the answer's header is there. Redirects are not followed. The service must
// be allowed the host that it asks; the request's deadline holds for its calls too. An error is an *[Error], or that of
// the body.
func Fetch(c *Call) (*Answer, error) {
	method := c.Method
	if method == "" {
		method = "GET"
	}
	handle := fetchOpen(method, c.URI)
	if handle < 0 {
		return nil, &Error{c.URI, Code(handle)}
	}
	status, err := send(handle, c)
	if err != nil {
		fetchClose(handle)
		return nil, err
	}
	return &Answer{Status: status, uri: c.URI, handle: handle}, nil
}

func send(handle int32, c *Call) (status int, err error) {
	for _, h := range c.Header {
		if code := fetchHeader(handle, h[0], h[1]); code < 0 {
			return 0, &Error{c.URI, Code(code)}
		}
	}
	if c.Body != nil {
		if err := sendBody(handle, c); err != nil {
			return 0, err
		}
	}
	code := fetchSend(handle)
	if code < 0 {
		return 0, &Error{c.URI, Code(code)}
	}
	return int(code), nil
}

func sendBody(handle int32, c *Call) error {
	buf := make([]byte, copyBufferBytes)
	for {
		n, err := c.Body.Read(buf)
		if n > 0 {
			if code := fetchWrite(handle, buf[:n]); code < 0 {
				return &Error{c.URI, Code(code)}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Read reads the next piece of the answer's body.
func (a *Answer) Read(p []byte) (int, error) {
	if a.ended {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	read := fetchRead(a.handle, p)
	if read < 0 {
		return 0, &Error{a.uri, Code(read)}
	}
	end, n := abi.Pair(uint64(read))
	a.ended = end != 0
	if a.ended && n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Close gives the rest of the answer up. Closing again does nothing.
func (a *Answer) Close() error {
	if a.handle > 0 {
		fetchClose(a.handle)
	}
	a.handle, a.ended = 0, true
	return nil
}

// Get returns the first value of a header of the answer, or "".
func (a *Answer) Get(name string) string {
	if values := a.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Names returns the names of the answer's headers, in lower case and each once; none after Close.
func (a *Answer) Names() []string { return a.names(abi.KindResponse) }

// Values returns all values of one header of the answer.
func (a *Answer) Values(name string) []string { return a.values(abi.KindResponse, name) }

// TrailerNames returns the names of the answer's trailers, which are known once its body has been read to the end.
func (a *Answer) TrailerNames() []string { return a.names(abi.KindResponseTrailers) }

// TrailerValues returns all values of one trailer of the answer.
func (a *Answer) TrailerValues(name string) []string {
	return a.values(abi.KindResponseTrailers, name)
}

func (a *Answer) names(kind abi.Kind) []string {
	return abi.List(func(buf []byte) uint64 { return list(fetchHeaderNames(a.handle, kind, buf)) })
}

func (a *Answer) values(kind abi.Kind, name string) []string {
	return abi.List(func(buf []byte) uint64 { return list(fetchHeaderValues(a.handle, kind, name, buf)) })
}

// list makes an error of the host, which only a closed answer gives, an empty list.
func list(packed int64) uint64 { return uint64(max(packed, 0)) }
