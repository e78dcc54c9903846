package abi

import (
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
)

// MaxHeaderBytes bounds the header that a guest may build: names, values, and 32 bytes for each field.
const MaxHeaderBytes = 256 << 10

// FieldOverheadBytes is what a field counts besides its name and its value.
const FieldOverheadBytes = 32

// CostlyBytes is from where on a host function looks at the deadline before it goes back to the guest. A guest that did nothing
// but call it would be stopped late else, because fuel counts the guest's own instructions.
const CostlyBytes = 4 << 10

// CanonicalName gives a field name in net/http's canonical form: "Content-Type". ok is false if it is not a token
// (RFC 9110, section 5.6.2).
func CanonicalName(name string) (canonical string, ok bool) {
	if name == "" {
		return "", false
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

// ValidValue tells whether a field value can be sent: no control characters but the tab (RFC 9110, section 5.5).
func ValidValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// HopByHop reports whether a field belongs to one connection, so that a guest may not set it.
func HopByHop(canonical string) bool { return httpfield.HopByHop(canonical) }

// ValidTrailer reports whether a guest may set a field as a trailer.
func ValidTrailer(canonical string) bool { return httpfield.Trailer(canonical) }

// ValidStatus tells whether a guest may end its answer with this status: 200 to 599. Informational statuses are the
// server's own, and a switch of protocols cannot be had.
func ValidStatus(code int) bool { return 200 <= code && code <= 599 }
