// Package httpfield classifies HTTP header fields and merges those of a response from two
// sources. All kinds of services use it, so responses are the same for every kind. It
// defines which response fields have a single value, which fields belong to a connection,
// which must not be trailers, and which only this server or a trusted proxy may set. It also
// checks the syntax of names and values.
//
// Names are in net/http's canonical form.
package httpfield

import "slices"

// single lists the response fields defined to have one value, with the sources.
// Content-Length is not included: a response with several lengths fails, because none of
// them can be trusted (RFC 9112, section 6.3). It is never modified.
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

// additive lists the response fields to which several parties may add independent values.
// It is never modified.
var additive = map[string]struct{}{
	"Accept-Ch":                           {},
	"Access-Control-Allow-Headers":        {},
	"Access-Control-Allow-Methods":        {},
	"Access-Control-Expose-Headers":       {},
	"Content-Security-Policy":             {}, // several policies apply together
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

// Collapse keeps only the last value of each single-value field.
func Collapse(h map[string][]string) {
	for name, values := range h {
		if len(values) > 1 && Single(name) {
			h[name] = values[len(values)-1:]
		}
	}
}

// Merge sets the fields of a service in defaults. A service's field replaces the default,
// or is added to it if the field is additive. A field without values, with which a handler
// suppresses a generated value, keeps the default.
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
