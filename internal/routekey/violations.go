package routekey

import (
	"fmt"
	"strings"
)

// rule identifies a rule for prefixes. Violations are reported in this order.
type rule int

const (
	ruleEmpty rule = iota
	ruleTooLong
	ruleReserved
	ruleEmptySegment
	ruleDotSegment
	ruleLongSegment
	rulePercent
	ruleControl
	ruleBackslash
	ruleWildcard
	ruleQuery
	ruleOther
	ruleCount
)

// violations collects one text for each broken rule, for the first place that breaks
// it. So errors stay short for any input.
type violations [ruleCount]string

func (v *violations) add(r rule, format string, args ...any) {
	if v[r] == "" {
		v[r] = fmt.Sprintf(format, args...)
	}
}

func (v *violations) list() []string {
	var list []string
	for _, text := range v {
		if text != "" {
			list = append(list, text)
		}
	}
	return list
}

// checkWhole checks the rules for a prefix as a whole. path is input without the outer slashes.
func (v *violations) checkWhole(input, path string) {
	if input == "" {
		v.add(ruleEmpty, `it is empty; give one or more path segments such as "test" or "a/b", or "/" for all paths`)
	}
	if len(path)+1 > MaxPrefixBytes {
		v.add(ruleTooLong, "it is %d bytes long; use at most %d", len(path)+1, MaxPrefixBytes)
	}
	if first, _, _ := strings.Cut(path, "/"); first == ReservedSegment {
		v.add(ruleReserved, "the first segment %q is reserved for the management API; choose another", ReservedSegment)
	}
}

// checkSegment checks one segment. Segments are numbered from 1.
func (v *violations) checkSegment(number int, segment string) {
	switch {
	case segment == "" && v[ruleEmpty] == "":
		v.add(ruleEmptySegment, `segment %d is empty; write one "/" between segments`, number)
	case segment == "." || segment == "..":
		v.add(ruleDotSegment, "segment %d is %q, which clients resolve before they send a path; leave it out", number, segment)
	case len(segment) > MaxSegmentBytes:
		v.add(ruleLongSegment, "segment %d is %d bytes long; use at most %d", number, len(segment), MaxSegmentBytes)
	}
	for i := 0; i < len(segment); i++ {
		if !Unreserved(segment[i]) {
			v.checkByte(number, segment[i])
		}
	}
}

func (v *violations) checkByte(number int, c byte) {
	switch {
	case c == '%':
		v.add(rulePercent, `segment %d has a "%%"; percent-encodings are not accepted, of a slash neither: `+
			"write the character itself if it is allowed", number)
	case c < 0x20 || c == 0x7f:
		v.add(ruleControl, "segment %d has the control character 0x%02x; remove it", number, c)
	case c == '\\':
		v.add(ruleBackslash, `segment %d has a backslash; separate segments by "/"`, number)
	case c == ':' || c == '*':
		v.add(ruleWildcard, `segment %d has a %q; wildcards are not needed, for a prefix takes all paths below it: `+
			"remove it", number, c)
	case c == '?' || c == '#':
		v.add(ruleQuery, "segment %d has a %q; a prefix has no query and no fragment: remove it", number, c)
	case c >= 0x80:
		v.add(ruleOther, `segment %d has a character outside ASCII; use letters, digits, "-", ".", "_" and "~"`, number)
	default:
		v.add(ruleOther, `segment %d has the character %q; use letters, digits, "-", ".", "_" and "~"`, number, c)
	}
}

// Unreserved reports whether c is an unreserved character of RFC 3986 section 2.3,
// which means the same with and without percent-encoding.
func Unreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return c == '-' || c == '.' || c == '_' || c == '~'
	}
}
