// Package abi defines the Exchange, what a guest sees of one request, and the door that every guest ABI has.
package abi

import (
	"context"
	"io"
	"net"
	"time"
)

// Header is a set of header fields. Keys are in net/http's canonical form. It is the underlying type of
// http.Header, so that either converts to the other without copying and without an import of net/http here.
type Header = map[string][]string

// Level is the severity of a guest's log line; the values are those of http-wasm.
type Level int32

// The levels of http-wasm's log function.
const (
	LevelDebug Level = -1
	LevelInfo  Level = 0
	LevelWarn  Level = 1
	LevelError Level = 2
	LevelNone  Level = 3
)

// Exchange is one request and the place for its response, as a guest ABI sees them. It belongs to one request and is
// used by one goroutine at a time; nothing in it may be kept after Serve returns.
type Exchange struct {
	Method     string
	URI        string          // request target in origin form: escaped path and query
	Proto      string          // "HTTP/1.1", "HTTP/2.0"
	Scheme     string          // "http" or "https", as the client has used it
	Host       string          // Host header or :authority
	RemoteAddr string          // address and port of the client; port 0 if it is not known
	ServerPort string          // that the client has connected to, where a proxy in front has told; else empty
	LocalAddr  func() net.Addr // that the request came in on; nil, or gives nil, if it is not known

	Prefix string // the prefix that the service is bound to, "/" or "/a/b"
	Rest   string // escaped path behind the prefix: "" or beginning with "/"

	// QueryArgs makes the words of an indexed query the arguments of a CGI command.
	QueryArgs bool

	Header        Header        // without Host; may be changed by the guest
	ContentLength int64         // -1 if unknown
	Body          io.Reader     // bounded: it fails where it exceeds the limit of who made the exchange
	Trailer       func() Header // request trailers; complete only once Body has given io.EOF; nil if there can be none

	Response Response

	// Log takes one line of the guest's, without its newline. It must not keep the slice.
	Log func(level Level, line []byte)
	// Config holds the service's settings for the guest, by name.
	Config map[string]string
	// Outbound makes requests for the guest; nil if it may make none.
	Outbound Outbound

	// Next, if set, is what is behind the guest: an ABI calls it when the guest passes the request on. The exchange it
	// gets has the request as the guest changed it, and a Response of its own if the guest wants to see the answer. Prefix and
	// Rest stay those of the guest. An error means that there is no answer, or none to rely on.
	Next func(behind *Exchange) error
	// PassedOn is set by the ABI when the guest passed the request on, nothing is behind it, and nothing was answered.
	PassedOn bool

	RequestID string
	Deadline  time.Time       // the guest is stopped then
	Context   context.Context // done when the client has gone
}

// Response is where an ABI puts the guest's answer. The rules are those of net/http's ResponseWriter: header fields
// set after WriteHeader or the first Write are lost, unless they are trailers.
type Response interface {
	Header() Header
	// WriteHeader sends the status line and the header. Status codes of 100-199 send an informational response.
	WriteHeader(statusCode int)
	// Write sends body bytes, the header with status 200 before them if it was not sent yet.
	Write(p []byte) (int, error)
	// Flush sends what is buffered to the client.
	Flush() error
	// SetTrailer announces and sets a trailer field that is sent behind the body.
	SetTrailer(name string, values []string)
	// Started tells whether the header was sent.
	Started() bool
}
