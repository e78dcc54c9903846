package proxy

import (
	"fmt"
	"slices"

	"github.com/vespo-dev/vespo/services/internal/document"
)

// Bounds of a document.
const (
	maxUpstreams = 64
	maxRules     = 64 // of each direction
)

// The values of Document.Host.
const (
	HostUpstream = "upstream" // the upstream's own, as in its URL; the default
	HostClient   = "client"   // as the client sent it
)

// Document says what a prefix is bound to. It is what the catalogue keeps, as JSON; see [Document.Encode].
type Document struct {
	Upstreams  []string `json:"upstreams"`
	KeepPrefix bool     `json:"keep_prefix,omitempty"`
	Host       string   `json:"host,omitempty"`
	// KeepLocation leaves the places that answers name (Location, Content-Location, Refresh, the paths of cookies) as the upstream named them.
	KeepLocation bool `json:"keep_location,omitempty"`
	// RequestHeaders and ResponseHeaders are rules: "Name: value" sets a header in place of what came, several of one name
	// set several values, and "Name:" removes it.
	RequestHeaders  []string `json:"request_headers,omitempty"`
	ResponseHeaders []string `json:"response_headers,omitempty"`
}

// Encode gives the canonical form: the same binding is always the same bytes, and so has one digest.
func (d Document) Encode() []byte {
	if d.Host == HostUpstream {
		d.Host = ""
	}
	return document.Encode(d)
}

// Decode reads a document. It looks at the form alone: what the members say is checked when it is deployed. The error is fit for
// the client.
func Decode(text []byte) (Document, error) {
	var d Document
	err := document.Decode(text, &d, "a proxy")
	return d, err
}

// plan is a document that was found valid, in the form in which it is carried out.
type plan struct {
	upstreams  []origin
	keepPrefix bool
	clientHost bool

	keepLocation bool
	request      rules
	response     rules
}

// plan checks all that the document says.
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
