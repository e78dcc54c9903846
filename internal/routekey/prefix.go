package routekey

import "strings"

// Prefix is a path prefix in canonical form: "/" or "/seg[/seg...]", as returned by ParsePrefix.
type Prefix string

// Bounds of a prefix, in bytes.
const (
	MaxPrefixBytes  = 255 // including the leading slash
	MaxSegmentBytes = 63
)

// ReservedSegment is the first path segment of the management API.
const ReservedSegment = "services"

// ParsePrefix returns the canonical form of a prefix: "/", or one or more segments of
// letters, digits, "-", ".", "_" and "~". The leading slash is optional, and a trailing
// one is dropped. The error is an *Error.
func ParsePrefix(s string) (Prefix, error) {
	path := strings.TrimPrefix(s, "/")
	path = strings.TrimSuffix(path, "/")
	if s == "/" {
		return "/", nil
	}
	var v violations
	v.checkWhole(s, path)
	for number, segment := range strings.Split(path, "/") {
		v.checkSegment(number+1, segment)
	}
	if list := v.list(); len(list) > 0 {
		return "", &Error{Field: "prefix", Input: shorten(s), Violations: list}
	}
	return Prefix("/" + path), nil
}

// Segments returns the number of segments, 0 for "/".
func (p Prefix) Segments() int {
	if p == "/" {
		return 0
	}
	return strings.Count(string(p), "/")
}
