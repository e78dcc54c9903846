package proxy

import (
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
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

// Document is the configuration of a proxy: the fields of [Description].
type Document struct {
	Upstreams  []string      `json:"upstream"`
	KeepPrefix bool          `json:"keep_prefix,omitempty"`
	Host       string        `json:"host,omitempty"`
	Timeout    schema.Period `json:"timeout,omitempty"`
	// KeepLocation passes on Location, Content-Location,
	// Refresh and the paths of cookies without rewriting them.
	KeepLocation bool `json:"keep_location,omitempty"`
	// RequestHeaders and ResponseHeaders are rules. "Name: value" replaces a header,
	// several rules of one name set several values, and "Name:" removes the header.
	RequestHeaders  []string `json:"request_header,omitempty"`
	ResponseHeaders []string `json:"response_header,omitempty"`
}

// Description describes the kind.
func Description() schema.Kind {
	return schema.Kind{
		Name:  KindName,
		Title: "a reverse proxy",
		Forms: []schema.Form{{Requires: []string{fieldUpstream}, Fields: fields()}},
	}
}

// Names of fields that violations are about.
const (
	fieldUpstream       = "upstream"
	fieldHost           = "host"
	fieldRequestHeader  = "request_header"
	fieldResponseHeader = "response_header"
)

func fields() []schema.Field {
	return []schema.Field{
		{
			Name:    fieldUpstream,
			Type:    schema.Texts,
			Form:    "URL",
			Commas:  true,
			Help:    "Pass requests on to this server, such as http://127.0.0.1:9000. Several share the requests.",
			Example: "http://127.0.0.1:9000",
		},
		{Name: "keep_prefix", Type: schema.Bool, Help: "Leave the prefix in the path of the request."},
		{Name: "keep_location", Type: schema.Bool, Help: "Leave Location, Content-Location, Refresh and the paths of cookies in answers as the upstream sent them."},
		{
			Name:    fieldHost,
			Type:    schema.Text,
			Form:    "upstream|client",
			Help:    "Send the upstream its own Host, or the one that the client has sent.",
			Default: HostUpstream,
			Choices: []string{HostUpstream, HostClient},
		},
		{
			Name:   fieldRequestHeader,
			Type:   schema.Texts,
			Form:   "NAME:VALUE",
			Help:   "Set a header of requests, or remove it, as in 'Cookie:'.",
			Secret: true,
		},
		{
			Name:   fieldResponseHeader,
			Type:   schema.Texts,
			Form:   "NAME:VALUE",
			Help:   "Set a header of responses, or remove it.",
			Secret: true,
		},
		schema.Timeout("Time limit until the response of the upstream begins.", "the server's --timeout"),
	}
}

// Encode returns the manifest. Equal documents have equal manifests.
func (d Document) Encode() registry.Manifest { return schema.Encode(fields(), d) }

// Decode reads a manifest. It checks the syntax only: the values are
// checked at deployment. The error is safe to return to the client.
func Decode(m registry.Manifest) (Document, error) { return schema.Decode[Document](m) }

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
func (d Document) plan() (*plan, problem.Violations) {
	var violations problem.Violations
	p := &plan{keepPrefix: d.KeepPrefix, clientHost: d.Host == HostClient, keepLocation: d.KeepLocation}
	if n := len(d.Upstreams); n == 0 || n > maxUpstreams {
		violations.Add(fieldUpstream, "is given %d times: it must be between 1 and %d", n, maxUpstreams)
	}
	for _, text := range d.Upstreams[:min(len(d.Upstreams), maxUpstreams)] {
		o, wrong := parseOrigin(text)
		switch {
		case wrong != "":
			violations.Add(fieldUpstream, "is %.200q: %s", text, wrong)
		case slices.Contains(p.upstreams, o):
			violations.Add(fieldUpstream, "has %.200q more than once", text)
		default:
			p.upstreams = append(p.upstreams, o)
		}
	}
	if d.Host != "" && d.Host != HostUpstream && d.Host != HostClient {
		violations.Add(fieldHost, "is %.40q: it must be %s or %s", d.Host, HostUpstream, HostClient)
	}
	if timeout := time.Duration(d.Timeout); timeout < 0 || timeout > MaxTimeout {
		violations.Add(schema.FieldTimeout, "is %s: it must be more than 0 and at most %s", timeout, MaxTimeout)
	}
	var wrong []problem.Violation
	p.request, wrong = parseRules(fieldRequestHeader, d.RequestHeaders, requestHeadersOfOurs)
	violations = append(violations, wrong...)
	p.response, wrong = parseRules(fieldResponseHeader, d.ResponseHeaders, responseHeadersOfOurs)
	violations = append(violations, wrong...)
	return p, violations
}
