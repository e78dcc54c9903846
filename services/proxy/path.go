package proxy

import (
	"cmp"
	"net/url"
	"strings"
)

// pathFor gives the escaped path for the upstreams: what follows the prefix, or all of it.
func (p *plan) pathFor(prefix, rest string) string {
	if p.keepPrefix && prefix != "/" {
		return prefix + rest
	}
	return rest
}

// escapedPath gives the path of u as it was written, and escaped where that had been left out.
func escapedPath(u *url.URL) string { return escapeRest(cmp.Or(u.RawPath, u.EscapedPath())) }

// escapeRest escapes what should have been escaped in an escaped path and leaves all else as it is, encoded slashes among it.
// net/url would decode and encode the whole of such a path, and so change what it means.
func escapeRest(path string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	from := 0
	for i := 0; i < len(path); i++ {
		if c := path[i]; !allowedInPath(c) {
			b.WriteString(path[from:i])
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
			from = i + 1
		}
	}
	if from == 0 {
		return path
	}
	b.WriteString(path[from:])
	return b.String()
}

// allowedInPath tells whether a byte can stand for itself in the escaped path of a url.URL, a percent sign included.
func allowedInPath(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-._~!$&'()*+,;=:@/[]%", c) >= 0
}

// ownLocation turns a Location that names the upstream itself into the one at which clients find the same: its address is nothing
// to them. Other locations stay.
func (p *plan) ownLocation(location string, o origin, prefix string) string {
	l, err := url.Parse(location)
	if err != nil || l.Host == "" {
		return location
	}
	rest, below := o.rest(l)
	if !below {
		return location
	}
	if p.keepPrefix || prefix == "/" {
		prefix = ""
	}
	if rest = prefix + rest; rest == "" || strings.HasPrefix(rest, "//") {
		rest = "/" + strings.TrimLeft(rest, "/") // two slashes would begin a host
	}
	return (&url.URL{RawQuery: l.RawQuery, ForceQuery: l.ForceQuery, Fragment: l.Fragment, RawFragment: l.RawFragment, Opaque: rest}).String()
}
