//go:build !wasip1

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
	"slices"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
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
func ServeWith(h guest.Handler, r *Request) *Answer {
	host := newHost(r)
	var handler any
	if h != nil {
		handler = h
	}
	ok := abi.Serve(host, handler)
	answer := &Answer{
		Status:  int(host.status),
		Header:  host.headers[abi.KindResponse].toMap(),
		Trailer: host.headers[abi.KindResponseTrailers].toMap(),
		Body:    host.body.String(),
		Writes:  host.writes,
		Ended:   !ok,
		Log:     host.log,
	}
	if !ok && host.writes == 0 {
		answer.Status, answer.Header, answer.Trailer = 500, nil, nil
	}
	return answer
}

// headers is a list of headers in the order they came.
type headers []field

type field struct{ name, value string }

func headersOf(m map[string][]string) (h headers) {
	for name, values := range m {
		for _, value := range values {
			h = append(h, field{strings.ToLower(name), value})
		}
	}
	slices.SortStableFunc(h, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return h
}

func (h headers) toMap() map[string][]string {
	m := map[string][]string{}
	for _, f := range h {
		m[f.name] = append(m[f.name], f.value)
	}
	return m
}

func (h headers) names() (names []string) {
	for _, f := range h {
		if !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	return names
}

func (h headers) values(name string) (values []string) {
	for _, f := range h {
		if f.name == strings.ToLower(name) {
			values = append(values, f.value)
		}
	}
	return values
}

func (h *headers) add(name, value string) { *h = append(*h, field{strings.ToLower(name), value}) }

func (h *headers) remove(name string) {
	*h = slices.DeleteFunc(*h, func(f field) bool { return f.name == strings.ToLower(name) })
}
