package routekey

import (
	"cmp"
	"fmt"
	"net/textproto"
	"strings"
)

// Match is a condition on requests besides their path: a header whose value has a given
// prefix. The zero Match matches all requests.
//
// A match selects a service. It is no access control: clients choose their headers, including Host.
type Match struct {
	Name  string // canonical, such as "Host" or "X-Api-Version"; empty: no condition
	Value string // prefix of the header's value, not empty if Name is set; lower case for Host
}

// Bounds of a match, in bytes.
const (
	MaxMatchNameBytes  = 63
	MaxMatchValueBytes = 255
)

// hostHeader is compared without regard to case and port.
const hostHeader = "Host"

// ParseMatch parses a match written like a header line, such as "Host: iam", and returns
// its canonical form. The empty string is the zero Match. The error is an *Error.
func ParseMatch(s string) (Match, error) {
	if s == "" {
		return Match{}, nil
	}
	name, value, ok := strings.Cut(s, ":")
	m := Match{Name: textproto.CanonicalMIMEHeaderKey(name), Value: strings.Trim(value, " \t")}
	if m.Name == hostHeader {
		m.Value = strings.ToLower(m.Value)
	}
	violations := m.check()
	if !ok {
		violations = []string{`it is not a header with the beginning of its value; write it like "Host: api.example.com"`}
	}
	if len(violations) > 0 {
		return Match{}, &Error{Field: "match", Input: shorten(s), Violations: violations}
	}
	return Match{Name: strings.Clone(m.Name), Value: strings.Clone(m.Value)}, nil // the catalogue keeps it, and s may be a part of a request
}

func (m Match) check() (violations []string) {
	switch {
	case !validName(m.Name):
		violations = append(violations, fmt.Sprintf("%q is no name of a header; letters, digits and hyphens make one, %d at most",
			shorten(m.Name), MaxMatchNameBytes))
	case m.Name == "Authorization" || m.Name == "Proxy-Authorization":
		violations = append(violations, m.Name+" holds secrets, and lists and logs show matches; a match is not an authorisation")
	}
	switch {
	case m.Value == "":
		violations = append(violations, "the value is empty; give how it has to begin")
	case len(m.Value) > MaxMatchValueBytes:
		violations = append(violations, fmt.Sprintf("the value is %d bytes long; use at most %d", len(m.Value), MaxMatchValueBytes))
	case strings.ContainsFunc(m.Value, func(r rune) bool { return r < ' ' || r >= 0x7f }):
		violations = append(violations, "the value has a control character or one outside ASCII; remove it")
	case m.Name == hostHeader && strings.ContainsAny(m.Value, " /"):
		violations = append(violations, "the value is no name of a host; leave scheme and path away")
	case m.Name == hostHeader && hostname(m.Value) != m.Value:
		violations = append(violations, "the value has a port; leave it away, hosts are compared without")
	}
	return violations
}

// validName accepts fewer characters than RFC 9110, but all those in use.
func validName(name string) bool {
	return name != "" && len(name) <= MaxMatchNameBytes && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && (r >= 0x80 || !Unreserved(byte(r)) || r == '.' || r == '~')
	})
}

// String returns the canonical text, such as "Host: iam"; "" for the zero Match.
func (m Match) String() string {
	if m.Name == "" {
		return ""
	}
	return m.Name + ": " + m.Value
}

// compare orders matches by precedence: longer values first, at equal length Host
// before other headers, then by name and value. The zero Match is last.
func (m Match) compare(other Match) int {
	return cmp.Or(
		cmp.Compare(len(other.Value), len(m.Value)),
		cmp.Compare(boolRank(m.Name == hostHeader), boolRank(other.Name == hostHeader)),
		strings.Compare(m.Name, other.Name),
		strings.Compare(m.Value, other.Value),
	)
}

func boolRank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// Holds reports whether a request fulfils m: one of the values of its header has the match's value as a prefix. host is
// its Host, which is not part of header. The names in header are canonical. The zero Match holds for all requests.
func (m Match) Holds(host string, header map[string][]string) bool {
	if m == (Match{}) {
		return true
	}
	if m.Name == hostHeader {
		host = hostname(host)
		return len(host) >= len(m.Value) && strings.EqualFold(host[:len(m.Value)], m.Value)
	}
	for _, value := range header[m.Name] {
		if strings.HasPrefix(value, m.Value) {
			return true
		}
	}
	return false
}

// hostname returns a Host header without its port. An IPv6 address keeps its brackets.
func hostname(host string) string {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || strings.IndexByte(host[colon:], ']') >= 0 {
		return host
	}
	return host[:colon]
}
