package httptypes

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
)

// maxTextBytes is the longest method or scheme of a guest.
const maxTextBytes = 64 << 10

// methods are the cases of the variant method, before other.
var methods = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// schemes are the cases of the variant scheme, before other.
var schemes = [...]string{"http", "https"}

// PutMethod stores the variant method at an offset.
func PutMethod(s *canonical.State, m []byte, at int, method string) {
	putCase(s, m, at, method, methods[:])
}

// PutScheme stores the variant scheme at an offset.
func PutScheme(s *canonical.State, m []byte, at int, scheme string) {
	putCase(s, m, at, scheme, schemes[:])
}

// Method returns the method that a guest passes. ok is false if it is not a token, as RFC 9110 has it.
func Method(s *canonical.State, disc, at, length uint64) (method string, ok bool) {
	if method, ok = caseText(s, disc, at, length, methods[:]); ok {
		_, ok = abi.CanonicalName(method) // the name of a field is a token, too
	}
	return method, ok
}

// Scheme returns the scheme that a guest passes. ok is false if it is none (RFC 3986, section 3.1).
func Scheme(s *canonical.State, disc, at, length uint64) (scheme string, ok bool) {
	scheme, ok = caseText(s, disc, at, length, schemes[:])
	return scheme, ok && validScheme(scheme)
}

// putCase stores a variant whose cases are texts, and the last one any other text.
func putCase(s *canonical.State, m []byte, at int, text string, cases []string) {
	if i := slices.Index(cases, text); i >= 0 {
		m[at] = byte(i)
		return
	}
	m[at] = byte(len(cases))
	s.PutString(m, at+4, strings.ToValidUTF8(text, "\ufffd"))
}

// caseText returns the text of such a variant. ok is false if it is too long.
func caseText(s *canonical.State, disc, at, length uint64, cases []string) (text string, ok bool) {
	if i := canonical.Case(disc, uint32(len(cases)+1)); int(i) < len(cases) {
		return cases[i], true
	}
	return s.Text(at, length, maxTextBytes)
}

func validScheme(t string) bool {
	for i := range len(t) {
		c := t[i] | 0x20
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || !strings.Contains("0123456789+-.", t[i:i+1])) {
			return false
		}
	}
	return t != ""
}

// ValidTarget reports whether a text can be the path and query of a request. It can be empty.
func ValidTarget(t string) bool {
	return inURI(t) && !strings.Contains(t, "#") && (t == "" || t[0] == '/' || t[0] == '?' || t == "*")
}

// ValidAuthority reports whether a text can be a host with or without a port.
func ValidAuthority(t string) bool {
	host, port := t, ""
	if i := strings.LastIndexByte(t, ':'); i > strings.LastIndexByte(t, ']') {
		host, port = t[:i], t[i+1:]
	}
	if _, err := strconv.ParseUint(port, 10, 16); port != "" && err != nil {
		return false
	}
	return host != "" && inURI(t) && !strings.ContainsAny(t, "/?#@\\")
}

// Sends reports whether requests of this scheme can be sent. Others have the error-code ProtocolError.
func Sends(scheme string) bool { return slices.Contains(schemes[:], strings.ToLower(scheme)) }

// inURI reports whether a part of a URI has only characters that can be sent.
func inURI(t string) bool {
	return !strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
