package guest

import "github.com/vespo-dev/vespo/guest-sdk/internal/abi"

// Header is one list of headers: the request's or the response's, or of trailers. It is a view on what the host holds: each
// call asks the host. Names are case-insensitive.
type Header struct{ kind abi.Kind }

// Get returns the first value of a header, or "" if there is none.
func (h Header) Get(name string) string {
	if values := h.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Values returns all values of a header, one for each time that it was given.
func (h Header) Values(name string) []string {
	if !h.available() {
		return nil
	}
	return abi.Values(h.kind, name)
}

// Names returns the names of all headers, in lower case and each once.
func (h Header) Names() []string {
	if !h.available() {
		return nil
	}
	return abi.Names(h.kind)
}

// Set gives a header one value in place of those it has.
//
// Headers of the response must be set before the first bytes of its body are sent, see [Response.Flush].
func (h Header) Set(name, value string) {
	if h.available() {
		abi.SetHeader(h.kind, name, value)
	}
}

// Add gives a header one more value.
func (h Header) Add(name, value string) {
	if h.available() {
		abi.AddHeader(h.kind, name, value)
	}
}

// Del removes a header.
func (h Header) Del(name string) {
	if h.available() {
		abi.RemoveHeader(h.kind, name)
	}
}

// available is false for trailers where the host has none. That is said in the log.
func (h Header) available() bool {
	if h.kind < abi.KindRequestTrailers || EnableTrailers() {
		return true
	}
	Log(LevelWarn, "guest: this host does not support trailers; they are left out")
	return false
}

// EnableTrailers asks the host for trailers and tells if it has them. The use of a trailer does the same; called from an init
// function it enables them for all requests, early enough for those hosts that announce trailers in the header.
func EnableTrailers() bool {
	return abi.EnableFeatures(abi.FeatureTrailers)&abi.FeatureTrailers != 0
}
