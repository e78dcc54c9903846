package proxy

import (
	"fmt"
	"slices"

	"github.com/vespo-dev/vespo/services/internal/document"
)

// Limits of a document.
const (
	maxUpstreams = 64
	maxRules     = 64 // in each direction
)

// Values of Document.Host.
const (
	HostUpstream = "upstream" // the host of the upstream URL; the default
	HostClient   = "client"   // as the client sent it
)

// Document is the configuration of a proxy. The catalogue stores it as JSON; see [Document.Encode].
type Document struct {
	Upstreams  []string `json:"upstreams"`
	KeepPrefix bool     `json:"keep_prefix,omitempty"`
	Host       string   `json:"host,omitempty"`
	// KeepLocation passes on Location, Content-Location,
	// Refresh and the paths of cookies without rewriting them.
	KeepLocation bool `json:"keep_location,omitempty"`
	// RequestHeaders and ResponseHeaders are rules. "Name: value" replaces a header,
	// several rules of one name set several values, and "Name:" removes the header.
	RequestHeaders  []string `json:"request_headers,omitempty"`
	ResponseHeaders []string `json:"response_headers,omitempty"`
}

// Encode returns the canonical form. Equal documents encode to the same bytes, so they have equal digests.
func (d Document) Encode() []byte {
	if d.Host == HostUpstream {
		d.Host = ""
	}
	return document.Encode(d)
}

// Decode parses a document. It checks the syntax only: the values are
// checked at deployment. The error is safe to return to the client.
func Decode(text []byte) (Document, error) {
	var d Document
	err := document.Decode(text, &d, "a proxy")
	return d, err
}

// plan is a valid document in its parsed form.
type plan struct {
	upstreams  []origin
	keepPrefix bool
	clientHost bool

	keepLocation bool
	request      rules
	response     rules
}

// plan parses the document and returns all violations.
func (d Document) plan() (*plan, []string) {
	var violations []string
	refuse := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	p := &plan{keepPrefix: d.KeepPrefix, clientHost: d.Host == HostClient, keepLocation: d.KeepLocation}
	if n := len(d.Upstreams); n == 0 || n > maxUpstreams {
		refuse("upstream: %d are given, it must be between 1 and %d", n, maxUpstreams)
	}
	for _, text := range d.Upstreams[:min(len(d.Upstreams), maxUpstreams)] {
		o, wrong := parseOrigin(text)
		switch {
		case wrong != "":
			refuse("upstream %.200q: %s", text, wrong)
		case slices.Contains(p.upstreams, o):
			refuse("upstream %.200q is given more than once", text)
		default:
			p.upstreams = append(p.upstreams, o)
		}
	}
	if d.Host != "" && d.Host != HostUpstream && d.Host != HostClient {
		refuse("host is %.40q: it can be %s or %s", d.Host, HostUpstream, HostClient)
	}
	var wrong []string
	p.request, wrong = parseRules("request_header", d.RequestHeaders, requestHeadersOfOurs)
	violations = append(violations, wrong...)
	p.response, wrong = parseRules("response_header", d.ResponseHeaders, responseHeadersOfOurs)
	violations = append(violations, wrong...)
	return p, violations
}
