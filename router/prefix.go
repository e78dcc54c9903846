package router

import (
	"fmt"
	"strings"
)

// Prefix is a path prefix in canonical form: "/" or "/seg[/seg...]", as returned by ParsePrefix.
type Prefix string

// Bounds of a prefix, in bytes.
const (
	MaxPrefixBytes  = 255 // including the leading slash
	MaxSegmentBytes = 63
)

// ReservedSegment is the first path segment of the management API.
const ReservedSegment = "services"

// PrefixError lists everything wrong with a prefix, in words for its author.
type PrefixError struct {
	Input      string   // as given, shortened if very long
	Violations []string // one for each broken rule; never empty
}

func (e *PrefixError) Error() string {
	return fmt.Sprintf("prefix %q: %s", e.Input, strings.Join(e.Violations, "; "))
}

// ParsePrefix returns the canonical form of a prefix: "/", or one or more segments of
// letters, digits, "-", ".", "_" and "~". The leading slash is optional, and a trailing
// one is dropped. The error is a *PrefixError.
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
		return "", &PrefixError{Input: shorten(s), Violations: list}
	}
	return Prefix("/" + path), nil
}

// valid reports whether p is canonical.
func (p Prefix) valid() bool {
	canonical, err := ParsePrefix(string(p))
	return err == nil && canonical == p
}

// segments returns the number of segments, 0 for "/".
func (p Prefix) segments() int {
	if p == "/" {
		return 0
	}
	return strings.Count(string(p), "/")
}

// shorten bounds the part of an input that an error quotes.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
