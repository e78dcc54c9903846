package vespo

import (
	"io"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// A Call is an outbound HTTP request.
type Call struct {
	// Method is the HTTP method. The empty string means GET.
	Method string

	// URI is the absolute URI, such as https://api.example.com/items?id=1.
	URI string

	// Header holds pairs of a name and a value. A name may occur more than once.
	Header [][2]string

	// Body is the request's body, or nil. It is sent while it is read. If reading fails, Fetch aborts the call and
	// returns the reader's error.
	Body io.Reader
}

// An Answer is the response to a [Call]. It is an [io.ReadCloser] of the response's body, which is read as it arrives.
//
// Close the Answer after use. The host closes it when the guest's handler returns.
type Answer struct {
	Status int

	uri    string
	handle int32
	ended  bool
}

// copyBufferBytes is the size of the buffer through which a Call's body is sent.
const copyBufferBytes = 8 << 10

// Fetch sends an outbound request and returns when the response's header has arrived. It does not follow redirects.
//
// The service needs permission to call the host (vespo add --allow). The deadline of the incoming request applies to its
// calls too. Fetch blocks the whole guest: other goroutines do not run meanwhile.
//
// A returned error is of type *[Error], or is the error of c.Body. A status such as 404 or 500 is not an error.
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

// Read reads the next bytes of the response's body. It waits until some have arrived, and returns [io.EOF] at the end of
// the body and after Close. Other errors are of type *[Error].
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

// Close discards the rest of the response. It always returns nil and may be called more than once.
func (a *Answer) Close() error {
	if a.handle > 0 {
		fetchClose(a.handle)
	}
	a.handle, a.ended = 0, true
	return nil
}

// Get returns the first value of the named header field, or "" if the field is absent.
func (a *Answer) Get(name string) string {
	if values := a.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Names returns the names of the header fields, in lower case and without duplicates. It returns nil after Close.
func (a *Answer) Names() []string { return a.names(abi.KindResponse) }

// Values returns all values of the named header field. It returns nil if the field is absent and after Close.
func (a *Answer) Values(name string) []string { return a.values(abi.KindResponse, name) }

// TrailerNames returns the names of the trailer fields, in lower case and without duplicates. Trailers are available
// after the body has been read to the end, until Close.
func (a *Answer) TrailerNames() []string { return a.names(abi.KindResponseTrailers) }

// TrailerValues returns all values of the named trailer field.
func (a *Answer) TrailerValues(name string) []string {
	return a.values(abi.KindResponseTrailers, name)
}

func (a *Answer) names(kind abi.Kind) []string {
	return abi.List(func(buf []byte) uint64 { return list(fetchHeaderNames(a.handle, kind, buf)) })
}

func (a *Answer) values(kind abi.Kind, name string) []string {
	return abi.List(func(buf []byte) uint64 { return list(fetchHeaderValues(a.handle, kind, name, buf)) })
}

// list converts an error of the host to an empty list. The host returns errors for closed answers only.
func list(packed int64) uint64 { return uint64(max(packed, 0)) }
