// Package guesttest calls the handlers of guests in ordinary Go tests, without WebAssembly:
//
//	func TestHello(t *testing.T) {
//		answer := guesttest.Serve(&guesttest.Request{URI: "/hello"})
//		if answer.Status != 200 {
//			t.Errorf("got status %d, want 200", answer.Status)
//		}
//	}
//
// The package is a host for the guest in the same process. It supports trailers, middleware, and Vespo's settings,
// outbound requests and key-value stores. Debugger, race detector and coverage work as in other tests.
//
// There is no snapshot: changes to package-level variables persist from one request to the next. Requests are served one
// at a time, as in WebAssembly; concurrent calls of [Serve] wait for each other.
package guesttest

import (
	"io"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

// A Request describes an HTTP request and the host that the guest sees. The zero value is a GET request for / in
// HTTP/1.1, without header and body. If the guest calls SetMethod or SetURI, the fields Method and URI change.
type Request struct {
	Method     string // "" means GET
	URI        string // path and query; "" means /
	Proto      string // "" means HTTP/1.1
	RemoteAddr string // "" means 192.0.2.1:1234
	Header     map[string][]string
	Body       io.Reader           // read while the guest reads; an error other than io.EOF ends the guest
	Trailer    map[string][]string // available to the guest at the end of Body

	Config     []byte      // the result of guest.Config
	LogLevel   guest.Level // messages below this level are dropped
	NoTrailers bool        // makes the host one that does not support trailers

	// Behind is the next handler's response to a request that the guest passes on. If its Ended is true, the next
	// handler failed. If Behind is nil, there is no next handler, and the status is 404.
	Behind *Answer

	// Prefix is the result of vespo.Prefix; "" means /. URI must include it.
	Prefix string

	// Settings holds the settings and secrets for vespo.Config.
	Settings map[string]string

	// Outbound responds to vespo.Fetch. If it returns an error that wraps a vespo.Code, Fetch fails with that code; other
	// errors become vespo.ErrUnreachable. If Outbound is nil, Fetch fails with vespo.ErrDenied.
	Outbound func(*OutboundRequest) (*OutboundAnswer, error)

	// Stores holds the key-value stores of vespo.KV by name. They keep their content from one request to the next. An empty
	// Store is ready for use.
	Stores map[string]*Store
}

// An Answer is the response of the guest. Header and trailer names are in lower case.
type Answer struct {
	Status  int // 500 if the guest ended before it sent part of the body
	Header  map[string][]string
	Body    string
	Trailer map[string][]string
	Writes  int  // number of writes to the host that the body was sent in
	Ended   bool // the guest ended itself, because its handler panicked
	Passed  bool // the guest passed the request on
	Log     []LogMessage
}

// A LogMessage is a message that the guest logged.
type LogMessage struct {
	Level guest.Level
	Text  string
}

// Serve calls the handler that the program registered with [guest.Handle] and returns its response.
func Serve(r *Request) *Answer { return ServeWith(nil, r) }

// ServeWith calls h and returns its response. If h is nil, ServeWith is equivalent to [Serve].
func ServeWith(h guest.Handler, r *Request) *Answer { return serve(h, r) }

// An OutboundRequest is a request that the guest sent with vespo.Fetch.
type OutboundRequest struct {
	Method string
	URI    string
	Header map[string][]string // names in lower case
	Body   string
}

// An OutboundAnswer is the response to an [OutboundRequest]. The zero value has status 200 and an empty header and body.
type OutboundAnswer struct {
	Status  int
	Header  map[string][]string
	Body    string
	Trailer map[string][]string
}
