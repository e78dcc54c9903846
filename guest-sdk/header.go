package guest

import "github.com/vespo-dev/vespo/guest-sdk/internal/abi"

// A Header accesses the header or trailer fields of a request or response. Names are case-insensitive.
//
// The host holds the fields, so every method is a call of the host. Keep a value in a variable if you need it often.
// Unlike with net/http, the request's header includes the field host.
type Header struct{ kind abi.Kind }

// Get returns the first value of the named field, or "" if the field is absent. Use [Header.Values] for all values.
func (h Header) Get(name string) string {
	if values := h.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Values returns all values of the named field, in the order of the message. It returns nil if the field is absent.
func (h Header) Values(name string) []string {
	if !h.available() {
		return nil
	}
	return abi.Values(h.kind, name)
}

// Names returns the names of all fields, in lower case and without duplicates.
func (h Header) Names() []string {
	if !h.available() {
		return nil
	}
	return abi.Names(h.kind)
}

// Set sets the named field to one value, replacing existing values.
//
// Changes to the response header have no effect after the first bytes of the body are sent; see [Response.Flush].
func (h Header) Set(name, value string) {
	if h.available() {
		abi.SetHeader(h.kind, name, value)
	}
}

// Add appends a value to the named field.
func (h Header) Add(name, value string) {
	if h.available() {
		abi.AddHeader(h.kind, name, value)
	}
}

// Del deletes all values of the named field.
func (h Header) Del(name string) {
	if h.available() {
		abi.RemoveHeader(h.kind, name)
	}
}

// available reports whether the fields can be accessed. It returns false and logs a warning for trailers if the host
// does not support them.
func (h Header) available() bool {
	if h.kind < abi.KindRequestTrailers || EnableTrailers() {
		return true
	}
	Log(LevelWarn, "guest: this host does not support trailers; they are left out")
	return false
}

// EnableTrailers asks the host to enable trailers and reports whether it supports them.
//
// Access to a trailer enables trailers implicitly, for that request. Call EnableTrailers in an init function to enable
// them for all requests. Hosts that announce trailers in the response header need this, because the header may be sent
// before the handler accesses a trailer.
func EnableTrailers() bool {
	return abi.EnableFeatures(abi.FeatureTrailers)&abi.FeatureTrailers != 0
}
