// Package httpfield knows which header fields a response has once, and merges the fields of two parties to one response. It is for every kind
// of service: a response says the same whatever kind has made it. It also knows the fields of one connection, those that may not be trailers, and
// those that only this server, or a proxy that it trusts, may set.
//
// Names are in net/http's canonical form.
package httpfield

import "slices"

// single lists the response fields that are defined to have one value, with where that is said. Content-Length is not one of them: of several
// lengths none can be trusted (RFC 9112, section 6.3), and the response fails. It is never written.
var single = map[string]struct{}{
	"Access-Control-Allow-Credentials": {}, // Fetch, section 3.3.3
	"Access-Control-Allow-Origin":      {},
	"Access-Control-Max-Age":           {},
	"Age":                              {}, // RFC 9111, section 5.1
	"Content-Disposition":              {}, // RFC 6266
	"Content-Location":                 {}, // RFC 9110, section 8.7
	"Content-Range":                    {}, // RFC 9110, section 14.4
	"Content-Type":                     {}, // RFC 9110, section 8.3
	"Cross-Origin-Embedder-Policy":     {}, // HTML, section 7.1
	"Cross-Origin-Opener-Policy":       {},
	"Cross-Origin-Resource-Policy":     {}, // Fetch, section 3.7
	"Date":                             {}, // RFC 9110, section 6.6.1
	"Etag":                             {}, // RFC 9110, section 8.8.3
	"Expires":                          {}, // RFC 9111, section 5.3
	"Last-Modified":                    {}, // RFC 9110, section 8.8.2
	"Location":                         {}, // RFC 9110, section 10.2.2
	"Origin-Agent-Cluster":             {}, // HTML, section 7.1.1
	"Retry-After":                      {}, // RFC 9110, section 10.2.3
	"Server":                           {}, // RFC 9110, section 10.2.4
	"Strict-Transport-Security":        {}, // RFC 6797, section 6.1
	"X-Content-Type-Options":           {}, // Fetch, section 3.6
	"X-Frame-Options":                  {}, // RFC 7034
}

// additive lists the response fields to which several parties add: each says something of its own, which is true beside what the others say.
// It is never written.
var additive = map[string]struct{}{
	"Accept-Ch":                           {},
	"Access-Control-Allow-Headers":        {},
	"Access-Control-Allow-Methods":        {},
	"Access-Control-Expose-Headers":       {},
	"Content-Security-Policy":             {}, // all of several policies hold
	"Content-Security-Policy-Report-Only": {},
	"Link":                                {},
	"Server-Timing":                       {},
	"Set-Cookie":                          {},
	"Vary":                                {},
	"Via":                                 {},
	"Warning":                             {},
	"Www-Authenticate":                    {},
}

// Single reports whether a response has at most one line of the field.
func Single(name string) bool {
	_, found := single[name]
	return found
}

// Collapse leaves the last value of each field that has one value.
func Collapse(h map[string][]string) {
	for name, values := range h {
		if len(values) > 1 && Single(name) {
			h[name] = values[len(values)-1:]
		}
	}
}

// Merge puts the fields of a service over those that were set for it as defaults: a field of the service replaces the default, and is added to
// it where both can be said. A field without values, by which a handler asks that none is made up, leaves the default.
func Merge(defaults, own map[string][]string) {
	for name, values := range own {
		_, adds := additive[name]
		switch before, found := defaults[name]; {
		case len(values) == 0 && found:
		case adds && found:
			defaults[name] = slices.Concat(before, values)
		default:
			defaults[name] = values
		}
	}
}
