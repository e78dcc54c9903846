package router

import (
	"fmt"
	"strings"
)

// Prefix is a path prefix in canonical text: "/" or "/seg[/seg...]", made by ParsePrefix.
type Prefix string

// Bounds of a prefix, in bytes.
const (
	MaxPrefixBytes  = 255 // with the slash at the beginning
	MaxSegmentBytes = 63
)

// ReservedSegment is the first segment that belongs to the management API.
const ReservedSegment = "services"

// PrefixError says all that is wrong with a prefix, in words for whoever wrote it.
type PrefixError struct {
	Input      string   // as given, shortened if very long
	Violations []string // one for each rule that is broken; never empty
}

func (e *PrefixError) Error() string {
	return fmt.Sprintf("prefix %q: %s", e.Input, strings.Join(e.Violations, "; "))
}

// ParsePrefix gives the canonical form of a prefix: one or more segments of letters, digits and "-", ".", "_", "~", or "/"
// alone. A slash at the beginning may be missing and one at the end is dropped. The error is a *PrefixError.
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

// valid reports whether p is the canonical form of itself.
func (p Prefix) valid() bool {
	canonical, err := ParsePrefix(string(p))
	return err == nil && canonical == p
}

// segments is the number of segments, 0 for "/".
func (p Prefix) segments() int {
	if p == "/" {
		return 0
	}
	return strings.Count(string(p), "/")
}

// shorten bounds what an error repeats of its input.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
