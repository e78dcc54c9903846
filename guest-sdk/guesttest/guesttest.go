// Package guesttest calls a guest's handler in ordinary Go tests, without WebAssembly:
//
//	func TestHello(t *testing.T) {
//		answer := guesttest.Serve(&guesttest.Request{URI: "/hello"})
//		if answer.Status != 200 { ... }
//	}
//
// Requests are served one after the other. Unlike in Vespo, package-level variables keep what a request did to them.
package guesttest

import (
	"io"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

// Request is what the guest shall see. The zero value is GET / by HTTP/1.1 without headers or body.
type Request struct {
	Method     string
	URI        string // path and query
	Proto      string
	RemoteAddr string
	Header     map[string][]string
	Body       io.Reader           // read as the guest reads; an error of it ends the guest
	Trailer    map[string][]string // seen by the guest once Body is at its end

	Config     []byte      // what guest.Config gives
	LogLevel   guest.Level // messages below are dropped
	NoTrailers bool        // be a host without trailers

	Behind *Answer // of what is behind the guest, if it passes the request on; nil: nothing is behind it

	Prefix   string                                          // what vespo.Prefix gives
	Settings map[string]string                               // what vespo.Config gives
	Outbound func(*OutboundRequest) (*OutboundAnswer, error) // answers vespo.Fetch; nil: outbound requests are not allowed
}

// Answer is what came of a request. Names of headers are in lower case.
type Answer struct {
	Status  int // 500 if the guest ended itself
	Header  map[string][]string
	Body    string
	Trailer map[string][]string
	Writes  int  // number of pieces that the body was sent in
	Ended   bool // the guest ended itself: its handler has panicked
	Passed  bool // the guest has passed the request on
	Log     []LogMessage
}

// LogMessage is one message of the guest's log.
type LogMessage struct {
	Level guest.Level
	Text  string
}

// Serve gives a request to the handler that the program registered by guest.Handle.
func Serve(r *Request) *Answer { return ServeWith(nil, r) }

// ServeWith gives a request to any handler.
func ServeWith(h guest.Handler, r *Request) *Answer { return serve(h, r) }

// OutboundRequest is what the guest sends by vespo.Fetch.
type OutboundRequest struct {
	Method string
	URI    string
	Header map[string][]string // names in lower case
	Body   string
}

// OutboundAnswer is what it shall get. The zero value is 200 and nothing else.
type OutboundAnswer struct {
	Status  int
	Header  map[string][]string
	Body    string
	Trailer map[string][]string
}
