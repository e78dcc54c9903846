package vespo

import (
	"io"
	"strings"

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
	fields [][2]string // all of the header, from one call of the host; nil until they are read
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
	if err := sendFields(handle, c); err != nil {
		return 0, err
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

// sendFields passes all fields to the host in one call. It refuses a NUL, which separates them there.
func sendFields(handle int32, c *Call) error {
	if len(c.Header) == 0 {
		return nil
	}
	size := 0
	for _, h := range c.Header {
		size += len(h[0]) + len(h[1]) + 2
	}
	list := make([]byte, 0, size)
	for _, h := range c.Header {
		for _, text := range h {
			if strings.IndexByte(text, 0) >= 0 {
				return &Error{c.URI, ErrMalformed}
			}
			list = append(append(list, text...), 0)
		}
	}
	if code := fetchAddFields(handle, list); code < 0 {
		return &Error{c.URI, Code(code)}
	}
	return nil
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
	a.handle, a.ended, a.fields = 0, true, nil
	return nil
}

// Fields returns the header fields as pairs of a name, such as Content-Type, and a value. Names are in the form of
// net/http. Those of one name follow each other, in the order of the response. Fields returns nil after Close. The caller must not change the pairs.
func (a *Answer) Fields() [][2]string {
	if a.fields == nil && a.handle > 0 {
		a.fields = fields(a.handle, abi.KindResponse)
	}
	return a.fields
}

// TrailerFields returns the trailer fields, like Fields. Trailers are available after the body has been read to the end,
// until Close.
func (a *Answer) TrailerFields() [][2]string {
	if !a.ended || a.handle <= 0 {
		return nil
	}
	return fields(a.handle, abi.KindResponseTrailers)
}

// Get returns the first value of the named header field, or "" if the field is absent.
func (a *Answer) Get(name string) string {
	for _, f := range a.Fields() {
		if strings.EqualFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}

// Names returns the names of the header fields, in lower case and without duplicates. It returns nil after Close.
func (a *Answer) Names() []string { return names(a.Fields()) }

// Values returns all values of the named header field. It returns nil if the field is absent and after Close.
func (a *Answer) Values(name string) []string { return values(a.Fields(), name) }

// TrailerNames returns the names of the trailer fields, in lower case and without duplicates.
func (a *Answer) TrailerNames() []string { return names(a.TrailerFields()) }

// TrailerValues returns all values of the named trailer field.
func (a *Answer) TrailerValues(name string) []string { return values(a.TrailerFields(), name) }

func fields(handle int32, kind abi.Kind) [][2]string {
	return abi.Fields(func(buf []byte) uint64 {
		return uint64(max(fetchFields(handle, kind|abi.CanonicalNames, buf), 0)) // the host returns errors for closed answers only
	})
}

func names(fields [][2]string) (all []string) {
	for i, f := range fields {
		if i == 0 || fields[i-1][0] != f[0] {
			all = append(all, strings.ToLower(f[0]))
		}
	}
	return all
}

func values(fields [][2]string, name string) (all []string) {
	for _, f := range fields {
		if strings.EqualFold(f[0], name) {
			all = append(all, f[1])
		}
	}
	return all
}
