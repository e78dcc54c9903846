package abi

import (
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
)

// MaxHeaderBytes bounds the header that a guest may build:
// names, values, and FieldOverheadBytes for each field.
const MaxHeaderBytes = 256 << 10

// FieldOverheadBytes is the cost of a field besides its name and value.
const FieldOverheadBytes = 32

// CostlyBytes is the size from which a host function checks the deadline before
// it returns to the guest. Fuel counts only the guest's own instructions, so a
// guest that mostly calls such a function would be stopped late.
const CostlyBytes = 4 << 10

// CanonicalName returns a field name in net/http's canonical form, such as
// "Content-Type". ok is false if the name is not a token (RFC 9110, section 5.6.2).
func CanonicalName(name string) (canonical string, ok bool) {
	if name == "" {
		return "", false
	}
	if n, ok := common[name]; ok {
		return n.canonical, true
	}
	changed, upper := false, true
	for i := range len(name) {
		c := name[i]
		if !isToken(c) {
			return "", false
		}
		changed = changed || upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z'
		upper = c == '-'
	}
	if !changed {
		return name, true
	}
	b := []byte(name)
	upper = true
	for i, c := range b {
		switch {
		case upper && 'a' <= c && c <= 'z':
			b[i] = c - 'a' + 'A'
		case !upper && 'A' <= c && c <= 'Z':
			b[i] = c - 'A' + 'a'
		}
		upper = c == '-'
	}
	return string(b), true
}

func isToken(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// ValidValue reports whether a field value can be sent: it has
// no control characters except tab (RFC 9110, section 5.5).
func ValidValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// HopByHop reports whether a field belongs to one connection. Guests may not set such fields.
func HopByHop(canonical string) bool { return httpfield.HopByHop(canonical) }

// ValidTrailer reports whether a guest may set a field as a trailer.
func ValidTrailer(canonical string) bool { return httpfield.Trailer(canonical) }

// ValidStatus reports whether a guest may send this final status: 200 to 599. Informational
// responses are sent by the server, and switching protocols is not supported.
func ValidStatus(code int) bool { return 200 <= code && code <= 599 }
