// Package abi defines the interface of guest ABIs, and what they serve: the Exchange, which is one request as
// guests see it, and the Event, which is one call of a function.
package abi

import (
	"net"
)

// Header is a set of header fields. Keys are in net/http's canonical form. It is the underlying type
// of http.Header, so the two convert without copying and this package does not import net/http.
type Header = map[string][]string

// Level is the severity of a guest's log line. The values are those of http-wasm.
type Level int32

// The levels of http-wasm's log function.
const (
	LevelDebug Level = -1
	LevelInfo  Level = 0
	LevelWarn  Level = 1
	LevelError Level = 2
	LevelNone  Level = 3
)

// Exchange is one request and the destination of its response, as guest ABIs see them.
type Exchange struct {
	Invocation

	Method     string
	URI        string          // request target in origin form: escaped path and query
	Proto      string          // "HTTP/1.1", "HTTP/2.0"
	Scheme     string          // "http" or "https", as the client used it
	Host       string          // Host header or :authority
	RemoteAddr string          // address and port of the client; the port is 0 if it is unknown
	ServerPort string          // port that the client connected to, if a proxy in front reported it; else empty
	LocalAddr  func() net.Addr // local address of the connection; nil, or returns nil, if it is unknown

	// QueryArgs passes the words of an indexed query to a CGI command as arguments.
	QueryArgs bool

	Header        Header        // without Host; guests may change it
	ContentLength int64         // -1 if unknown
	Body          Source        // bounded: reads fail beyond the limit set by the creator of the exchange
	Trailer       func() Header // request trailers, complete only after Body has returned io.EOF; nil if there can be none

	Response Response

	// Next, if set, is the next handler. An ABI calls it when the guest passes the
	// request on, with an exchange that has the request as the guest changed it. That
	// exchange has its own Response if the guest reads the response. Its Prefix and Rest
	// are those of the guest. An error means that the response is missing or incomplete.
	Next func(behind *Exchange) error
	// Complete, if set, lets a guest go on after its response. An ABI whose guests can do so calls it, at most once and
	// from within the guest, when everything was written to Response and the guest is about to wait. From then on it must
	// use neither Response nor Body nor Trailer, and Context no longer ends with the client.
	Complete func()
	// Forward, if set, makes calls to the next handler, for guests that stream the request and the response while
	// they run. The URI of Open is a request target. The calls have the client, the deadline and the id of this
	// exchange. A guest uses either Next or Forward.
	Forward Outbound
	// PassedOn is set by the ABI if the guest passed the request
	// on, there is no next handler, and nothing was sent.
	PassedOn bool
}

// Response is the destination of the guest's response. The rules are those of net/http's ResponseWriter:
// header fields set after WriteHeader or the first Write are lost, unless they are trailers.
type Response interface {
	Header() Header
	// WriteHeader sends the status line and the header. A code of 100 to 199 sends an informational response.
	WriteHeader(statusCode int)
	// Write sends body bytes. If the header was not sent, it is sent first, with status 200.
	Write(p []byte) (int, error)
	// Flush sends buffered data to the client.
	Flush() error
	// SetTrailer announces and sets a trailer field.
	SetTrailer(name string, values []string)
	// Started reports whether the header was sent.
	Started() bool
}
