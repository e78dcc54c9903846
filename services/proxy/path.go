package proxy

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// pathFor gives the escaped path for the upstreams: what follows the prefix, or all of it.
func (p *plan) pathFor(prefix, rest string) string {
	if p.keepPrefix && prefix != "/" {
		return prefix + rest
	}
	return rest
}

// confined reports whether the path that an upstream is sent has a beginning that clients may not leave: the upstream's own path, or the
// prefix of the service.
func (p *plan) confined(prefix string) bool {
	return p.keepPrefix && prefix != "/" || slices.ContainsFunc(p.upstreams, func(o origin) bool { return o.path != "" })
}

// decodings is how often an upstream may decode a path, one of its own upstreams included.
const decodings = 2

// climbs reports whether an escaped path has a segment that an upstream may take for "..": with encoded dots, between encoded slashes or
// backslashes, or with parameters behind a semicolon. The router has refused those that are plain.
func climbs(path string) bool {
	for range decodings + 1 {
		for segment := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '\\' }) {
			if name, _, _ := strings.Cut(segment, ";"); name == ".." {
				return true
			}
		}
		decoded := decode(path)
		if decoded == path {
			return false
		}
		path = decoded
	}
	return false
}

// decode decodes what is well encoded in a path, and leaves all else.
func decode(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if c, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(c))
				i += 2
				continue
			}
		}
		b = append(b, path[i])
	}
	return string(b)
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
