package proxy

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// schemeH2C is the scheme of an upstream that speaks HTTP/2 without TLS, such as a gRPC server.
const schemeH2C = "h2c"

// origin is the address of an upstream. Equal values are the same upstream.
type origin struct {
	scheme string // http, https or h2c
	host   string // lower case; with the port unless it is the scheme's default
	path   string // escaped, without a trailing slash; "" for none
}

func (o origin) String() string { return o.scheme + "://" + o.host + o.path }

// wireScheme returns the scheme for net/http.
func (o origin) wireScheme() string {
	if o.scheme == schemeH2C {
		return "http"
	}
	return o.scheme
}

// parseOrigin parses a URL such as http://127.0.0.1:9000 or
// https://api.example.com/v1. For an invalid one it returns a message.
func parseOrigin(text string) (o origin, wrong string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || strings.ContainsFunc(text, notPrintable):
		return o, "it is not a URL; write it like http://127.0.0.1:9000"
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != schemeH2C:
		return o, "it must begin with http://, https:// or h2c://"
	case u.User != nil:
		return o, "it names a user; set the header Authorization by a rule instead"
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return o, "it has a query or a fragment; a path is all that can follow the host"
	case u.Hostname() == "":
		return o, "it names no host"
	case !validPort(u):
		return o, "its port must be between 1 and 65535"
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return o, "its path has a dot segment"
		}
	}
	return origin{scheme: u.Scheme, host: hostOf(u), path: strings.TrimRight(escapedPath(u), "/")}, ""
}

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7f }

func validPort(u *url.URL) bool {
	_, port, found := strings.Cut(u.Host[strings.LastIndexByte(u.Host, ']')+1:], ":")
	n, err := strconv.ParseUint(port, 10, 16)
	return !found || err == nil && n > 0
}

// hostOf returns the host of u in canonical form.
func hostOf(u *url.URL) string {
	name, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" || port == "80" && u.Scheme != "https" || port == "443" && u.Scheme == "https" {
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return net.JoinHostPort(name, port)
}

// target returns the upstream's URL for an escaped path, with the query of from.
func (o origin) target(path string, from *url.URL) *url.URL {
	raw := escapeRest(o.path + path)
	if raw == "" {
		raw = "/"
	}
	decoded, err := url.PathUnescape(raw)
	if err != nil { // cannot happen for a request that the HTTP server has parsed
		decoded = raw
	}
	return &url.URL{Scheme: o.wireScheme(), Host: o.host, Path: decoded, RawPath: raw, RawQuery: from.RawQuery, ForceQuery: from.ForceQuery}
}

// rest returns the part of a URL after the origin. It returns false if the URL is not below the origin.
func (o origin) rest(u *url.URL) (string, bool) {
	if u.Scheme == "" {
		u.Scheme = o.wireScheme()
	}
	rest, below := strings.CutPrefix(escapedPath(u), o.path)
	return rest, below && u.Scheme == o.wireScheme() && hostOf(u) == o.host && (rest == "" || rest[0] == '/')
}
