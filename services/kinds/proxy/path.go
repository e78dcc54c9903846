package proxy

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// pathFor returns the escaped path for the upstreams: the part after the prefix, or all of it.
func (p *plan) pathFor(prefix, rest string) string {
	if p.keepPrefix && prefix != "/" {
		return prefix + rest
	}
	return rest
}

// confined reports whether the path sent to an upstream begins with a part that
// clients must not leave: the upstream's own path, or the prefix of the service.
func (p *plan) confined(prefix string) bool {
	return p.keepPrefix && prefix != "/" || slices.ContainsFunc(p.upstreams, func(o origin) bool { return o.path != "" })
}

// decodings is the number of times that a path may be decoded, by an upstream and by its own upstreams.
const decodings = 2

// climbs reports whether an escaped path has a segment that an upstream may
// take for "..": with encoded dots, between encoded slashes or backslashes, or
// with parameters after a semicolon. The router has already refused plain ones.
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

// decode decodes the valid escapes in a path and leaves the rest unchanged.
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

// escapedPath returns the path of u as it was written, with missing escapes added.
func escapedPath(u *url.URL) string { return escapeRest(cmp.Or(u.RawPath, u.EscapedPath())) }

// escapeRest adds the missing escapes to an escaped path and leaves the rest unchanged, encoded
// slashes included. net/url would decode and encode the whole path, which changes its meaning.
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

// allowedInPath reports whether a byte needs no escape in the
// escaped path of a url.URL. That includes the percent sign.
func allowedInPath(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-._~!$&'()*+,;=:@/[]%", c) >= 0
}
