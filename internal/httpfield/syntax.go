package httpfield

import "strings"

// ValidName reports whether a field can have this name: it is a token (RFC 9110, section 5.6.2).
func ValidName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return false
		}
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// ValidValue reports whether a field can have this value: it has no line break or other control
// character except tab (RFC 9110, section 5.5).
func ValidValue(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
